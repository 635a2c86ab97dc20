//! What the kernel knows of a descriptor: its socket's addresses and protocol.
//!
//! A copy of the descriptor (pidfd_getfd(2)) is asked and closed at once. Where
//! that is not allowed (a process that changed its user, and a tracer without
//! CAP_SYS_PTRACE), addresses stay those of the arguments of connect() and bind().

use std::fs;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{SockaddrStorage, getpeername, getsockname, getsockopt, sockopt};

use super::Tracer;
use crate::decode::address::canonical;
use crate::event::{Protocol, SocketId};
use crate::table::Object;
use halfopen_sys::process::{pidfd_getfd, pidfd_open};

/// Both addresses, as far as there are any.
pub(super) type Addresses = (Option<SocketAddr>, Option<SocketAddr>);

impl Tracer<'_> {
    /// Asks the kernel for the addresses of the task's descriptor and keeps them.
    pub(super) fn resolve(&mut self, tid: i32, fd: i32, id: SocketId) {
        if let Some(copy) = self.copy(tid, fd) {
            let (local, peer) = addresses(&copy);
            self.table.set_addresses(id, local, peer);
        }
    }

    /// A descriptor came by a message, from before exec(), or from another
    /// process: finds out whether it is an internet socket, and which.
    pub(super) fn adopt(&mut self, tid: i32, fd: i32, close_on_exec: bool) {
        let Some(inode) = inode(tid, fd) else {
            return self.table.closed(tid, fd);
        };
        if let Some(id) = self.table.by_inode(inode) {
            self.table
                .opened(tid, fd, Object::Socket(id), close_on_exec);
            self.table.arrived(id);
            return;
        }
        let Some((copy, protocol)) = self
            .copy(tid, fd)
            .and_then(|copy| internet(&copy).map(|protocol| (copy, protocol)))
        else {
            return self.table.closed(tid, fd);
        };
        let id = self.table.new_socket(protocol);
        self.table
            .opened(tid, fd, Object::Socket(id), close_on_exec);
        self.table.set_inode(id, inode);
        let (local, peer) = addresses(&copy);
        self.table.set_addresses(id, local, peer);
        if getsockopt(&copy, sockopt::AcceptConn).unwrap_or(false) {
            self.table.set_listening(id);
        }
    }

    /// A socket is about to be passed by a message. It is known by its inode
    /// on the other side, even if this side closes it before it arrives.
    pub(super) fn passing(&mut self, tid: i32, fd: i32) {
        if let Some(socket) = self.table.socket(tid, fd)
            && let Some(inode) = inode(tid, fd)
        {
            self.table.set_inode(socket.id, inode);
            self.table.sent(socket.id);
        }
    }

    /// The sockets that the program was started with.
    pub(super) fn adopt_inherited(&mut self, pid: i32) {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return;
        };
        let fds: Vec<i32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        for fd in fds {
            self.adopt(pid, fd, false);
        }
    }

    fn copy(&mut self, tid: i32, fd: i32) -> Option<OwnedFd> {
        let pid = self.tasks.get(&tid)?.pid;
        let process = self.processes.get_mut(&pid)?;
        if process.pidfd.is_none() {
            process.pidfd = pidfd_open(pid).ok();
        }
        pidfd_getfd(process.pidfd.as_ref()?.as_fd(), fd).ok()
    }
}

/// The inode of a socket: /proc/TID/fd/N is a link to "socket:[INODE]".
fn inode(tid: i32, fd: i32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{tid}/fd/{fd}")).ok()?;
    let link = link.to_str()?;
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

fn addresses(socket: &OwnedFd) -> Addresses {
    let fd = socket.as_raw_fd();
    let local = getsockname::<SockaddrStorage>(fd).ok();
    let peer = getpeername::<SockaddrStorage>(fd).ok();
    // Before bind() and connect() a socket has port 0.
    let bound = local.and_then(|a| address(&a)).filter(|a| a.port() != 0);
    (bound, peer.and_then(|a| address(&a)))
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    let v6 = storage.as_sockaddr_in6()?;
    Some(canonical(SocketAddr::V6((*v6).into())))
}

/// The protocol of an internet socket; None: a socket of another family.
fn internet(socket: &OwnedFd) -> Option<Protocol> {
    let local = getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok()?;
    address(&local)?;
    let kind = getsockopt(socket, sockopt::SockType).ok()?;
    Some(match kind {
        nix::sys::socket::SockType::Stream => Protocol::Tcp,
        nix::sys::socket::SockType::Datagram => Protocol::Udp,
        _ => Protocol::Other,
    })
}
