//! The system calls of a script, a wrapper for each: plain, blocking, reported.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, GetSockOpt, SetSockOpt, Shutdown, SockFlag, SockType, SockaddrStorage,
    sockopt,
};

use super::report::{Reporter, Site};
use super::sockets::Socket;
use halfopen_outcome::record::CallResult;
use halfopen_sys::poll::{Entry, poll};
use halfopen_sys::socket::{TcpOption, set_tcp_option};

/// How a poll() ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polled {
    /// A descriptor is ready.
    Ready,
    /// The limit passed.
    TimedOut,
    /// It failed.
    Failed(Errno),
}

/// The result of a call whose value has no meaning: 0.
fn zero<T>(_: &T) -> CallResult {
    CallResult::Value(0)
}

/// The result of a call that counts bytes.
fn count(bytes: &usize) -> CallResult {
    CallResult::Value(i64::try_from(*bytes).unwrap_or(i64::MAX))
}

/// The result of a call that returns a descriptor.
fn descriptor(fd: &OwnedFd) -> CallResult {
    CallResult::Value(fd.as_raw_fd().into())
}

impl Reporter {
    /// socket(): TCP, close-on-exec.
    pub fn socket(
        &mut self,
        site: Site<'_>,
        address: &SocketAddr,
        nonblocking: bool,
    ) -> nix::Result<OwnedFd> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let mut flags = SockFlag::SOCK_CLOEXEC;
        flags.set(SockFlag::SOCK_NONBLOCK, nonblocking);
        let socket = || nix::sys::socket::socket(family, SockType::Stream, flags, None);
        self.call("socket", site, socket, descriptor)
    }

    /// bind().
    pub fn bind(&mut self, site: Site<'_>, fd: &OwnedFd, address: SocketAddr) -> nix::Result<()> {
        let address = SockaddrStorage::from(address);
        self.call(
            "bind",
            site,
            || nix::sys::socket::bind(fd.as_raw_fd(), &address),
            zero,
        )
    }

    /// listen(). The kernel limits `backlog` to net.core.somaxconn.
    pub fn listen(&mut self, site: Site<'_>, fd: &OwnedFd, backlog: u32) -> nix::Result<()> {
        // nix's Backlog is limited to 4096 (SOMAXCONN).
        let backlog = i32::try_from(backlog)
            .ok()
            .and_then(|b| Backlog::new(b).ok())
            .unwrap_or(Backlog::MAXCONN);
        self.call(
            "listen",
            site,
            || nix::sys::socket::listen(fd, backlog),
            zero,
        )
    }

    /// accept().
    pub fn accept(&mut self, site: Site<'_>, listener: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
        self.call(
            "accept",
            site,
            || halfopen_sys::socket::accept(listener),
            descriptor,
        )
    }

    /// connect().
    pub fn connect(
        &mut self,
        site: Site<'_>,
        fd: &OwnedFd,
        address: SocketAddr,
    ) -> nix::Result<()> {
        let address = SockaddrStorage::from(address);
        self.call(
            "connect",
            site,
            || nix::sys::socket::connect(fd.as_raw_fd(), &address),
            zero,
        )
    }

    /// getsockopt(SO_ERROR): returns the socket's pending error as if the call had
    /// failed with it. It clears the error (sock_getsockopt() in net/core/sock.c), so
    /// it is called where a program calls it, after a non-blocking connect(), and
    /// nowhere else.
    pub fn socket_error(&mut self, site: Site<'_>, fd: &OwnedFd) -> nix::Result<()> {
        let pending = || match sockopt::SocketError.get(fd)? {
            0 => Ok(()),
            error => Err(Errno::from_raw(error)),
        };
        self.call("getsockopt", site, pending, zero)
    }

    /// setsockopt() for a detector, reported.
    pub fn set_detector_option<O: SetSockOpt>(
        &mut self,
        site: Site<'_>,
        fd: &impl AsFd,
        option: O,
        value: &O::Val,
    ) -> nix::Result<()> {
        self.call("setsockopt", site, || option.set(&fd.as_fd(), value), zero)
    }

    /// setsockopt() of an option that nix does not have, reported.
    pub fn set_tcp_option(
        &mut self,
        site: Site<'_>,
        fd: &impl AsFd,
        option: TcpOption,
        value: i32,
    ) -> nix::Result<()> {
        let set = || set_tcp_option(fd.as_fd(), option, value);
        self.call("setsockopt", site, set, zero)
    }

    /// setsockopt(), reported only when it fails.
    pub fn set_option<O: SetSockOpt>(
        &mut self,
        site: Site<'_>,
        fd: &impl AsFd,
        option: O,
        value: &O::Val,
    ) -> nix::Result<()> {
        self.call_if_it_fails("setsockopt", site, || option.set(&fd.as_fd(), value))
    }

    /// fcntl(): blocking from now on. Reported only when it fails.
    pub fn make_blocking(&mut self, site: Site<'_>, fd: &OwnedFd) -> nix::Result<()> {
        let clear = || fcntl(fd, FcntlArg::F_SETFL(OFlag::empty())).map(drop);
        self.call_if_it_fails("fcntl", site, clear)
    }

    /// read().
    pub fn read(
        &mut self,
        site: Site<'_>,
        fd: BorrowedFd<'_>,
        buffer: &mut [u8],
    ) -> nix::Result<usize> {
        self.call("read", site, || nix::unistd::read(fd, buffer), count)
    }

    /// write(). On a broken connection it gives EPIPE and SIGPIPE.
    pub fn write(&mut self, site: Site<'_>, fd: BorrowedFd<'_>, data: &[u8]) -> nix::Result<usize> {
        self.call("write", site, || nix::unistd::write(fd, data), count)
    }

    /// shutdown(SHUT_WR).
    pub fn half_close(&mut self, socket: &Socket, line: u32) -> nix::Result<()> {
        let site = Site {
            conn: socket.name.as_deref(),
            line,
        };
        let fd = socket.fd.as_raw_fd();
        self.call(
            "shutdown",
            site,
            || nix::sys::socket::shutdown(fd, Shutdown::Write),
            zero,
        )
    }

    /// close(). The descriptor is gone whatever it returns (close(2)).
    pub fn close(&mut self, site: Site<'_>, fd: OwnedFd) -> nix::Result<()> {
        self.call("close", site, || nix::unistd::close(fd), zero)
    }

    /// poll() in an event loop: which descriptors are ready. Each name is reported
    /// once. A limit that passes is the loop's own period, no sign, and is reported as
    /// poll() returning 0.
    pub fn wait(
        &mut self,
        site: Site<'_>,
        on: &[(&str, BorrowedFd<'_>, i16)],
        limit: Option<Duration>,
    ) -> nix::Result<Vec<bool>> {
        let mut entries: Vec<_> = on
            .iter()
            .map(|&(_, fd, asked)| Entry::new(fd, asked))
            .collect();
        self.call(
            "poll",
            site,
            || poll(&mut entries, millis(limit)).map(|ready| (ready, entries)),
            |(ready, entries)| match ready {
                0 => CallResult::Value(0),
                _ => {
                    let mut words = events(on, entries);
                    words.sort_unstable();
                    words.dedup();
                    CallResult::Ready(words)
                }
            },
        )
        .map(|(_, entries)| entries.iter().map(Entry::is_ready).collect())
    }

    /// poll() on descriptors, each with its name in the report and the events asked
    /// for; `limit` is rounded up to milliseconds, None: no limit.
    pub fn poll(
        &mut self,
        site: Site<'_>,
        on: &[(&str, BorrowedFd<'_>, i16)],
        limit: Option<Duration>,
    ) -> Polled {
        let mut entries: Vec<_> = on
            .iter()
            .map(|&(_, fd, asked)| Entry::new(fd, asked))
            .collect();
        let polled = self.call(
            "poll",
            site,
            move || poll(&mut entries, millis(limit)).map(|ready| (ready, entries)),
            |(ready, entries)| match ready {
                0 => CallResult::TimedOut,
                _ => CallResult::Ready(events(on, entries)),
            },
        );
        match polled {
            Ok((0, _)) => Polled::TimedOut,
            Ok(_) => Polled::Ready,
            Err(errno) => Polled::Failed(errno),
        }
    }
}

/// A limit in poll()'s unit, rounded up; -1: no limit.
fn millis(limit: Option<Duration>) -> i32 {
    limit.map_or(-1, |limit| {
        i32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    })
}

/// `socket:IN|RDHUP` for each descriptor with events.
fn events(on: &[(&str, BorrowedFd<'_>, i16)], entries: &[Entry<'_>]) -> Vec<String> {
    let words = on
        .iter()
        .zip(entries)
        .map(|(&(name, ..), entry)| (name, entry.words()));
    words
        .filter(|(_, words)| !words.is_empty())
        .map(|(name, words)| format!("{name}:{words}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::report::errno_result;

    #[test]
    fn errno_is_shown_by_name() {
        assert_eq!(
            errno_result(Errno::ETIMEDOUT),
            CallResult::Errno("ETIMEDOUT".into())
        );
        assert_eq!(
            errno_result(Errno::EWOULDBLOCK),
            CallResult::Errno("EAGAIN".into())
        );
    }
}
