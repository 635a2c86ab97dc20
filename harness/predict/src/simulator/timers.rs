//! Timers of the kernel and time limits of applications: when they are due and what they
//! do.

use std::time::Duration;

use super::connection::RESOLUTION_TIME;
use super::delays::Kind;
use super::socket_io::own_limit;
use super::state::{Connecting, Failure, Sock, Wait};
use super::{Simulator, state};
use crate::abort::facts::Fate;
use crate::errno;
use crate::neighbour;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::sysctls::Sysctls;
use crate::text;
use crate::timers::keepalive::{End, IdleConnection, ProbeFate};
use crate::timers::zero_window::ZeroWindow;
use halfopen_scenario::case::{Family, SignKind};

impl Sock<'_> {
    /// When probes were delivered again after a loss so long that neighbour entries may
    /// have failed meanwhile.
    fn back_after_long_loss(&self) -> Option<Span> {
        let silent = self.probes.iter().find(|(_, f)| *f == ProbeFate::Lost)?.0;
        let (back, fate) = self.probes.last()?;
        let long = back.latest > silent.earliest + neighbour::STALE_FAILS_AFTER;
        (long && *fate == ProbeFate::Reset).then_some(*back)
    }
}

impl<'a> Simulator<'a> {
    /// Records the fate of keepalive probes from now on.
    pub(super) fn note_probes(&mut self, sock: usize, change: Span) -> Result<(), String> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        let known = self.socks[s.peer].exists;
        let fares = |fate, known| match fate {
            Fate::Arrives if known => ProbeFate::Answered,
            Fate::Arrives | Fate::Reset => ProbeFate::Reset,
            Fate::OwnQdisc => ProbeFate::DroppedByOwnQdisc,
            // An ICMP error quotes a sequence number before the window and is
            // ignored (OutOfWindowIcmps).
            _ => ProbeFate::Lost,
        };
        let kinds = (Kind::Ack, Kind::Ack);
        // On a path with delay some probes have already left whose fate this change
        // decides.
        let under_way = self.paths.fates_in_transit(from, to, kinds)?;
        let now = self.paths.exchange_fate(from, to, Kind::Ack, Kind::Ack)?;
        let fates = under_way
            .into_iter()
            .map(|(earlier, fate, answered)| (earlier, fares(fate, known || answered)))
            .chain([(Duration::ZERO, fares(now, known))]);
        let fates: Vec<(Duration, ProbeFate)> = fates.collect();
        let soft = match self.paths.one_way(from, to, Kind::Ack)? {
            // inet6_csk_xmit() keeps what routing says, ip_queue_xmit() does not.
            Fate::OwnHost { soft, .. } if self.case.family == Family::Ipv6 => soft,
            _ => None,
        };
        let s = &mut self.socks[sock];
        s.soft = soft;
        for (earlier, fate) in fates {
            let before = s.probes.last().map_or(ProbeFate::Answered, |(_, f)| *f);
            if fate != before {
                let since = s.probes.last().map_or(s.since, |(at, _)| *at);
                let at = Span::new(
                    change.earliest.saturating_sub(earlier),
                    change.latest.saturating_sub(earlier),
                );
                s.probes.push((at.both(since), fate));
                s.idle_abort = None;
            }
        }
        Ok(())
    }

    /// Records the round-trip time from now on.
    pub(super) fn note_round_trip(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let s = &self.socks[sock];
        let round_trip = self.paths.round_trip(s.host, self.socks[s.peer].host)?;
        let before = s
            .round_trips
            .last()
            .map_or(Duration::ZERO, |(_, round_trip)| *round_trip);
        if round_trip != before {
            self.socks[sock].round_trips.push((at, round_trip));
            self.socks[sock].idle_abort = None;
        }
        Ok(())
    }

    /// Computes the abort by keepalive again, for sockets where something changed.
    pub(super) fn refresh(&mut self) {
        for sock in 0..self.socks.len() {
            let s = &self.socks[sock];
            // A lost probe counts even after the path is back.
            let harmless = s.probes.iter().all(|(_, f)| *f == ProbeFate::Answered);
            if !s.exists || !s.has_process || s.outgoing.is_some() || s.idle_abort.is_some() {
                continue;
            }
            if let Some(since) = s.window_closed {
                self.socks[sock].idle_abort = self.closed_window(sock, since);
                continue;
            }
            if harmless {
                continue;
            }
            let sysctls = Sysctls::of(self.case, s.host, self.kernel);
            let Some(settings) = sysctls.keepalive(&s.lane.detector) else {
                continue;
            };
            let wheel = self.kernel.wheel();
            // Round trip of the answer that ends it, whoever sends it.
            let peer = self.socks[s.peer].host;
            let round_trip = self.paths.answered_after(s.host, peer, Kind::Ack);
            let round_trip = round_trip.unwrap_or_default();
            let begins = self.kernel.phase.later(s.since.earliest, wheel);
            let mut end = End::default();
            for (late, phase) in begins.within(s.since.width(), wheel) {
                let zero = s.since.earliest + late;
                let idle_connection = |when: fn(Span) -> Duration| IdleConnection {
                    settings,
                    received: s.received.iter().map(|at| at.since(zero)).collect(),
                    probes: s
                        .probes
                        .iter()
                        .map(|(at, fate)| (when(at.since(zero)), *fate))
                        .collect(),
                    round_trips: s
                        .round_trips
                        .iter()
                        .map(|(at, round_trip)| (at.since(zero).earliest, *round_trip))
                        .collect(),
                    replaced: self.replaced_neighbour(sock, zero),
                };
                let mut ends = vec![idle_connection(|at| at.earliest).end(wheel, phase)];
                if s.probes.iter().any(|(at, _)| !at.width().is_zero()) {
                    ends.push(idle_connection(|at| at.latest).end(wheel, phase));
                }
                for one in ends {
                    let later = |spans: Spans| spans.map(|span| span.after(late));
                    end = End {
                        abort_at: end.abort_at.and(later(one.abort_at)),
                        reset: end
                            .reset
                            .and(later(one.reset).map(|at| at.after(round_trip))),
                        may_survive: end.may_survive || one.may_survive,
                        undecided: end.undecided || one.undecided,
                    };
                }
            }
            if let Some(back) = s.back_after_long_loss() {
                // A probe that waits for a neighbour's address leaves once that is
                // resolved.
                let back = back.since(s.since.earliest).earliest;
                // A probe before the one that draws the RST must have been sent.
                let late = wheel.span(wheel.granule(wheel.ticks(settings.idle)));
                let first = settings.idle + late + settings.interval;
                let waits = |at: &Span| {
                    let before = at.latest.saturating_sub(settings.interval);
                    at.earliest > first && before + RESOLUTION_TIME >= back
                };
                if let Some(at) = end.reset.hull().filter(waits) {
                    end.reset = Spans::one(Span::new(at.earliest.min(back), at.latest));
                }
            }
            let undecided = end.undecided;
            let from = self.kernel.anchor(s.since);
            let shift = |spans: Spans| spans.map(|span| span.plus(from));
            let mut ends = failure(end, &settings, self.kernel.hz, shift);
            if let (Some(failure), Some(soft)) = (&mut ends, self.socks[sock].soft)
                && failure.errno == errno::TIMED_OUT
            {
                failure.errno = soft;
                failure
                    .because
                    .push_str("; the own host's routing left its error");
                failure.rules.push(RuleId::SoftError);
            }
            if let Some(end) = &mut ends {
                self.explain_replaced_neighbour(sock, end, undecided);
            }
            let forgotten = self.paths.conntrack.as_ref().is_some_and(|m| m.forgotten);
            if let Some(end) = ends.as_mut().filter(|_| forgotten) {
                end.rules.push(RuleId::RouterMemory);
                if end.errno == "ECONNRESET" {
                    end.because = "the router has forgotten the connection, and the first probe \
                                   draws an RST"
                        .into();
                }
            }
            self.socks[sock].idle_abort = ends;
        }
    }

    /// The abort of a connection whose peer's window is closed, if it comes.
    fn closed_window(&self, sock: usize, since: Span) -> Option<Failure> {
        let s = &self.socks[sock];
        let sysctls = Sysctls::of(self.case, s.host, self.kernel);
        let user_timeout = s.lane.detector.user_timeout.filter(|t| !t.is_zero());
        let zero_window = ZeroWindow {
            rto_min: sysctls.rto_min,
            rto_max: sysctls.rto_max,
            retries2: sysctls.retries2,
            user_timeout,
            probes: s
                .probes
                .iter()
                .map(|(at, fate)| (at.since(since.earliest).earliest, *fate))
                .collect(),
        };
        let end = zero_window.end(self.kernel.wheel());
        let delayed = !s.round_trips.is_empty();
        let undecided = |why: &str| Some(why.to_owned());
        let (errno, at, undecided) = match (end.abort_at.is_empty(), end.reset.is_empty()) {
            (true, true) => return None,
            (false, true) => (errno::TIMED_OUT, end.abort_at, None),
            (true, false) => ("ECONNRESET", end.reset, None),
            (false, false) => (
                errno::TIMED_OUT,
                end.abort_at.and(end.reset),
                undecided("whether the host is back before the last window probe"),
            ),
        };
        let undecided = undecided.or_else(|| {
            let why = "whether a window probe meets the fault depends on when the window was full";
            end.may_survive.then(|| why.to_owned())
        });
        let undecided = undecided.or_else(|| {
            let why = "how a window fills over a long line";
            delayed.then(|| why.to_owned())
        });
        Some(Failure {
            errno: s
                .soft
                .filter(|_| errno == errno::TIMED_OUT)
                .unwrap_or(errno),
            at: at.map(|span| span.plus(since)),
            because: text::zero_window(&zero_window),
            rules: vec![RuleId::ClosedWindow, RuleId::TimerWheel],
            undecided,
        })
    }

    /// The times at which timers are due.
    pub(super) fn timers(&self) -> impl Iterator<Item = Duration> {
        let waits = self
            .processes
            .iter()
            .filter(|p| p.alive)
            .filter_map(|p| match &p.wait {
                Wait::Until(at) => Some(at.earliest),
                Wait::Read { deadline, .. } | Wait::Poll { deadline, .. } if !p.frozen => {
                    deadline.map(|d| d.earliest)
                }
                Wait::Connect(Connecting {
                    delivered: Some(at),
                    ..
                }) => Some(at.earliest),
                Wait::Connect(connecting) => Some(
                    connecting
                        .abort
                        .abort_at
                        .hull()?
                        .plus(connecting.began)
                        .earliest,
                ),
                _ => None,
            });
        let socks = self.socks.iter().filter(|s| s.exists).filter_map(|s| {
            let outgoing = s.outgoing.as_ref();
            let delivered = outgoing.and_then(|o| o.delivered).map(|t| t.earliest);
            let idle = s
                .idle_abort
                .as_ref()
                .and_then(|q| q.at.hull())
                .map(|at| at.earliest);
            let again = outgoing
                .filter(|o| o.arrived)
                .and_then(|o| o.next_attempt());
            let again = again.map(|at| at.earliest);
            let end = delivered.or_else(|| outgoing.and_then(abort_due)).or(idle);
            end.into_iter().chain(again).min()
        });
        let all: Vec<Duration> = waits.chain(socks).collect();
        all.into_iter()
    }

    /// Runs the timers that are due.
    pub(super) fn timers_fire(&mut self) -> Result<(), String> {
        for sock in 0..self.socks.len() {
            self.socket_timer(sock)?;
        }
        for p in 0..self.processes.len() {
            self.process_timer(p)?;
        }
        Ok(())
    }

    fn socket_timer(&mut self, sock: usize) -> Result<(), String> {
        let now = self.now;
        if !self.socks[sock].exists {
            return Ok(());
        }
        let tick = Duration::from_nanos(1);
        let delivered = self.socks[sock].outgoing.as_ref().and_then(|o| o.delivered);
        let until = delivered.map_or(now + tick, |at| at.earliest.min(now + tick));
        self.retransmit_until(sock, until)?;
        let outgoing = self.socks[sock].outgoing.clone();
        if let Some(outgoing) = outgoing {
            if let Some(at) = outgoing.delivered {
                if at.earliest <= now {
                    self.socks[sock].outgoing = None;
                    let bytes = if outgoing.arrived { 0 } else { outgoing.bytes };
                    if self.has_delay(sock)? {
                        return self.transmit_data(sock, bytes, at);
                    }
                    let (from, to) = {
                        let s = &self.socks[sock];
                        (s.host, self.socks[s.peer].host)
                    };
                    let fate = self.paths.exchange_fate(from, to, Kind::Data, Kind::Ack)?;
                    if fate == Fate::Reset {
                        self.reset(sock, at);
                        return Ok(());
                    }
                    self.deliver_data(sock, bytes, at, true)?;
                    return self.send_waiting_fin(sock, at);
                }
                return Ok(());
            }
            if abort_due(&outgoing).is_some_and(|at| at <= now)
                && let Some(abort) = outgoing.abort
            {
                let at = abort.abort_at.map(|span| span.plus(outgoing.since));
                let failure = Failure {
                    errno: abort.errno,
                    at,
                    because: abort.because,
                    rules: abort.rules,
                    undecided: abort.undecided,
                };
                self.abort_connection(sock, failure);
            }
            return Ok(());
        }
        let idle = self.socks[sock].idle_abort.clone();
        if let Some(idle) = idle
            && idle.at.hull().is_some_and(|at| at.earliest <= now)
        {
            self.abort_connection(sock, idle);
        }
        Ok(())
    }

    fn process_timer(&mut self, p: usize) -> Result<(), String> {
        let now = self.now;
        if !self.processes[p].alive || self.processes[p].frozen {
            return Ok(());
        }
        let due = |at: Option<Span>| at.filter(|at| at.earliest <= now);
        match self.processes[p].wait.clone() {
            Wait::Until(at) => {
                self.wake(p, due(Some(at)));
            }
            Wait::Read { deadline, .. } => {
                if let Some(at) = due(deadline) {
                    let polls = self.processes[p].lane.detector.poll.is_some();
                    let call = if polls { "poll" } else { "read" };
                    self.observe(p, call, SignKind::Timeout, own_limit(at));
                }
            }
            Wait::Poll { deadline, .. } => {
                if let Some(at) = due(deadline) {
                    self.observe(p, "poll", SignKind::Timeout, own_limit(at));
                }
            }
            Wait::Connect(connecting) if connecting.delivered.is_some() => {
                if let Some(at) = due(connecting.delivered) {
                    self.connect_answered(p, connecting, at)?;
                }
            }
            Wait::Connect(connecting) => {
                let abort_at = connecting
                    .abort
                    .abort_at
                    .map(|span| span.plus(connecting.began));
                if abort_at.hull().is_some_and(|at| at.earliest <= now) {
                    let failure = Failure {
                        errno: connecting.abort.errno,
                        at: abort_at,
                        because: connecting.abort.because.clone(),
                        rules: connecting.abort.rules.clone(),
                        undecided: connecting.abort.undecided.clone(),
                    };
                    self.connect_failed(p, failure, connecting.nonblocking);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn abort_due(outgoing: &state::Outgoing) -> Option<Duration> {
    let end = outgoing.abort.as_ref()?.abort_at.hull()?;
    Some(end.plus(outgoing.since).earliest)
}

fn failure(
    end: End,
    settings: &crate::timers::keepalive::Settings,
    hz: u32,
    shift: impl Fn(Spans) -> Spans,
) -> Option<Failure> {
    let sum = text::keepalive(settings, hz);
    let some_live = end.may_survive.then(|| {
        "whether a probe meets the fault depends on where the timer wheel stands".to_owned()
    });
    let (errno, at, because, rule) = match (end.abort_at.is_empty(), end.reset.is_empty()) {
        (true, true) => return None,
        (false, true) => ("ETIMEDOUT", end.abort_at, sum, RuleId::Keepalive),
        (true, false) => {
            let because = "the first probe that reaches the peer's host draws an RST: it knows no \
                           such connection";
            ("ECONNRESET", end.reset, because.to_owned(), RuleId::Reset)
        }
        (false, false) => {
            return Some(Failure {
                errno: "ETIMEDOUT",
                at: shift(end.abort_at.and(end.reset)),
                because: sum,
                rules: vec![RuleId::Keepalive],
                undecided: Some("whether the host is back before the last probe".into()),
            });
        }
    };
    let mut rules = vec![rule, RuleId::TimerWheel];
    if settings.user_timeout.is_some() && errno == "ETIMEDOUT" {
        rules[0] = RuleId::KeepaliveUserTimeout;
    }
    Some(Failure {
        errno,
        at: shift(at),
        because,
        rules,
        undecided: some_live,
    })
}
