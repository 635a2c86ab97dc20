//! The event loop of a lane that has heartbeats or serves several connections: one
//! poll() for everything it waits for, during which beats are sent, answered and
//! missed. `heartbeat_steps` and `multiplex` wait by it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt;

use super::heartbeat::ANSWER;
use super::report::{Reporter, Site};
use super::sockets::{ClosedSocket, Kind, Socket, Sockets};
use halfopen_scenario::case::OnSilence;
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::poll;

/// How many bytes one read() takes at most.
const CHUNK: usize = 64 * 1024;

/// What a lane waits for, besides the heartbeats of its connections.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct WaitFor<'a> {
    /// A time, CLOCK_MONOTONIC.
    pub deadline: Option<i64>,
    /// A descriptor that is no connection: its name in the report, and the events.
    pub descriptor: Option<(&'static str, BorrowedFd<'a>, i16)>,
    /// A connection to accept.
    pub listener: bool,
    /// Data on this connection, or on any.
    pub data: Option<Data>,
}

/// Which connection's data is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// That of the socket with this number.
    Of(u32),
    /// Any.
    Any,
}

/// Why a wait has ended.
#[derive(Debug)]
pub(super) enum Wake {
    /// The deadline has passed.
    Deadline,
    /// The descriptor is ready.
    Descriptor,
    /// A connection waits to be accepted.
    Listener,
    /// There is data from the socket with this number.
    Data(u32),
    /// Nothing more comes from the socket with this number: end of file, or an error,
    /// which is in the report. Returned once for each socket.
    Eof(u32),
    /// The peer was silent for too long, and its socket was closed.
    Silent(ClosedSocket),
    /// poll() itself failed.
    Failed,
}

/// A lane's sockets, while it waits.
pub(super) struct EventLoop<'a> {
    pub reporter: &'a mut Reporter,
    pub sockets: &'a mut Sockets,
    /// Whether its connections have heartbeats: a thousand without need not be asked
    /// when they are due.
    pub has_heartbeat: bool,
    /// What to do when a peer is silent.
    pub on_silence: OnSilence,
    /// The step's line.
    pub line: u32,
}

