//! The sockets a script has open, by name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
    /// What reports call it; None: the first one without a name.
    pub name: Option<String>,
    /// What it is for.
    pub kind: Kind,
    /// Its descriptor.
    pub fd: OwnedFd,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Every open socket of a script, oldest first.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Vec<Socket>,
    unnamed: u32,
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

    /// Adds the newest socket.
    pub fn push(&mut self, name: Option<String>, kind: Kind, fd: OwnedFd) {
        self.open.push(Socket { name, kind, fd });
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

    /// Takes the socket at `index` out.
    pub fn remove(&mut self, index: usize) -> Socket {
        self.open.remove(index)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }
}
