//! accept4(2), whose wrapper in nix returns a bare number, and what nix does not have of
//! TCP: options, and the state of a connection.

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

/// getsockopt(TCP_INFO): what the kernel knows of a connection. What an older kernel does
/// not know is 0.
///
/// # Errors
/// Of getsockopt(2); ENOTSOCK and EOPNOTSUPP for what is no TCP socket.
pub fn tcp_info(fd: BorrowedFd<'_>) -> nix::Result<nix::libc::tcp_info> {
    let mut info = std::mem::MaybeUninit::<nix::libc::tcp_info>::zeroed();
    let mut size = size_of::<nix::libc::tcp_info>() as nix::libc::socklen_t;
    // SAFETY: `info` has room for `size` bytes.
    let got = unsafe {
        nix::libc::getsockopt(
            fd.as_raw_fd(),
            nix::libc::IPPROTO_TCP,
            nix::libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    nix::errno::Errno::result(got)?;
    // SAFETY: integers alone, for which zeroes are values; the kernel has written some.
    Ok(unsafe { info.assume_init() })
}

/// ioctl(SIOCOUTQ): the bytes of a TCP socket that its peer has not acknowledged, sent or
/// not.
///
/// # Errors
/// Of ioctl(2).
pub fn bytes_queued(fd: BorrowedFd<'_>) -> nix::Result<u32> {
    nix::ioctl_read_bad!(outq, nix::libc::TIOCOUTQ, nix::libc::c_int);
    let mut count = 0;
    // SAFETY: writes an int (tcp_ioctl(); SIOCOUTQ is TIOCOUTQ).
    unsafe { outq(fd.as_raw_fd(), &raw mut count)? };
    Ok(u32::try_from(count).unwrap_or(0))
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
