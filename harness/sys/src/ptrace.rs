//! ptrace(2) and waitpid(2), with signals as numbers.
//!
//! nix's wrappers take and give `Signal`, which has no real-time signals: the
//! C library, Go and the JVM use those, and waitpid() would fail at them.

use std::io;

/// What PTRACE_GET_SYSCALL_INFO says about a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyscallInfo {
    /// A stop that SECCOMP_RET_TRACE asked for.
    Seccomp {
        /// The call's number.
        number: u64,
        /// Its arguments.
        args: [u64; 6],
        /// The thread's stack pointer: a handler's call has another one.
        stack_pointer: u64,
    },
    /// The end of a call.
    Exit {
        /// What it returned, errors as negative numbers.
        result: i64,
    },
    /// Any other stop.
    None,
}

/// `struct ptrace_syscall_info` of linux/ptrace.h with the union's largest member.
#[repr(C)]
#[derive(Default)]
struct RawInfo {
    op: u8,
    reserved: u8,
    flags: u16,
    arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    /// entry and seccomp: number and arguments; exit: the result and a flag.
    words: [u64; 8],
}

const OP_EXIT: u8 = 2;
const OP_SECCOMP: u8 = 3;

/// A process's or thread's state as waitpid() gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawStatus(pub i32);

/// Attaches to `tid` with `options` without stopping it (PTRACE_SEIZE).
pub fn seize(tid: i32, options: i32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, options as usize)
}

/// Lets `tid` run to its next stop and delivers `signal` (0: none).
pub fn cont(tid: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, 0, signal as usize)
}

/// As [`cont`], but the end of the current call is a stop, too.
pub fn syscall(tid: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_SYSCALL, tid, 0, signal as usize)
}

/// Leaves `tid` in its group stop, until SIGCONT (PTRACE_LISTEN).
pub fn listen(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0, 0)
}

/// The number that belongs to an event: a new child's, or the former thread id
/// at exec (PTRACE_GETEVENTMSG).
pub fn event_message(tid: i32) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    request(libc::PTRACE_GETEVENTMSG, tid, 0, &raw mut message as usize)?;
    Ok(message)
}

/// Which process sent the signal that is about to be delivered; None: the kernel.
pub fn signal_sender(tid: i32) -> Option<i32> {
    // SAFETY: siginfo_t is plain data for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    request(libc::PTRACE_GETSIGINFO, tid, 0, &raw mut info as usize).ok()?;
    // SI_USER, SI_QUEUE, SI_TKILL: those have si_pid (sigaction(2)).
    match info.si_code {
        // SAFETY: for these codes the kernel filled in si_pid.
        libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL => Some(unsafe { info.si_pid() }),
        _ => None,
    }
}

/// The call that `tid` is stopped at.
pub fn syscall_info(tid: i32) -> io::Result<SyscallInfo> {
    let mut raw = RawInfo::default();
    let size = size_of::<RawInfo>();
    request(
        libc::PTRACE_GET_SYSCALL_INFO,
        tid,
        size,
        &raw mut raw as usize,
    )?;
    let [number, args @ ..] = raw.words;
    Ok(match raw.op {
        OP_SECCOMP => SyscallInfo::Seccomp {
            number,
            args: [args[0], args[1], args[2], args[3], args[4], args[5]],
            stack_pointer: raw.stack_pointer,
        },
        OP_EXIT => SyscallInfo::Exit {
            result: number.cast_signed(),
        },
        _ => SyscallInfo::None,
    })
}

/// The next traced task, or child, that stopped or ended; None: nothing
/// happened, or there is nobody left (`Err` with ECHILD).
pub fn wait_any() -> io::Result<Option<(i32, RawStatus)>> {
    let mut status = 0;
    // SAFETY: the pointer is to a live int.
    let tid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::WNOHANG) };
    match tid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        tid => Ok(Some((tid, RawStatus(status)))),
    }
}

/// `address` and `data` are numbers, or addresses of live objects of the type
/// that `request` writes: only this module calls it, with the requests above.
fn request(request: libc::c_uint, tid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: the requests of this module write at most the object that `data`
    // points to, and act on `tid` alone, which the kernel checks to be a tracee.
    let result = unsafe {
        libc::ptrace(
            request,
            tid,
            address as *mut libc::c_void,
            data as *mut libc::c_void,
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        // PTRACE_GET_SYSCALL_INFO gives a size.
        _ => Ok(()),
    }
}
