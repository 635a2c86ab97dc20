//! The sockets a script has open, by name.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::crowd::{Crowd, MANY};
use super::heart::Heart;

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
    /// Its number, by which it is known while others come and go.
    pub id: u32,
    /// What reports call it; None: the first one without a name.
    pub name: Option<String>,
    /// What it is for.
    pub kind: Kind,
    /// Its descriptor.
    pub fd: OwnedFd,
    /// Whom it connected to; None: it was accepted, or it listens.
    pub peer: Option<SocketAddr>,
    /// Its heart.
    pub heart: Heart,
    /// The peer has nothing more to say; nobody has been told yet.
    untold: bool,
    /// The peer has nothing more to say.
    pub over: bool,
    /// This end has said all it will.
    pub half_closed: bool,
}

/// What is left of a socket that was closed: enough to connect again.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: Option<String>,
    /// Whom it had connected to.
    pub peer: Option<SocketAddr>,
}

impl Socket {
    fn end(&mut self) {
        self.untold |= !self.over;
        self.over = true;
        self.heart.falls_silent();
    }

    /// What outlives it.
    pub fn gone(&self) -> Gone {
        Gone {
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
    /// What is read goes here first.
    pub buffer: Vec<u8>,
    open: Vec<Socket>,
    /// Where there are many.
    crowd: Option<Crowd>,
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
        self.push(Some(name), Kind::Listener, fd, None, Heart::default());
    }

    /// Adds the newest socket, a connection; `peer` is whom it connected to.
    pub fn push_connection(
        &mut self,
        name: Option<String>,
        fd: OwnedFd,
        peer: Option<SocketAddr>,
        heart: Heart,
    ) {
        self.push(name, Kind::Connection, fd, peer, heart);
    }

    fn push(
        &mut self,
        name: Option<String>,
        kind: Kind,
        fd: OwnedFd,
        peer: Option<SocketAddr>,
        heart: Heart,
    ) {
        self.made += 1;
        self.open.push(Socket {
            id: self.made,
            name,
            kind,
            fd,
            peer,
            heart,
            untold: false,
            over: false,
            half_closed: false,
        });
    }

    /// Puts all into the crowd, if they are that many. Once made it stays, as a
    /// program's epoll descriptor does.
    pub fn gather(&mut self) {
        if self.open.len() < MANY {
            return;
        }
        let mut crowd = self.crowd.take().or_else(|| Crowd::new().ok());
        let admitted = crowd.as_mut().map(|crowd| crowd.admit(&self.open));
        self.crowd = crowd.filter(|_| matches!(admitted, Some(Ok(()))));
    }

    /// Those to wait for together; None: they are waited for one by one.
    pub fn crowd(&self) -> Option<&Crowd> {
        self.crowd.as_ref().filter(|_| self.open.len() >= MANY)
    }

    /// End of file, or an error: nothing more will come of the socket at `index`,
    /// and nobody waits for it any more.
    pub fn end(&mut self, index: usize) {
        self.open[index].end();
        if let Some(crowd) = &self.crowd {
            crowd.dismiss(&self.open[index]);
        }
    }

    /// A process of its own, with descriptors of its own, uses these from now on.
    pub fn forked(&mut self) {
        self.crowd = None;
    }

    /// The connections, oldest first.
    pub fn connections(&self) -> impl Iterator<Item = &Socket> {
        self.open.iter().filter(|s| s.kind == Kind::Connection)
    }

    /// The number of a connection that is over and that nobody has been told of.
    pub fn take_over(&mut self) -> Option<u32> {
        let socket = self.open.iter_mut().find(|s| s.untold)?;
        socket.untold = false;
        Some(socket.id)
    }

    /// Where the socket with this number is.
    pub fn by_id(&self, id: u32) -> Option<usize> {
        // The youngest has the highest number: they stay in order.
        self.open.binary_search_by_key(&id, |s| s.id).ok()
    }

    /// The newest listener.
    pub fn listener(&self) -> Option<usize> {
        self.open.iter().rposition(|s| s.kind == Kind::Listener)
    }

    /// The newest open connection, or the newest socket called `name`.
    pub fn find(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(_) => self.open.iter().rposition(|s| s.name.as_deref() == name),
            None => self.open.iter().rposition(|s| s.kind == Kind::Connection),
        }
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
