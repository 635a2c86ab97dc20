//! fork(), and descriptors of processes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::signal::Signal;
use nix::unistd::ForkResult;

/// fork(), for a process of one thread.
///
/// # Errors
/// EAGAIN and ENOMEM of fork(2); EDEADLK when this process has several threads:
/// the child would inherit locks that nobody is left to release.
pub fn fork_single_threaded() -> nix::Result<ForkResult> {
    // Two links of the directory itself, one more for each thread.
    let threads = nix::sys::stat::stat("/proc/self/task")?.st_nlink;
    if threads > 3 {
        return Err(nix::Error::EDEADLK);
    }
    // SAFETY: the child of a process with one thread may do whatever its parent may.
    unsafe { nix::unistd::fork() }
}

/// fork(), for a process of one thread, of a child that is its *parent's*
/// (CLONE_PARENT): who asked this process for a copy waits for the copy as for
/// any child. `None` in the child.
///
/// By the bare call, as the C library has no word for it. What the library's
/// fork() does besides is for programs with threads, and to note the thread's
/// new number, which nothing here asks the library for.
///
/// # Errors
/// As [`fork_single_threaded`].
pub fn fork_for_parent() -> nix::Result<Option<i32>> {
    let threads = nix::sys::stat::stat("/proc/self/task")?.st_nlink;
    if threads > 3 {
        return Err(nix::Error::EDEADLK);
    }
    let flags = (libc::CLONE_PARENT | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: a clone() that shares nothing, on a copy of the stack (0), of a
    // process with one thread; the other three pointers go with flags that are
    // not set, so that their order, which differs by architecture, is no matter.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match nix::errno::Errno::result(child)? {
        0 => Ok(None),
        child => Ok(Some(i32::try_from(child).unwrap_or(i32::MAX))),
    }
}

/// A descriptor of the process `pid`, readable once it has ended: pidfd_open(2), Linux 5.3.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers, gives a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else knows (it is close-on-exec by birth).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes the kernel kill (SIGKILL) every process of the caller's process group
/// as soon as the last writing end of the pipe `lifeline` is closed: the runner
/// holds it, so endpoints never outlive the runner, however it ended.
///
/// PR_SET_PDEATHSIG would not do: it fires when the parent *thread* ends, and in
/// a forking server it would take the children along with their parent, which no
/// real server's children do. A pipe's last close raises SIGIO for its readers
/// (pipe_release() in fs/pipe.c); F_SETSIG makes a SIGKILL of it, F_SETOWN sends
/// it to the group. The owner belongs to the open file, so `lifeline` must be an
/// open of its own; forked children share it.
///
/// # Errors
/// Of fcntl(2).
pub fn die_with(lifeline: BorrowedFd<'_>) -> io::Result<()> {
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
