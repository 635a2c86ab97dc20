//! read(), write() and poll() of the lanes, and what they show.

use super::state::{Failure, Wait, Want};
use super::{Evidence, Simulator};
use crate::rule::RuleId;
use crate::span::Span;
use crate::timers::application;
use halfopen_scenario::case::{Disposition, SignKind};

/// What a send buffer takes at least: tcp_wmem's default, before autotuning.
const MIN_SEND_BUFFER: u64 = 16 * 1024;
/// What it takes at most: tcp_wmem's maximum, with what is in flight.
const MAX_SEND_BUFFER: u64 = 8 << 20;

impl Simulator<'_> {
    /// read() begins, after poll() if the detector says so.
    pub(super) fn begin_read(&mut self, p: usize, sock: usize, want: Want) {
        if self.processes[p].lane.detector.heartbeat.is_some() {
            // The event loop's poll() has no limit of its own.
            self.processes[p].wait = Wait::Read {
                sock,
                want,
                deadline: None,
            };
            return;
        }
        let polls = self.processes[p].lane.detector.poll.is_some();
        self.processes[p].start_call(if polls { "poll" } else { "read" });
        let process = &mut self.processes[p];
        let detector = &process.lane.detector;
        let wheel = self.kernel.wheel();
        let deadline = match (detector.poll, detector.read_timeout) {
            (Some(limit), _) => Some(application::poll(limit)),
            (None, Some(limit)) if !limit.is_zero() => {
                let began = self.kernel.phase.later(process.at.earliest, wheel);
                Some(application::read(limit, wheel, began))
            }
            _ => None,
        };
        let deadline = deadline.map(|limit| process.at.plus(limit));
        process.wait = Wait::Read {
            sock,
            want,
            deadline,
        };
    }

    /// read(), if there is anything to read. Returns whether it returned.
    pub(super) fn try_read(&mut self, p: usize, sock: usize, want: Want) -> Result<bool, String> {
        let detector = &self.processes[p].lane.detector;
        let polled = detector.poll.is_some() && detector.heartbeat.is_none();
        let s = &mut self.socks[sock];
        if s.unread > 0 {
            let (bytes, at, writer) = (s.unread, s.unread_at, s.peer);
            s.unread = 0;
            if self.socks[writer].window_closed.take().is_some() {
                self.socks[writer].idle_abort = None;
            }
            self.wake(p, Some(at));
            self.ack_on_read(sock, self.processes[p].at)?;
            match want {
                Want::Exact(left) if left > bytes => {
                    self.begin_read(p, sock, Want::Exact(left - bytes));
                }
                Want::All { echo } => {
                    if !echo || self.write(p, sock, bytes)? {
                        self.begin_read(p, sock, want);
                    }
                }
                Want::Once | Want::Exact(_) => {}
            }
            return Ok(true);
        }
        // The order of tcp_recvmsg_locked(): SOCK_DONE, then sk_err.
        if let Some(fin) = s.fin {
            let because = "the peer's FIN says that no more will come";
            let evidence = Evidence::now(fin, because, RuleId::EndOfFile);
            if polled {
                self.observe(p, "poll", SignKind::PollHangup, evidence);
            } else {
                self.observe(p, "read", SignKind::Eof, evidence);
            }
            return Ok(true);
        }
        if polled && let Some(error) = self.socks[sock].error.clone() {
            self.observe(p, "poll", SignKind::PollHangup, error.into());
            return Ok(true);
        }
        if self.report_error(p, sock, "read") {
            return Ok(true);
        }
        if self.socks[sock].broken {
            let at = self.processes[p].at;
            let because = "the error was reported before; what is left is end of file";
            let evidence = Evidence::now(at, because, RuleId::Reset);
            self.observe(p, "read", SignKind::Eof, evidence);
            return Ok(true);
        }
        Ok(false)
    }

    /// Reports a socket's error, if it has one.
    pub(super) fn report_error(&mut self, p: usize, sock: usize, call: &str) -> bool {
        let Some(error) = self.socks[sock].error.take() else {
            return false;
        };
        if call == "write" && error.errno == "EPIPE" {
            self.write_epipe(p, error);
            return true;
        }
        let errno = SignKind::Errno(error.errno.into());
        self.observe(p, call, errno, error.into());
        true
    }

    /// poll(), if anything is ready. Returns whether it returned.
    pub(super) fn try_poll(&mut self, p: usize, sock: Option<usize>, keyboard: bool) -> bool {
        if let Some(sock) = sock {
            let s = &self.socks[sock];
            let hangup = match (&s.fin, &s.error) {
                (Some(fin), _) => {
                    let because = "the peer's FIN shows as RDHUP";
                    Some(Evidence::now(*fin, because, RuleId::EndOfFile))
                }
                (None, Some(error)) => Some(error.clone().into()),
                (None, None) => None,
            };
            let unread = (s.unread > 0).then_some(s.unread_at);
            if let Some(evidence) = hangup {
                self.observe(p, "poll", SignKind::PollHangup, evidence);
                return true;
            }
            if unread.is_some() {
                return self.wake(p, unread);
            }
        }
        let typed = self.processes[p].typed.front().copied();
        self.wake(p, typed.filter(|_| keyboard))
    }

    /// write(). Returns whether everything was taken.
    pub(super) fn write(&mut self, p: usize, sock: usize, bytes: u64) -> Result<bool, String> {
        if bytes == 0 {
            return Ok(true);
        }
        if self.report_error(p, sock, "write") {
            return Ok(false);
        }
        self.processes[p].start_call("write");
        let at = self.processes[p].at;
        if self.socks[sock].broken || self.socks[sock].fin_sent {
            let because = "the connection is gone for writing (after an RST, or a half-close)";
            self.write_epipe(p, Failure::now("EPIPE", at, because, RuleId::Reset));
            return Ok(false);
        }
        self.send(sock, bytes, at)?;
        if let Some(heartbeat) = &mut self.socks[sock].heartbeat {
            heartbeat.data_sent(at);
        }
        let s = &self.socks[sock];
        if s.exists && s.outgoing.is_none() && self.socks[s.peer].unread >= MAX_SEND_BUFFER {
            self.socks[sock].window_closed = Some(at);
            self.socks[sock].idle_abort = None;
            self.processes[p].wait = Wait::Full(sock);
            return Ok(false);
        }
        let outstanding = self.socks[sock].outgoing.as_ref().map_or(0, |o| o.bytes);
        match outstanding {
            0..=MIN_SEND_BUFFER => Ok(true),
            n if n >= MAX_SEND_BUFFER => {
                self.processes[p].wait = Wait::Full(sock);
                Ok(false)
            }
            n => Err(format!("whether {n} bytes fit the send buffer")),
        }
    }

    fn write_epipe(&mut self, p: usize, failure: Failure) {
        let evidence: Evidence = failure.into();
        if self.processes[p].lane.sigpipe == Disposition::Default {
            self.observe(p, "write", SignKind::Signal("SIGPIPE".into()), evidence);
            self.processes[p].alive = false;
        } else {
            self.observe(p, "write", SignKind::Errno("EPIPE".into()), evidence);
        }
    }
}

/// An application's own limit ends a wait.
pub(super) fn own_limit(deadline: Span) -> Evidence {
    Evidence::now(
        deadline,
        "the application's own time limit runs out before TCP gives up",
        RuleId::OwnTimeLimit,
    )
}
