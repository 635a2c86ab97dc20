//! fork(), leaving a process, and descriptors that name a process.
//!
//! Needs the caller's word on threads and locks where nothing else can know
//! them. The sandbox, the endpoints' template and the guest's first process use
//! it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::ForkResult;

/// How many threads this process has.
///
/// # Errors
/// When /proc is not mounted.
pub fn thread_count() -> nix::Result<u64> {
    // Two links are those of the directory itself, one more belongs to each
    // thread (proc_task_getattr()). Cheaper than to list them: a forking server
    // does this for each connection.
    let links = nix::sys::stat::stat("/proc/self/task")?.st_nlink;
    Ok((links as u64).saturating_sub(2))
}

fn refuse_threads() -> nix::Result<()> {
    match thread_count()? {
        0 | 1 => Ok(()),
        _ => Err(nix::Error::EDEADLK),
    }
}

/// fork(2), for a process of one thread.
///
/// # Errors
/// EAGAIN and ENOMEM of fork(2); EDEADLK when this process has several threads:
/// the child would inherit locks, the allocator's for one, that no thread is
/// left to release.
pub fn fork_single_threaded() -> nix::Result<ForkResult> {
    refuse_threads()?;
    // SAFETY: the process has one thread, so no lock can be held by another one
    // and the child may do whatever its parent may.
    unsafe { nix::unistd::fork() }
}

/// fork(2), for a process of one thread, of a child whose parent is the
/// caller's *parent* (CLONE_PARENT): the process that asked the caller for a
/// copy waits for the copy as for any child. Returns the child's process ID,
/// and `None` in the child.
///
/// Makes the bare system call, because the C library has no function for it.
///
/// # Errors
/// As [`fork_single_threaded`].
///
/// # Safety
/// The C library does not learn of this fork: it runs no pthread_atfork()
/// handlers and goes on showing the child its parent's thread ID. The child must
/// not use what depends on either (raise(3), robust or error-checking mutexes),
/// and nothing in the process may have registered handlers that the child needs.
pub unsafe fn fork_for_parent() -> nix::Result<Option<i32>> {
    refuse_threads()?;
    let flags = (libc::CLONE_PARENT | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: a clone() that shares nothing, on a copy of the stack (0), of a
    // process with one thread; the other three pointers go with flags that are
    // not set, so that their order, which differs by architecture, is no matter.
    // What the C library does not learn is the caller's promise.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match nix::errno::Errno::result(child)? {
        0 => Ok(None),
        child => Ok(Some(i32::try_from(child).unwrap_or(i32::MAX))),
    }
}

/// Leaves the process without running destructors or exit handlers, which
/// belong to the process that it was forked from: _exit(2).
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) takes any status and does not return.
    unsafe { libc::_exit(status) }
}

/// A descriptor of the process `pid`, readable once it has ended:
/// pidfd_open(2), Linux 5.3.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers, returns a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(fd)
}

/// A copy of the descriptor `fd` of another process: pidfd_getfd(2), Linux 5.6.
///
/// # Errors
/// EBADF when the process has no such descriptor; EPERM without the right to
/// trace it (ptrace(2), PTRACE_MODE_ATTACH_REALCREDS).
pub fn pidfd_getfd(process: BorrowedFd<'_>, fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes three integers, returns a descriptor or -1.
    let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
    owned(copy)
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that has no other owner; the kernel makes it
    // close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives SIGPIPE, which Rust programs ignore, its default action: exec() would
/// hand the ignoring on.
///
/// # Errors
/// Those of sigaction(2).
pub fn reset_sigpipe() -> io::Result<()> {
    // SAFETY: the default action runs no code of this process.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    Ok(())
}

/// dup2(2) to a number that need not be an open descriptor.
///
/// # Errors
/// Those of dup2(2).
///
/// # Safety
/// Closes what `to` names: nothing in the process may own it. A child that is
/// about to exec owns its standard descriptors alone.
pub unsafe fn dup_to(fd: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: takes two integers; who owns `to` is the caller's promise.
    match unsafe { libc::dup2(fd, to) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// kill(2) by the signal's number: nix has no real-time signals.
///
/// # Errors
/// Those of kill(2).
pub fn send_signal(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two integers.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
