//! System calls of a process: each waits for the moment at which it was made in a run that
//! is followed, blocks as the kernel's does, and is recorded.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::super::clock::{Ns, ns};
use super::super::net::frame::{Addr, End};
use super::super::queue::Event;
use super::super::tcp::{PollMask, Recv, Send};
use super::super::trace::CallResult;
use super::super::{ProcessId, Sim, SockId, Uncertain};
use halfopen_scenario::case::{Detector, Disposition, KeepaliveBy, Lane};

/// How far a call that is expected may be behind others in a record.
const LOOK_AHEAD: usize = 16;

/// The calls of one process.
pub(super) struct Sys<'a> {
    sim: Rc<RefCell<Sim<'a>>>,
    pub id: ProcessId,
}

impl<'a> Sys<'a> {
    pub fn new(sim: Rc<RefCell<Sim<'a>>>, id: ProcessId) -> Self {
        Sys { sim, id }
    }

    pub fn with<R>(&self, f: impl FnOnce(&mut Sim<'a>) -> R) -> R {
        f(&mut self.sim.borrow_mut())
    }

    pub fn lane(&self) -> &'a Lane {
        self.with(|sim| sim.processes[self.id].lane)
    }

    pub fn now(&self) -> Ns {
        self.with(|sim| sim.now)
    }

    /// Waits until `f` has a result. Something wakes the process for it.
    pub async fn wait<R>(&self, mut f: impl FnMut(&mut Sim<'a>) -> Option<R>) -> R {
        poll_fn(|_| self.with(&mut f).map_or(Poll::Pending, Poll::Ready)).await
    }

    /// The same, until a moment. None: it has passed.
    pub async fn wait_until<R>(
        &self,
        deadline: Option<Ns>,
        mut f: impl FnMut(&mut Sim<'a>) -> Option<R>,
    ) -> Option<R> {
        if let Some(at) = deadline {
            let id = self.id;
            self.with(|sim| {
                let at = at.max(sim.now);
                sim.queue.push(at, Event::Process(id));
            });
        }
        self.wait(|sim| match f(sim) {
            Some(result) => Some(Some(result)),
            None if deadline.is_some_and(|at| at <= sim.now) => Some(None),
            None => None,
        })
        .await
    }

    pub async fn sleep_until(&self, at: Ns) {
        self.wait_until(Some(at), |_| None::<()>).await;
    }

    /// The process makes a call: at once, or when it did so in the run that is followed.
    pub async fn begin(&self, call: &'static str) -> Ns {
        let at = self.with(|sim| {
            let calls = &sim.processes[self.id].calls;
            let found = calls.iter().take(LOOK_AHEAD).position(|c| c.call == call)?;
            let mut skipped = sim.processes[self.id].calls.drain(..=found);
            let at = skipped.next_back()?.at;
            drop(skipped);
            let late = at.latest > at.earliest && sim.choose(Uncertain::Moment) == 1;
            Some(ns(if late { at.latest } else { at.earliest }))
        });
        let at = at.or_else(|| self.with(Sim::pace));
        if let Some(at) = at.filter(|at| *at > self.now()) {
            self.sleep_until(at).await;
        }
        let id = self.id;
        self.with(|sim| {
            sim.processes[id].pending = Some((call, sim.now));
            sim.now
        })
    }

    pub fn record(&self, call: &'static str, began: Ns, result: CallResult, sock: Option<SockId>) {
        self.with(|sim| sim.record(self.id, call, began, result, sock));
    }

    /// A socket of this process.
    pub fn own(&self, sock: SockId) {
        self.with(|sim| {
            sim.socks[sock].owner = Some(self.id);
            sim.processes[self.id].socks.push(sock);
        });
    }

    /// The process ends.
    pub fn exit(&self) {
        self.with(|sim| sim.exit_process(self.id));
    }

    /// The setsockopt() calls of a detector.
    pub async fn set_options(&self, sock: SockId, detector: &Detector) {
        let mut calls = 0;
        if let Some(keepalive) = &detector.keepalive {
            calls += 1;
            if keepalive.by == KeepaliveBy::Socket {
                calls += usize::from(keepalive.idle.is_some())
                    + usize::from(keepalive.interval.is_some())
                    + usize::from(keepalive.count.is_some());
            }
        }
        if calls > 0 {
            self.begin("setsockopt").await;
        }
        self.with(|sim| sim.set_options(sock, detector));
        for _ in 1..calls {
            self.begin("setsockopt").await;
        }
        if detector.user_timeout.is_some() {
            self.begin("setsockopt").await;
        }
        if detector.read_timeout.is_some() {
            self.begin("setsockopt").await;
        }
    }

    /// read(), with SO_RCVTIMEO.
    pub async fn read(
        &self,
        sock: SockId,
        most: u64,
        limit: Option<Duration>,
    ) -> Result<(u64, Vec<u8>), &'static str> {
        let began = self.begin("read").await;
        let deadline = limit.map(|limit| self.with(|sim| sim.schedule_timeout(ns(limit))));
        let result = self
            .wait_until(deadline, |sim| match sim.recvmsg(sock, most) {
                Recv::Block => None,
                other => Some(other),
            })
            .await;
        let (result, returned) = match result {
            Some(Recv::Bytes(bytes, kinds)) => (CallResult::Value(bytes), Ok((bytes, kinds))),
            Some(Recv::Error(errno)) => (CallResult::Errno(errno), Err(errno)),
            Some(Recv::Eof | Recv::Block) => (CallResult::Value(0), Ok((0, Vec::new()))),
            None => (CallResult::Errno("EAGAIN"), Err("EAGAIN")),
        };
        self.record("read", began, result, Some(sock));
        returned
    }

    /// write() of so many bytes; SIGPIPE may end the process.
    pub async fn write(
        &self,
        sock: SockId,
        len: u64,
        kind: Option<u8>,
    ) -> Result<(), &'static str> {
        let began = self.begin("write").await;
        let mut left = len;
        let result = self
            .wait(|sim| {
                loop {
                    match sim.sendmsg(sock, left, kind) {
                        Send::Block => return None,
                        Send::Taken(bytes) => left -= bytes,
                        Send::Error(errno) => return Some(Err(errno)),
                    }
                    if left == 0 {
                        return Some(Ok(()));
                    }
                }
            })
            .await;
        match result {
            Ok(()) => self.record("write", began, CallResult::Value(len), Some(sock)),
            Err("EPIPE") if self.lane().sigpipe == Disposition::Default => {
                self.record("write", began, CallResult::Sigpipe, Some(sock));
                self.exit();
                // It does not return from its signal.
                std::future::pending::<()>().await;
            }
            Err(errno) => self.record("write", began, CallResult::Errno(errno), Some(sock)),
        }
        result
    }

