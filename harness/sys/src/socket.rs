//! accept4(2), whose wrapper in nix returns a bare number, and options of TCP that nix
//! does not have.

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

/// A socket option of TCP with an int as its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpOption {
    /// TCP_SYNCNT.
    Syncnt = nix::libc::TCP_SYNCNT as isize,
    /// TCP_RTO_MAX_MS (include/uapi/linux/tcp.h, Linux 6.15).
    RtoMaxMs = 44,
}

/// setsockopt() at the level IPPROTO_TCP.
///
/// # Errors
/// Of setsockopt(2); ENOPROTOOPT when the kernel does not know the option.
pub fn set_tcp_option(fd: BorrowedFd<'_>, option: TcpOption, value: i32) -> nix::Result<()> {
    let size = size_of::<i32>() as nix::libc::socklen_t;
    // SAFETY: `value` is an int, and `size` is its size.
    let set = unsafe {
        nix::libc::setsockopt(
            fd.as_raw_fd(),
            nix::libc::IPPROTO_TCP,
            option as i32,
            (&raw const value).cast(),
            size,
        )
    };
    nix::errno::Errno::result(set).map(drop)
}
