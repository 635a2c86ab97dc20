//! poll(2) with the events that nix does not know (POLLRDHUP).
//!
//! Endpoints use it for what a scenario's `poll` steps ask for and report.

use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// There is something to read.
pub const IN: i16 = libc::POLLIN;
/// write() would not block; a connect() has ended.
pub const OUT: i16 = libc::POLLOUT;
/// The peer sent FIN.
pub const RDHUP: i16 = libc::POLLRDHUP;

/// A descriptor, the events asked of it, and after [`poll`] those it has.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Entry<'fd> {
    raw: libc::pollfd,
    borrows: PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> Entry<'fd> {
    /// Asks for `events`; the kernel reports ERR, HUP and NVAL in any case.
    pub fn new(fd: BorrowedFd<'fd>, events: i16) -> Self {
        let raw = libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        };
        Entry {
            raw,
            borrows: PhantomData,
        }
    }

    /// Whether [`poll`] found any events.
    pub fn is_ready(&self) -> bool {
        self.raw.revents != 0
    }

    /// The events there are, by poll(2)'s names without their prefix: `IN|RDHUP`.
    /// Empty when there are none.
    pub fn words(&self) -> String {
        const WORDS: [(i16, &str); 7] = [
            (libc::POLLIN, "IN"),
            (libc::POLLPRI, "PRI"),
            (libc::POLLOUT, "OUT"),
            (libc::POLLRDHUP, "RDHUP"),
            (libc::POLLERR, "ERR"),
            (libc::POLLHUP, "HUP"),
            (libc::POLLNVAL, "NVAL"),
        ];
        let there = WORDS
            .iter()
            .filter(|(event, _)| self.raw.revents & event != 0);
        there.map(|&(_, word)| word).collect::<Vec<_>>().join("|")
    }
}

/// poll(2): how many entries have events. `millis` is the timeout; -1 waits
/// without limit.
///
/// # Errors
/// Of poll(2); EINTR after SIGSTOP and SIGCONT, too (signal(7)).
pub fn poll(entries: &mut [Entry<'_>], millis: i32) -> nix::Result<i32> {
    let count = libc::nfds_t::try_from(entries.len()).map_err(|_| nix::Error::EINVAL)?;
    // SAFETY: Entry is a pollfd (repr(transparent)), the slice holds `count` of
    // them, and the borrows keep the descriptors open.
    let ready = unsafe { libc::poll(entries.as_mut_ptr().cast(), count, millis) };
    nix::errno::Errno::result(ready)
}
