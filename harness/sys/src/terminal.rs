//! The terminal's size, for tables and progress bars, and for terminals in guests.

use std::os::fd::{AsFd, AsRawFd};

/// How many columns the terminal behind `fd` has; None when `fd` is not a
/// terminal or the terminal does not know (ioctl_tty(2), TIOCGWINSZ).
pub fn columns(fd: impl AsFd) -> Option<u16> {
    size(fd).map(|(_, columns)| columns)
}

/// Its rows and columns; None as for [`columns`].
pub fn size(fd: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one winsize to a valid, exclusive pointer, and
    // the descriptor is open for as long as it is borrowed.
    let answer = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (answer == 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
