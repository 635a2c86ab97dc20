//! Waiting while hearts beat: one poll() for everything a lane waits for.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt;

use super::heart::{ANSWER, BEAT};
use super::report::{Reporter, Site};
use super::sockets::{Gone, Kind, Socket, Sockets};
use halfopen_scenario::case::OnSilence;
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::poll;

/// What is taken in by one read().
const CHUNK: usize = 64 * 1024;

/// What a lane waits for, besides the hearts of its connections.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Until<'a> {
    /// A moment, CLOCK_MONOTONIC.
    pub at: Option<i64>,
    /// A descriptor that is no connection, by its word.
    pub signal: Option<(&'static str, BorrowedFd<'a>, i16)>,
    /// A connection to accept.
    pub listener: bool,
    /// Data on this connection, or on any.
    pub data: Option<Data>,
}

/// Whose data is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// Of the socket with this number.
    Of(u32),
    /// Of any.
    Any,
}

/// Why a wait is over.
#[derive(Debug)]
pub(super) enum Woke {
    /// The moment has come.
    Time,
    /// The descriptor is ready.
    Signal,
    /// Somebody wants to be accepted.
    Listener,
    /// There is data from the socket with this number.
    Data(u32),
    /// The socket with this number has nothing more to say: end of file, or
    /// an error, which its report tells. Said once a socket.
    Over(u32),
    /// There was silence for too long, and this socket was closed.
    Lost(Gone),
    /// poll() itself failed.
    Failed,
}

/// A lane's sockets, while it waits.
pub(super) struct Pulse<'a> {
    pub reporter: &'a mut Reporter,
    pub sockets: &'a mut Sockets,
    /// Whether its connections have hearts: a thousand without need no look.
    pub has_hearts: bool,
    /// What is done on silence.
    pub on_silence: OnSilence,
    /// The step's line.
    pub line: u32,
}

impl Pulse<'_> {
    /// Waits. Beats are sent, answers given and silence looked for as long as
    /// it takes. What has arrived is always read before anybody is found
    /// silent: a program that was stopped itself must not blame its peer.
    pub fn wait(&mut self, until: &Until<'_>) -> Woke {
        loop {
            if let Some(id) = self.data(until.data) {
                return Woke::Data(id);
            }
            if let Some(id) = self.sockets.take_over() {
                return Woke::Over(id);
            }
            // What is heard meanwhile only makes it later.
            let due = self.due();
            let (signal, listener) = match self.poll(until, due) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => continue,
                Err(_) => return Woke::Failed,
            };
            let is_due = due.is_some_and(|at| at <= monotonic_ns());
            if is_due && let Some(lost) = self.beat_and_look() {
                return Woke::Lost(lost);
            }
            if signal {
                return Woke::Signal;
            }
            if listener {
                return Woke::Listener;
            }
            if until.at.is_some_and(|at| at <= monotonic_ns()) {
                return Woke::Time;
            }
        }
    }

    fn data(&self, wanted: Option<Data>) -> Option<u32> {
        let wanted = wanted?;
        let has =
            |s: &&Socket| s.heart.has_data() && (wanted == Data::Any || wanted == Data::Of(s.id));
        self.sockets.connections().find(has).map(|s| s.id)
    }

    /// When the first of the hearts has something to do.
    fn due(&self) -> Option<i64> {
        let beating = self.sockets.connections().filter(|_| self.has_hearts);
        beating.filter_map(|s| s.heart.due()).min()
    }

    /// One poll(), and a read() for each connection that has something. Whether
    /// the signal and the listener are ready.
    fn poll(&mut self, until: &Until<'_>, due: Option<i64>) -> nix::Result<(bool, bool)> {
        let now = monotonic_ns();
        let next = due.into_iter().chain(until.at).min();
        let limit = next.map(|at| Duration::from_nanos(u64::try_from(at - now).unwrap_or(0)));
        let listener = self.sockets.listener().filter(|_| until.listener);
        self.sockets.gather();
        let crowd = self.sockets.crowd();
        let mut on = Vec::new();
        let mut readers = Vec::new();
        if let Some(crowd) = crowd {
            on.push(("connection", crowd.as_fd(), poll::IN));
        } else {
            for socket in self.sockets.connections().filter(|s| !s.over) {
                on.push(("connection", socket.as_fd(), poll::IN));
                readers.push(socket.id);
            }
        }
        on.extend(listener.map(|index| ("listener", self.sockets.at(index).as_fd(), poll::IN)));
        on.extend(until.signal);
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
        let signal = until.signal.is_some() && last(1);
        let accept = listener.is_some() && last(1 + usize::from(until.signal.is_some()));
        match crowd {
            Some(crowd) if ready[0] => readers = crowd.ready()?,
            // All there are, in their order, before the listener and the signal.
            _ => {
                let mut shows = ready.iter();
                readers.retain(|_| shows.next() == Some(&true));
            }
        }
        for id in readers {
            self.read(id);
        }
        Ok((signal, accept))
    }

    /// One read(), and the answers to the beats in it.
    fn read(&mut self, id: u32) {
        let Some(index) = self.sockets.by_id(id) else {
            return;
        };
        // Taken for the while: a new one would be cleared each time.
        let mut buffer = std::mem::take(&mut self.sockets.buffer);
        buffer.resize(CHUNK, 0);
        let socket = self.sockets.at_mut(index);
        let site = Site {
            conn: socket.name.as_deref(),
            line: self.line,
        };
        match self.reporter.read(site, socket.fd.as_fd(), &mut buffer) {
            Err(Errno::EINTR) => {}
            Err(_) | Ok(0) => self.sockets.end(index),
            Ok(bytes) => {
                let answers = socket.heart.hear(&buffer[..bytes], monotonic_ns());
                if answers > 0 {
                    let answers = vec![ANSWER; answers];
                    if self
                        .reporter
                        .write(site, socket.fd.as_fd(), &answers)
                        .is_err()
                    {
                        self.sockets.end(index);
                    }
                }
            }
        }
        self.sockets.buffer = buffer;
    }

    /// Sends the beats that are due and looks for silence where it is time to.
    /// A socket that was closed for silence.
    fn beat_and_look(&mut self) -> Option<Gone> {
        let beating = match self.has_hearts {
            true => self.sockets.len(),
            false => 0,
        };
        let mut now = monotonic_ns();
        for index in 0..beating {
            let socket = self.sockets.at_mut(index);
            let due = socket.heart.due();
            if socket.kind == Kind::Listener || due.is_none_or(|at| at > now) {
                continue;
            }
            // The one before may have taken its time.
            now = monotonic_ns();
            let site = Site {
                conn: socket.name.as_deref(),
                line: self.line,
            };
            // A blocking write(): with a full send buffer a beat hangs as long
            // as any other data would.
            let beaten = !socket.heart.beats(now)
                || self
                    .reporter
                    .write(site, socket.fd.as_fd(), &[BEAT])
                    .is_ok();
            if !beaten {
                self.sockets.end(index);
                continue;
            }
            if let Some(since) = socket.heart.looks(now) {
                self.reporter.heartbeat_lost(site, since, now);
                if self.on_silence == OnSilence::HalfClose && !socket.half_closed {
                    // It goes on reading until the peer has said everything.
                    socket.heart.stop();
                    socket.half_closed = true;
                    let _ = self.reporter.half_close(socket, self.line);
                } else {
                    return Some(self.give_up(index));
                }
            }
        }
        None
    }

    /// Closes a silent connection.
    fn give_up(&mut self, index: usize) -> Gone {
        let socket = self.sockets.remove(index);
        let gone = socket.gone();
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
        gone
    }
}
