//! accept4(2), whose wrapper in nix returns a bare number.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::socket::{SockFlag, accept4};

/// accept4() with SOCK_CLOEXEC: the next connection of `listener`.
///
/// # Errors
/// Of accept(2); EINTR when a signal handler ran.
pub fn accept(listener: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let fd = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: a new descriptor that has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