impl EventLoop<'_> {
    /// Waits. Meanwhile beats are sent and answered, and silence is checked for. What
    /// has arrived is always read before a peer counts as silent: a program that was
    /// stopped itself must not blame its peer.
    pub fn wait(&mut self, wanted: &WaitFor<'_>) -> Wake {
        loop {
            if let Some(id) = self.data(wanted.data) {
                return Wake::Data(id);
            }
            if let Some(id) = self.sockets.take_unreported_eof() {
                return Wake::Eof(id);
            }
            // What arrives meanwhile can only put it off.
            let due = self.next_due();
            let (descriptor, listener) = match self.poll(wanted, due) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                Err(_) => return Wake::Failed,
            };
            let is_due = due.is_some_and(|at| at <= monotonic_ns());
            if is_due && let Some(closed) = self.send_beats_and_check() {
                return Wake::Silent(closed);
            }
            if descriptor {
                return Wake::Descriptor;
            }
            if listener {
                return Wake::Listener;
            }
            if wanted.deadline.is_some_and(|at| at <= monotonic_ns()) {
                return Wake::Deadline;
            }
        }
    }

    fn data(&self, wanted: Option<Data>) -> Option<u32> {
        let wanted = wanted?;
        let has = |s: &&Socket| {
            s.heartbeat.has_data() && (wanted == Data::Any || wanted == Data::Of(s.id))
        };
        self.sockets.connections().find(has).map(|s| s.id)
    }

    /// When the first of the heartbeats is due.
    fn next_due(&self) -> Option<i64> {
        let beating = self.sockets.connections().filter(|_| self.has_heartbeat);
        beating.filter_map(|s| s.heartbeat.next_due()).min()
    }

    /// One poll(), and a read() for each connection that has data. Whether the
    /// descriptor and the listener are ready.
    fn poll(&mut self, wanted: &WaitFor<'_>, due: Option<i64>) -> nix::Result<(bool, bool)> {
        let now = monotonic_ns();
        let next = due.into_iter().chain(wanted.deadline).min();
        let limit = next.map(|at| Duration::from_nanos(u64::try_from(at - now).unwrap_or(0)));
        let listener = self.sockets.listener().filter(|_| wanted.listener);
        self.sockets.update_epoll_set();
        let epoll_set = self.sockets.epoll_set();
        let mut on = Vec::new();
        let mut readers = Vec::new();
        if let Some(epoll_set) = epoll_set {
            on.push(("connection", epoll_set.as_fd(), poll::IN));
        } else {
            for socket in self.sockets.connections().filter(|s| !s.eof) {
                on.push(("connection", socket.as_fd(), poll::IN));
                readers.push(socket.id);
            }
        }
        on.extend(listener.map(|index| ("listener", self.sockets.at(index).as_fd(), poll::IN)));
        on.extend(wanted.descriptor);
        let conn = match readers.as_slice() {
            [only] => self
                .sockets
                .by_id(*only)
                .and_then(|i| self.sockets.at(i).name.clone()),
            _ => None,
        };
        let site = Site {
            conn: conn.as_deref(),
            line: self.line,
        };
        let ready = self.reporter.wait(site, &on, limit)?;
        let last = |back: usize| ready[ready.len() - back];
        let descriptor = wanted.descriptor.is_some() && last(1);
        let accept = listener.is_some() && last(1 + usize::from(wanted.descriptor.is_some()));
        match epoll_set {
            Some(epoll_set) if ready[0] => readers = epoll_set.ready()?,
            // `ready` has the connections in their order, then listener and descriptor.
            _ => {
                let mut shows = ready.iter();
                readers.retain(|_| shows.next() == Some(&true));
            }
        }
        for id in readers {
            self.read(id);
        }
        Ok((descriptor, accept))
    }

    /// One read(), and the answers to the beats in it.
    fn read(&mut self, id: u32) {
        let Some(index) = self.sockets.by_id(id) else {
            return;
        };
        // A new buffer would be cleared each time.
        let mut buffer = std::mem::take(&mut self.sockets.buffer);
        buffer.resize(CHUNK, 0);
        let socket = self.sockets.at_mut(index);
        let site = Site {
            conn: socket.name.as_deref(),
            line: self.line,
        };
        match self.reporter.read(site, socket.fd.as_fd(), &mut buffer) {
            Err(Errno::EINTR) => {}
            Err(_) | Ok(0) => self.sockets.set_eof(index),
            Ok(bytes) => {
                let answers = socket.heartbeat.receive(&buffer[..bytes], monotonic_ns());
                if answers > 0 {
                    let answers = vec![ANSWER; answers];
                    if self
                        .reporter
                        .write(site, socket.fd.as_fd(), &answers)
                        .is_err()
                    {
                        self.sockets.set_eof(index);
                    }
                }
            }
        }
        self.sockets.buffer = buffer;
    }

    /// Sends the beats that are due, and checks for silence where that is due.
    /// Returns a socket that was closed for silence.
    fn send_beats_and_check(&mut self) -> Option<ClosedSocket> {
        let beating = match self.has_heartbeat {
            true => self.sockets.len(),
            false => 0,
        };
        let mut now = monotonic_ns();
        for index in 0..beating {
            let socket = self.sockets.at_mut(index);
            let due = socket.heartbeat.next_due();
            if socket.kind == Kind::Listener || due.is_none_or(|at| at > now) {
                continue;
            }
            // The write() before this one may have blocked.
            now = monotonic_ns();
            let site = Site {
                conn: socket.name.as_deref(),
                line: self.line,
            };
            // write() blocks: with a full send buffer a beat waits as long as any
            // other data.
            let sent = !socket.heartbeat.take_due_beat(now)
                || self
                    .reporter
                    .write(site, socket.fd.as_fd(), &[socket.heartbeat.beat()])
                    .is_ok();
            if !sent {
                self.sockets.set_eof(index);
                continue;
            }
            if let Some(since) = socket.heartbeat.check_silence(now) {
                if self.on_silence == OnSilence::Nothing {
                    self.reporter.heartbeat_ignored(site, since, now);
                    socket.heartbeat.put_up_with(now);
                    continue;
                }
                self.reporter.heartbeat_lost(site, since, now);
                if self.on_silence == OnSilence::HalfClose && !socket.half_closed {
                    // It reads on until the peer has sent everything.
                    socket.heartbeat.stop();
                    socket.half_closed = true;
                    let _ = self.reporter.half_close(socket, self.line);
                } else {
                    return Some(self.close_silent(index));
                }
            }
        }
        None
    }

    /// Closes a silent connection.
    fn close_silent(&mut self, index: usize) -> ClosedSocket {
        let socket = self.sockets.remove(index);
        let closed = socket.to_closed();
        let site = Site {
            conn: socket.name.as_deref(),
            line: self.line,
        };
        if self.on_silence == OnSilence::Reset {
            let linger = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            let _ = self
                .reporter
                .set_option(site, &socket, sockopt::Linger, &linger);
        }
        let _ = self.reporter.close(site, socket.fd);
        closed
    }
}
