//! fork() and what a child does to become an ordinary program.

use std::io;
use std::os::fd::RawFd;

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{ForkResult, fork};

/// fork(2), for a process that has a single thread: Some(child) in the parent,
/// None in the child.
///
/// # Errors
/// `ErrorKind::Unsupported` when the process has several threads.
pub(crate) fn fork_single_threaded() -> io::Result<Option<i32>> {
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
        ForkResult::Parent { child } => Ok(Some(child.as_raw())),
        ForkResult::Child => Ok(None),
    }
}

/// Leaves the process without running destructors or exit handlers.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) takes any status and does not return.
    unsafe { libc::_exit(status) }
}

/// Gives SIGPIPE, which Rust programs ignore, its default action: exec() would
/// hand the ignoring on.
pub(crate) fn reset_sigpipe() -> io::Result<()> {
    // SAFETY: the default action runs no code of this process.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    Ok(())
}

/// dup2(2) to a number that need not be an open descriptor.
pub(crate) fn dup_to(fd: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: takes two numbers. Closes `to`, which only the child that is
    // about to exec does, with the standard descriptors.
    match unsafe { libc::dup2(fd, to) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// kill(2), with a number: nix has no real-time signals.
pub(crate) fn send_signal(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two numbers.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