    /// poll() for input and hang-up on a socket and input on the keyboard. None: the limit
    /// has passed.
    pub async fn poll(
        &self,
        sock: Option<SockId>,
        keyboard: bool,
        limit: Option<Duration>,
    ) -> Option<PollMask> {
        let began = self.begin("poll").await;
        let deadline = limit.map(|limit| self.with(|sim| sim.poll_timeout(ns(limit))));
        let mask = self
            .wait_until(deadline, |sim| {
                let typed = keyboard && sim.processes[self.id].typed > 0;
                let mask = sock.map_or(PollMask::default(), |sock| sim.poll_mask(sock));
                (typed || mask.is_ready()).then_some(mask)
            })
            .await;
        let result = match mask {
            Some(mask) => CallResult::Ready {
                ends: mask.shows_end(),
            },
            None => CallResult::TimedOut,
        };
        self.record("poll", began, result, sock);
        mask
    }

    /// read() on the keyboard.
    pub async fn keyboard(&self) {
        self.wait(|sim| {
            let typed = &mut sim.processes[self.id].typed;
            *typed = typed.checked_sub(1)?;
            Some(())
        })
        .await;
    }

    /// connect(). Whether it succeeded.
    pub async fn connect(&self, to: End, detector: &Detector, nonblocking: bool) -> Option<SockId> {
        self.begin("socket").await;
        let node = self.with(|sim| sim.processes[self.id].node);
        let sock = self.with(|sim| sim.socket(node));
        self.own(sock);
        self.set_options(sock, detector).await;
        let began = self.begin("connect").await;
        let at_once = match to {
            // connect(2): the port 0 is no destination.
            (_, 0) => Some("EINVAL"),
            _ => self.with(|sim| sim.connect(sock, to)),
        };
        let result = match at_once {
            Some(errno) => Err((errno, "connect")),
            None if nonblocking => {
                self.record(
                    "connect",
                    began,
                    CallResult::Errno("EINPROGRESS"),
                    Some(sock),
                );
                self.connect_by_poll(sock, detector.poll).await
            }
            None => {
                let connected = self.wait(|sim| sim.connected(sock)).await;
                if connected.is_ok() {
                    self.record("connect", began, CallResult::Value(0), Some(sock));
                }
                connected.map_err(|errno| (errno, "connect"))
            }
        };
        match result {
            Ok(()) => return Some(sock),
            Err((errno, call)) if !errno.is_empty() => {
                self.record(call, began, CallResult::Errno(errno), Some(sock));
            }
            Err(_) => {}
        }
        self.close(sock, None).await;
        None
    }

