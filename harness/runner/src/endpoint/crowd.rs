//! Waiting for one of very many connections: an epoll(7) set, which is itself a
//! descriptor that poll() can wait for.
//!
//! poll() asks every descriptor each time (`do_poll()`, fs/select.c), so that a
//! server of a thousand that accepts one after the other asks half a million.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::sockets::{Kind, Socket};

/// From so many sockets on.
pub(super) const MANY: usize = 64;

/// What one look tells of at most; the others are told at the next.
const AT_ONCE: usize = 64;

/// The set, and which sockets have been put into it.
#[derive(Debug)]
pub(super) struct Crowd {
    set: Epoll,
    /// All with a number up to this one.
    known: u32,
}

impl Crowd {
    /// Empty.
    pub fn new() -> nix::Result<Self> {
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Crowd { set, known: 0 })
    }

    /// Puts in what is new among `open`, oldest first. A socket that is closed is
    /// out by itself.
    pub fn admit(&mut self, open: &[Socket]) -> nix::Result<()> {
        let new = open.partition_point(|socket| socket.id <= self.known);
        for socket in &open[new..] {
            self.known = socket.id;
            if socket.kind == Kind::Connection && !socket.over {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, socket.id.into());
                self.set.add(socket, event)?;
            }
        }
        Ok(())
    }

    /// The numbers of sockets that have something to read.
    pub fn ready(&self) -> nix::Result<Vec<u32>> {
        let mut events = [EpollEvent::empty(); AT_ONCE];
        let count = self.set.wait(&mut events, EpollTimeout::ZERO)?;
        let numbers = events[..count].iter().map(EpollEvent::data);
        Ok(numbers.filter_map(|id| u32::try_from(id).ok()).collect())
    }

    /// Nothing more is wanted of this one.
    pub fn dismiss(&self, socket: &Socket) {
        // ENOENT: it was never in.
        let _ = self.set.delete(socket);
    }
}

impl AsFd for Crowd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.0.as_fd()
    }
}
