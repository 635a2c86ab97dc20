//! fork(), waiting for signals, leaving at once.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{ForkResult, Pid, fork};

/// Which side of a fork the caller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In the parent.
    Parent {
        /// The child.
        child: Pid,
    },
    /// In the child.
    Child,
}

/// fork(2), for a process that has a single thread.
///
/// # Errors
/// `ErrorKind::Unsupported` when the process has several threads: a child
/// forked from one of them may find the allocator's lock taken for ever.
pub fn fork_single_threaded() -> io::Result<Side> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("this process has {threads} threads"),
        ));
    }
    // SAFETY: the process has one thread, so no lock can be held by another
    // one and the child may do whatever the parent may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Side::Parent { child }),
        ForkResult::Child => Ok(Side::Child),
    }
}

/// Leaves the process without running destructors or exit handlers, which
/// belong to the process that it was forked from.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) takes any status and does not return.
    unsafe { libc::_exit(status) }
}

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The kernel: the terminal's Ctrl-C, which every process of the
    /// foreground group gets, or the end of a child.
    Kernel,
    /// A process, by kill().
    Process,
}

/// Waits for one of the signals in `set`, which must be blocked (sigwaitinfo(2)).
///
/// # Errors
/// EINTR, and nothing else.
pub fn wait_signal(set: &SigSet) -> io::Result<(Signal, Sender)> {
    // SAFETY: siginfo_t is plain data for which all zeroes is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live objects of the right type.
    let number = unsafe { libc::sigwaitinfo(set.as_ref(), &mut info) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    let signal = Signal::try_from(number)?;
    let sender = if info.si_code == libc::SI_USER || info.si_code == libc::SI_QUEUE {
        Sender::Process
    } else {
        Sender::Kernel
    };
    Ok((signal, sender))
}
