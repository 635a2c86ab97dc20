//! Child processes that the kernel kills when their parent ends.
//!
//! The vm layer starts QEMU so.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// Starts `command` with `inherited` besides its standard descriptors, under
/// their own numbers. The kernel kills it (PR_SET_PDEATHSIG: SIGKILL) when the
/// calling *thread* ends, however that happens: the caller must be the one that
/// waits for the child.
///
/// # Errors
/// Of fork() and exec(), and when a number is not an open descriptor.
pub fn spawn_with_pdeathsig(command: &mut Command, inherited: Vec<RawFd>) -> io::Result<Child> {
    let parent = nix::unistd::getpid();
    let prepare = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before PR_SET_PDEATHSIG was set.
        if getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for &fd in &inherited {
            // SAFETY: the number is only looked up; the caller of spawn() keeps
            // it open, and fork() copied it.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls and nothing else: no allocation,
    // no lock, as the time between fork() and exec() requires.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}