    /// poll() for output, then SO_ERROR.
    async fn connect_by_poll(
        &self,
        sock: SockId,
        limit: Option<Duration>,
    ) -> Result<(), (&'static str, &'static str)> {
        // tcp_v4_err() found the socket locked by its caller; poll() shows it.
        self.with(|sim| sim.release(sock));
        let began = self.begin("poll").await;
        let deadline = limit.map(|limit| self.with(|sim| sim.poll_timeout(ns(limit))));
        let ended = self
            .wait_until(deadline, |sim| {
                let over = sim.connect_is_over(sock);
                over.then(|| sim.poll_mask(sock))
            })
            .await;
        let Some(mask) = ended else {
            self.record("poll", began, CallResult::TimedOut, Some(sock));
            return Err(("", ""));
        };
        let ends = mask.hup || mask.err;
        self.record("poll", began, CallResult::Ready { ends }, Some(sock));
        match self.with(|sim| sim.connected(sock)) {
            Some(Err(errno)) => Err((errno, "getsockopt")),
            _ => Ok(()),
        }
    }

    /// close(), with a linger time.
    pub async fn close(&self, sock: SockId, linger: Option<Ns>) {
        let began = self.begin("close").await;
        self.with(|sim| {
            sim.processes[self.id].socks.retain(|s| *s != sock);
            sim.socks[sock].linger = linger;
            sim.tcp_close(sock);
        });
        if let Some(time) = linger.filter(|time| *time > 0) {
            // sk_stream_wait_close(). The orphan does not wake its former owner.
            let deadline = self.with(|sim| {
                sim.socks[sock].owner = Some(self.id);
                sim.schedule_timeout(time)
            });
            self.wait_until(Some(deadline), |sim| (!sim.is_closing(sock)).then_some(()))
                .await;
            self.with(|sim| sim.socks[sock].owner = None);
        }
        self.record("close", began, CallResult::Value(0), Some(sock));
    }

    /// shutdown(SHUT_WR).
    pub async fn half_close(&self, sock: SockId) {
        let began = self.begin("shutdown").await;
        let result = match self.with(|sim| sim.tcp_shutdown(sock)) {
            Some(errno) => CallResult::Errno(errno),
            None => CallResult::Value(0),
        };
        self.record("shutdown", began, result, Some(sock));
    }

    /// accept().
    pub async fn accept(&self, listener: SockId) -> SockId {
        let began = self.begin("accept").await;
        let sock = self.wait(|sim| sim.accept(listener)).await;
        self.own(sock);
        self.record("accept", began, CallResult::Value(3), None);
        sock
    }

    /// The address of a host.
    pub fn address(&self, host: Option<&str>, address: Option<std::net::IpAddr>) -> Option<Addr> {
        self.with(|sim| match (address, host) {
            (Some(address), _) => Some(sim.parse_address(address)),
            (None, Some(host)) => sim
                .node_id(host)
                .map(|node| sim.service_address(node).unwrap_or(Addr::Of(node, 0))),
            (None, None) => sim.default_peer(self.id).map(|node| Addr::Of(node, 0)),
        })
    }
}

impl Sim<'_> {
    /// When a call is made, if calls take time.
    fn pace(&mut self) -> Option<Ns> {
        let slow = self.moments.is_empty() && self.choose(Uncertain::Pace) == 1;
        slow.then_some(self.now + super::super::clock::MS)
    }

    /// Whether a connect() that did not wait has ended.
    fn connect_is_over(&self, sock: SockId) -> bool {
        self.socks[sock].state != super::super::tcp::TcpState::SynSent
    }

    /// The only other host with a server.
    fn default_peer(&self, id: ProcessId) -> Option<usize> {
        let own = self.processes[id].node;
        let mut servers = self.case.lanes.iter().filter(|lane| lane.is_server());
        servers.find_map(|lane| self.node_id(&lane.host).filter(|node| *node != own))
    }

    /// 10.77.SEGMENT.NODE or fd77:SEGMENT::NODE.
    fn parse_address(&self, address: std::net::IpAddr) -> Addr {
        let (ours, segment, number) = match address {
            std::net::IpAddr::V4(v4) => {
                let o = v4.octets();
                (
                    o[0] == 10 && o[1] == 77,
                    usize::from(o[2]),
                    usize::from(o[3]),
                )
            }
            std::net::IpAddr::V6(v6) => {
                let s = v6.segments();
                (s[0] == 0xfd77, usize::from(s[1]), usize::from(s[7]))
            }
        };
        if !ours {
            return Addr::Nobody(None);
        }
        let node = number.wrapping_sub(1);
        let found = self.nodes.get(node).and_then(|n| {
            n.interfaces
                .iter()
                .position(|i| i.segment == segment && n.has_addresses())
        });
        found.map_or(Addr::Nobody(Some(segment)), |interface| {
            Addr::Of(node, interface)
        })
    }
}
