//! A pipe whose last close kills a process group.
//!
//! Endpoints use it to end with their runner, however the runner ends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::signal::Signal;

/// Makes the kernel kill (SIGKILL) every process of the caller's process group
/// as soon as the last writing end of the pipe `lifeline` is closed: the runner
/// holds it, so endpoints never outlive the runner, however it ended.
///
/// PR_SET_PDEATHSIG would not do: it fires when the parent *thread* ends, and in
/// a forking server it would kill the children along with their parent, which
/// does not happen to a real server's children. A pipe's last close raises SIGIO
/// for its readers (pipe_release() in fs/pipe.c); F_SETSIG turns it into SIGKILL,
/// F_SETOWN sends it to the group. The owner belongs to the open file, so
/// `lifeline` must be an open file of its own; forked children share it.
///
/// # Errors
/// Of fcntl(2).
pub fn kill_group_on_close(lifeline: BorrowedFd<'_>) -> io::Result<()> {
    /// F_SETSIG of asm-generic/fcntl.h; the libc crate does not have it.
    const F_SETSIG: libc::c_int = 10;
    let fd = lifeline.as_fd().as_raw_fd();
    let group = nix::unistd::getpgrp().as_raw();
    for (command, argument) in [
        (libc::F_SETOWN, -group),
        (F_SETSIG, Signal::SIGKILL as i32),
        (libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK),
    ] {
        // SAFETY: the three commands take an integer.
        if unsafe { libc::fcntl(fd, command, argument) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
