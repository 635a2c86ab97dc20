//! An epoll(7) set of sockets, each known by a number. It is itself a descriptor
//! that poll() can wait for.
//!
//! poll() asks every descriptor each time (`do_poll()`, fs/select.c), so a server
//! that accepts a thousand connections one after the other would ask half a million
//! times.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// How many ready sockets are returned at once; the others are returned by the
/// next call.
const MAX_EVENTS: usize = 64;

/// The set.
#[derive(Debug)]
pub(super) struct EpollSet {
    set: Epoll,
}

impl EpollSet {
    /// Empty.
    pub fn new() -> nix::Result<Self> {
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(EpollSet { set })
    }

    /// Waits for data on a socket, too. A socket leaves the set when it is closed.
    pub fn add(&self, socket: &impl AsFd, number: u32) -> nix::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number.into());
        self.set.add(socket, event)
    }

    /// Waits for a socket no longer.
    pub fn remove(&self, socket: &impl AsFd) {
        // ENOENT: it was never in the set.
        let _ = self.set.delete(socket);
    }

    /// The numbers of sockets that have something to read.
    pub fn ready(&self) -> nix::Result<Vec<u32>> {
        let mut events = [EpollEvent::empty(); MAX_EVENTS];
        let count = self.set.wait(&mut events, EpollTimeout::ZERO)?;
        let numbers = events[..count].iter().map(EpollEvent::data);
        Ok(numbers.filter_map(|id| u32::try_from(id).ok()).collect())
    }
}

impl AsFd for EpollSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.0.as_fd()
    }
}
