//! Descriptors that pass an exec: given to exactly one child, taken over by it.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::descriptors;

/// Starts `command` with `inherited` (besides the standard descriptors) and no
/// other descriptor. Their numbers stay what they are here.
///
/// All of them may be close-on-exec in this process: the flag is cleared in the
/// child, between fork() and exec(), so that a sibling that another thread
/// starts at the same moment never gets them.
///
/// The child has the limit of descriptors that this process was started with.
///
/// # Errors
/// Of fork() and exec(), and when a number is not an open descriptor.
pub fn spawn_inheriting(command: &mut Command, inherited: Vec<RawFd>) -> io::Result<Child> {
    let limit = descriptors::original_limit();
    let prepare = move || {
        limit.map_or(Ok(()), descriptors::set_limit)?;
        // What a library opened here without O_CLOEXEC must not pin a socket
        // or a pipe over there. Kernels before 5.11 do not know the flag; then
        // close-on-exec at the place of opening has to do.
        // SAFETY: close_range() takes three integers; with CLOEXEC it closes
        // nothing, so no descriptor that somebody owns becomes invalid.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                3u32,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
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

/// Takes over a descriptor that this process inherited under the number `fd`,
/// and makes it close-on-exec.
///
/// # Errors
/// EBADF when it is not open; EBUSY when it is close-on-exec already, so taken
/// over before or opened by this process; EINVAL when it is a standard
/// descriptor, which Rust's own library uses.
pub fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= libc::STDERR_FILENO {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: only looked up; a number that is not open gives EBADF.
    let looked_up = unsafe { BorrowedFd::borrow_raw(fd) };
    if fcntl(looked_up, FcntlArg::F_GETFD)? & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    fcntl(looked_up, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and it has no owner yet: everything that Rust opens
    // is close-on-exec, and so is what was taken over here before.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
