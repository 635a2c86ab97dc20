//! Which sockets an epoll instance waits for.
//!
//! epoll_wait() gives back whatever the program stored with epoll_ctl(), which
//! need not be a descriptor, so the tracer has to remember it.

use std::collections::BTreeMap;

use super::{DescriptorTable, Object};
use crate::Readiness;
use crate::event::{Ready, SocketId};

/// Identifies an epoll instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EpollId(u32);

#[derive(Debug, Clone, Copy)]
struct Watched {
    socket: SocketId,
    data: u64,
    events: Readiness,
}

/// The sockets of one instance, by the descriptor they were added with.
#[derive(Debug, Default)]
pub(super) struct Interest(BTreeMap<i32, Watched>);

impl Interest {
    pub(super) fn forget(&mut self, socket: SocketId) {
        self.0.retain(|_, watched| watched.socket != socket);
    }
}

impl DescriptorTable {
    /// A new epoll instance, which [`Self::opened`] gives a descriptor.
    pub fn new_epoll(&mut self) -> EpollId {
        let id = EpollId(self.next_epoll);
        self.next_epoll += 1;
        self.epolls.insert(id, (0, Interest::default()));
        id
    }

    /// epoll_ctl(EPOLL_CTL_ADD) or (EPOLL_CTL_MOD) succeeded.
    pub fn epoll_added(&mut self, task: i32, epfd: i32, fd: i32, events: Readiness, data: u64) {
        let Some(Object::Socket(socket)) = self.object(task, fd) else {
            return;
        };
        if let Some(interest) = self.interest(task, epfd) {
            let watched = Watched {
                socket,
                data,
                events,
            };
            interest.0.insert(fd, watched);
        }
    }

    /// epoll_ctl(EPOLL_CTL_DEL) succeeded.
    pub fn epoll_removed(&mut self, task: i32, epfd: i32, fd: i32) {
        if let Some(interest) = self.interest(task, epfd) {
            interest.0.remove(&fd);
        }
    }

    /// The sockets that the instance waits for.
    pub fn epoll_sockets(&self, task: i32, epfd: i32) -> Vec<Ready> {
        let Some(Object::Epoll(id)) = self.object(task, epfd) else {
            return Vec::new();
        };
        let Some((_, interest)) = self.epolls.get(&id) else {
            return Vec::new();
        };
        let ready = |(fd, watched): (&i32, &Watched)| {
            Some(Ready {
                fd: *fd,
                socket: self.get(watched.socket)?,
                events: watched.events,
            })
        };
        interest.0.iter().filter_map(ready).collect()
    }

    /// Whether the instance waits for any socket.
    pub fn epoll_has_sockets(&self, task: i32, epfd: i32) -> bool {
        let Some(Object::Epoll(id)) = self.object(task, epfd) else {
            return false;
        };
        self.epolls
            .get(&id)
            .is_some_and(|(_, interest)| !interest.0.is_empty())
    }

    /// The socket for which epoll_wait() gave `data`. Where a program stored the
    /// same value twice, the lowest descriptor is named.
    pub fn epoll_ready(&self, task: i32, epfd: i32, data: u64, events: Readiness) -> Option<Ready> {
        let Object::Epoll(id) = self.object(task, epfd)? else {
            return None;
        };
        let (_, interest) = self.epolls.get(&id)?;
        let (fd, watched) = interest
            .0
            .iter()
            .find(|(_, watched)| watched.data == data)?;
        Some(Ready {
            fd: *fd,
            socket: self.get(watched.socket)?,
            events,
        })
    }

    fn interest(&mut self, task: i32, epfd: i32) -> Option<&mut Interest> {
        let Object::Epoll(id) = self.object(task, epfd)? else {
            return None;
        };
        self.epolls.get_mut(&id).map(|(_, interest)| interest)
    }
}
