//! The open sockets of a script: by name for its steps, by number for its event
//! loop.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::epoll_set::EpollSet;
use super::heartbeat::HeartbeatState;

/// From how many sockets on they are waited for by an epoll set.
const EPOLL_MIN: usize = 64;

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It listens.
    Listener,
    /// It is connected, or was.
    Connection,
}

/// An open socket.
#[derive(Debug)]
pub(super) struct Socket {
    /// Its number, which stays the same while others are opened and closed.
    pub id: u32,
    /// Its name in reports; None: the first one without a name.
    pub name: Option<String>,
    /// What it is for.
    pub kind: Kind,
    /// Its descriptor.
    pub fd: OwnedFd,
    /// The address it connected to; None: it was accepted, or it listens.
    pub peer: Option<SocketAddr>,
    /// Its heartbeat.
    pub heartbeat: HeartbeatState,
    /// Nothing more comes from the peer, and the event loop has not returned that yet.
    eof_unreported: bool,
    /// Nothing more comes from the peer: end of file, or an error.
    pub eof: bool,
    /// shutdown(SHUT_WR) was called.
    pub half_closed: bool,
}

/// What remains of a socket that was closed: enough to connect again.
#[derive(Debug, Clone)]
pub(super) struct ClosedSocket {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: Option<String>,
    /// The address it had connected to.
    pub peer: Option<SocketAddr>,
}

impl Socket {
    fn set_eof(&mut self) {
        self.eof_unreported |= !self.eof;
        self.eof = true;
        self.heartbeat.stop_sending();
    }

    /// What remains of it once it is closed.
    pub fn to_closed(&self) -> ClosedSocket {
        ClosedSocket {
            id: self.id,
            name: self.name.clone(),
            peer: self.peer,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Every open socket of a script, oldest first.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    /// The buffer of the event loop's read().
    pub buffer: Vec<u8>,
    open: Vec<Socket>,
    /// What many sockets are waited for by, and the number of the newest socket that
    /// was considered for it.
    epoll_set: Option<(EpollSet, u32)>,
    unnamed: u32,
    made: u32,
}

/// The name of a listener whose step gives none.
pub(super) const LISTENER: &str = "listener";

impl Sockets {
    /// The name of a step's next connection: the `number`th (from 1) of that
    /// step. `name`, `name.2`, `name.3`; without a name None, then `#2`, `#3`
    /// over the whole script.
    pub fn name_connection(&mut self, name: Option<&str>, number: u32) -> Option<String> {
        match (name, number) {
            (Some(name), 1) => Some(name.to_owned()),
            (Some(name), number) => Some(format!("{name}.{number}")),
            (None, _) => {
                self.unnamed += 1;
                (self.unnamed > 1).then(|| format!("#{}", self.unnamed))
            }
        }
    }

    /// Adds the newest socket, one that listens.
    pub fn push_listener(&mut self, name: String, fd: OwnedFd) {
        self.push(
            Some(name),
            Kind::Listener,
            fd,
            None,
            HeartbeatState::default(),
        );
    }

    /// Adds the newest socket, a connection; `peer` is the address it connected to.
    pub fn push_connection(
        &mut self,
        name: Option<String>,
        fd: OwnedFd,
        peer: Option<SocketAddr>,
        heartbeat: HeartbeatState,
    ) {
        self.push(name, Kind::Connection, fd, peer, heartbeat);
    }

    fn push(
        &mut self,
        name: Option<String>,
        kind: Kind,
        fd: OwnedFd,
        peer: Option<SocketAddr>,
        heartbeat: HeartbeatState,
    ) {
        self.made += 1;
        self.open.push(Socket {
            id: self.made,
            name,
            kind,
            fd,
            peer,
            heartbeat,
            eof_unreported: false,
            eof: false,
            half_closed: false,
        });
    }

    /// Puts the connections into the epoll set, if there are many sockets. Once made
    /// the set stays, as a program's epoll descriptor does.
    pub fn update_epoll_set(&mut self) {
        if self.open.len() < EPOLL_MIN {
            return;
        }
        let set = self
            .epoll_set
            .take()
            .or_else(|| Some((EpollSet::new().ok()?, 0)));
        self.epoll_set = set.and_then(|(set, known)| {
            let new = self.open.partition_point(|socket| socket.id <= known);
            for socket in &self.open[new..] {
                if socket.kind == Kind::Connection && !socket.eof {
                    set.add(socket, socket.id).ok()?;
                }
            }
            let newest = self.open.last().map_or(known, |socket| socket.id);
            Some((set, newest.max(known)))
        });
    }

    /// What the connections are waited for by; None: by poll(), each of them.
    pub fn epoll_set(&self) -> Option<&EpollSet> {
        let (set, _) = self.epoll_set.as_ref()?;
        (self.open.len() >= EPOLL_MIN).then_some(set)
    }

    /// End of file, or an error: nothing more comes from the socket at `index`, and it
    /// is not waited for any more.
    pub fn set_eof(&mut self, index: usize) {
        self.open[index].set_eof();
        if let Some((set, _)) = &self.epoll_set {
            set.remove(&self.open[index]);
        }
    }

    /// A forked child uses these sockets from now on. It must not share the epoll set
    /// of its parent.
    pub fn forked(&mut self) {
        self.epoll_set = None;
    }

    /// The connections, oldest first.
    pub fn connections(&self) -> impl Iterator<Item = &Socket> {
        self.open.iter().filter(|s| s.kind == Kind::Connection)
    }

    /// The number of a connection at its end that has not been returned before.
    pub fn take_unreported_eof(&mut self) -> Option<u32> {
        let socket = self.open.iter_mut().find(|s| s.eof_unreported)?;
        socket.eof_unreported = false;
        Some(socket.id)
    }

    /// The index of the socket with this number.
    pub fn by_id(&self, id: u32) -> Option<usize> {
        // The newest has the highest number, so they are in order.
        self.open.binary_search_by_key(&id, |s| s.id).ok()
    }

    /// The index of the newest listener.
    pub fn listener(&self) -> Option<usize> {
        self.open.iter().rposition(|s| s.kind == Kind::Listener)
    }

    /// The index of the newest open connection, or of the newest socket called `name`.
    pub fn find(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(_) => self.open.iter().rposition(|s| s.name.as_deref() == name),
            None => self.open.iter().rposition(|s| s.kind == Kind::Connection),
        }
    }

    /// The indexes of the two newest connections, the older one first.
    pub fn newest_two(&self) -> [Option<usize>; 2] {
        let connections = self.open.iter().enumerate().rev();
        let mut connections = connections
            .filter(|(_, socket)| socket.kind == Kind::Connection)
            .map(|(index, _)| index);
        let newest = connections.next();
        [connections.next(), newest]
    }

    /// The socket at `index`, which comes from [`Self::find`] or [`Self::listener`].
    pub fn at(&self, index: usize) -> &Socket {
        &self.open[index]
    }

    /// The socket at `index`, to be changed.
    pub fn at_mut(&mut self, index: usize) -> &mut Socket {
        &mut self.open[index]
    }

    /// Takes the socket at `index` out.
    pub fn remove(&mut self, index: usize) -> Socket {
        self.open.remove(index)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }
}
