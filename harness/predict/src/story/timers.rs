//! What happens by itself: timers of the kernel and limits of applications.

use std::time::Duration;

use super::line::Kind;
use super::process::{Calling, Failure, Sock, Wait};
use super::socket::ASKED;
use super::talk::own_limit;
use super::{World, process};
use crate::errno;
use crate::facts::Fate;
use crate::keepalive::{End, ProbeFate, Quiet};
use crate::neighbour;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::sysctls::Sysctls;
use crate::window::Closed;
use crate::words;
use halfopen_scenario::case::{Family, SignKind};

impl Sock<'_> {
    /// When probes got through again after a silence so long that neighbour
    /// entries may have failed in it.
    fn back_after_a_while(&self) -> Option<Span> {
        let silent = self.probes.iter().find(|(_, f)| *f == ProbeFate::Lost)?.0;
        let (back, fate) = self.probes.last()?;
        let long = back.latest > silent.earliest + neighbour::STALE_FAILS;
        (long && *fate == ProbeFate::Reset).then_some(*back)
    }
}

impl<'a> World<'a> {
    /// Notes how keepalive's probes fare from now on.
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
        // On a long line some have left already that meet what happens now.
        let under_way = self.paths.fates_of_those_under_way(from, to, kinds)?;
        let now = self.paths.there_and_back(from, to, Kind::Ack, Kind::Ack)?;
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
                s.quiet_end = None;
            }
        }
        Ok(())
    }

    /// Notes how long an answer takes from now on.
    pub(super) fn note_trip(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let s = &self.socks[sock];
        let trip = self.paths.round_trip(s.host, self.socks[s.peer].host)?;
        let before = s.trips.last().map_or(Duration::ZERO, |(_, trip)| *trip);
        if trip != before {
            self.socks[sock].trips.push((at, trip));
            self.socks[sock].quiet_end = None;
        }
        Ok(())
    }

    /// Works out anew where keepalive leads, where something changed.
    pub(super) fn refresh(&mut self) {
        for sock in 0..self.socks.len() {
            let s = &self.socks[sock];
            // A probe that was lost counts when the path is back, too.
            let harmless = s.probes.iter().all(|(_, f)| *f == ProbeFate::Answered);
            if !s.exists || !s.held || s.outgoing.is_some() || s.quiet_end.is_some() {
                continue;
            }
            if let Some(since) = s.closed {
                self.socks[sock].quiet_end = self.closed_window(sock, since);
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
            // The answer that ends it, by whoever sends it.
            let peer = self.socks[s.peer].host;
            let trip = self.paths.answered_after(s.host, peer, Kind::Ack);
            let trip = trip.unwrap_or_default();
            let begins = self.kernel.phase.later(s.since.earliest, wheel);
            let mut end = End::default();
            for (late, phase) in begins.within(s.since.width(), wheel) {
                let zero = s.since.earliest + late;
                let life = |when: fn(Span) -> Duration| Quiet {
                    settings,
                    received: s.received.iter().map(|at| at.since(zero)).collect(),
                    probes: s
                        .probes
                        .iter()
                        .map(|(at, fate)| (when(at.since(zero)), *fate))
                        .collect(),
                    trips: s
                        .trips
                        .iter()
                        .map(|(at, trip)| (at.since(zero).earliest, *trip))
                        .collect(),
                    renewed: self.renewed(sock, zero),
                };
                let mut ends = vec![life(|at| at.earliest).end(wheel, phase)];
                if s.probes.iter().any(|(at, _)| !at.width().is_zero()) {
                    ends.push(life(|at| at.latest).end(wheel, phase));
                }
                for one in ends {
                    let later = |spans: Spans| spans.map(|span| span.after(late));
                    end = End {
                        dead: end.dead.and(later(one.dead)),
                        reset: end.reset.and(later(one.reset).map(|at| at.after(trip))),
                        may_live: end.may_live || one.may_live,
                        vague: end.vague || one.vague,
                    };
                }
            }
            if let Some(back) = s.back_after_a_while() {
                // A probe that waits for a neighbour's address goes out once it
                // is known again.
                let back = back.since(s.since.earliest).earliest;
                // An earlier probe than the one that draws the RST must be out.
                let late = wheel.span(wheel.granule(wheel.ticks(settings.idle)));
                let first = settings.idle + late + settings.interval;
                let waits = |at: &Span| {
                    let before = at.latest.saturating_sub(settings.interval);
                    at.earliest > first && before + ASKED >= back
                };
                if let Some(at) = end.reset.hull().filter(waits) {
                    end.reset = Spans::one(Span::new(at.earliest.min(back), at.latest));
                }
            }
            let vague = end.vague;
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
                self.asks_everybody(sock, end, vague);
            }
            let forgotten = self.paths.memory.as_ref().is_some_and(|m| m.forgotten);
            if let Some(end) = ends.as_mut().filter(|_| forgotten) {
                end.rules.push(RuleId::RouterMemory);
                if end.errno == "ECONNRESET" {
                    end.because = "the router has forgotten the connection, and the first probe \
                                   draws an RST"
                        .into();
                }
            }
            self.socks[sock].quiet_end = ends;
        }
    }

    /// The end of a connection whose peer has no room, if it comes.
    fn closed_window(&self, sock: usize, since: Span) -> Option<Failure> {
        let s = &self.socks[sock];
        let sysctls = Sysctls::of(self.case, s.host, self.kernel);
        let user_timeout = s.lane.detector.user_timeout.filter(|t| !t.is_zero());
        let closed = Closed {
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
        let end = closed.end(self.kernel.wheel());
        let far = !s.trips.is_empty();
        let open = |why: &str| Some(why.to_owned());
        let (errno, at, open) = match (end.dead.is_empty(), end.reset.is_empty()) {
            (true, true) => return None,
            (false, true) => (errno::TIMED_OUT, end.dead, None),
            (true, false) => ("ECONNRESET", end.reset, None),
            (false, false) => (
                errno::TIMED_OUT,
                end.dead.and(end.reset),
                open("whether the host is back before the last window probe"),
            ),
        };
        let open = open.or_else(|| {
            let why = "whether a window probe meets the fault depends on when the window was full";
            end.may_live.then(|| why.to_owned())
        });
        let open = open.or_else(|| {
            let why = "how a window fills over a long line";
            far.then(|| why.to_owned())
        });
        Some(Failure {
            errno: s
                .soft
                .filter(|_| errno == errno::TIMED_OUT)
                .unwrap_or(errno),
            at: at.map(|span| span.plus(since)),
            because: words::closed(&closed),
            rules: vec![RuleId::ClosedWindow, RuleId::TimerWheel],
            open,
        })
    }

    /// When the next of them is due.
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
                Wait::Connect(Calling {
                    through: Some(at), ..
                }) => Some(at.earliest),
                Wait::Connect(calling) => {
                    Some(calling.fall.dead.hull()?.plus(calling.began).earliest)
                }
                _ => None,
            });
        let socks = self.socks.iter().filter(|s| s.exists).filter_map(|s| {
            let outgoing = s.outgoing.as_ref();
            let through = outgoing.and_then(|o| o.through).map(|t| t.earliest);
            let quiet = s
                .quiet_end
                .as_ref()
                .and_then(|q| q.at.hull())
                .map(|at| at.earliest);
            let again = outgoing.filter(|o| o.arrived).and_then(|o| o.next_try());
            let again = again.map(|at| at.earliest);
            let end = through.or_else(|| outgoing.and_then(falls)).or(quiet);
            end.into_iter().chain(again).min()
        });
        let all: Vec<Duration> = waits.chain(socks).collect();
        all.into_iter()
    }

    /// Does what is due.
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
        let through = self.socks[sock].outgoing.as_ref().and_then(|o| o.through);
        let until = through.map_or(now + tick, |at| at.earliest.min(now + tick));
        self.tries(sock, until)?;
        let outgoing = self.socks[sock].outgoing.clone();
        if let Some(outgoing) = outgoing {
            if let Some(at) = outgoing.through {
                if at.earliest <= now {
                    self.socks[sock].outgoing = None;
                    let bytes = if outgoing.arrived { 0 } else { outgoing.bytes };
                    if self.is_far(sock)? {
                        return self.launch(sock, bytes, at);
                    }
                    let (from, to) = {
                        let s = &self.socks[sock];
                        (s.host, self.socks[s.peer].host)
                    };
                    let fate = self.paths.there_and_back(from, to, Kind::Data, Kind::Ack)?;
                    if fate == Fate::Reset {
                        self.is_reset(sock, at);
                        return Ok(());
                    }
                    self.arrives(sock, bytes, at, true)?;
                    return self.lets_fin_go(sock, at);
                }
                return Ok(());
            }
            if falls(&outgoing).is_some_and(|at| at <= now)
                && let Some(fall) = outgoing.fall
            {
                let at = fall.dead.map(|span| span.plus(outgoing.since));
                let failure = Failure {
                    errno: fall.errno,
                    at,
                    because: fall.because,
                    rules: fall.rules,
                    open: fall.open,
                };
                self.gives_up(sock, failure);
            }
            return Ok(());
        }
        let quiet = self.socks[sock].quiet_end.clone();
        if let Some(quiet) = quiet
            && quiet.at.hull().is_some_and(|at| at.earliest <= now)
        {
            self.gives_up(sock, quiet);
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
                self.wakes(p, due(Some(at)));
            }
            Wait::Read { deadline, .. } => {
                if let Some(at) = due(deadline) {
                    let polls = self.processes[p].lane.detector.poll.is_some();
                    let call = if polls { "poll" } else { "read" };
                    self.shows(p, call, SignKind::Timeout, own_limit(at));
                }
            }
            Wait::Poll { deadline, .. } => {
                if let Some(at) = due(deadline) {
                    self.shows(p, "poll", SignKind::Timeout, own_limit(at));
                }
            }
            Wait::Connect(calling) if calling.through.is_some() => {
                if let Some(at) = due(calling.through) {
                    self.answers(p, calling, at)?;
                }
            }
            Wait::Connect(calling) => {
                let dead = calling.fall.dead.map(|span| span.plus(calling.began));
                if dead.hull().is_some_and(|at| at.earliest <= now) {
                    let failure = Failure {
                        errno: calling.fall.errno,
                        at: dead,
                        because: calling.fall.because.clone(),
                        rules: calling.fall.rules.clone(),
                        open: calling.fall.open.clone(),
                    };
                    self.connect_fails(p, failure, calling.nonblocking);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn falls(outgoing: &process::Outgoing) -> Option<Duration> {
    let end = outgoing.fall.as_ref()?.dead.hull()?;
    Some(end.plus(outgoing.since).earliest)
}

fn failure(
    end: End,
    settings: &crate::keepalive::Settings,
    hz: u32,
    shift: impl Fn(Spans) -> Spans,
) -> Option<Failure> {
    let sum = words::keepalive(settings, hz);
    let some_live = end.may_live.then(|| {
        "whether a probe meets the fault depends on where the timer wheel stands".to_owned()
    });
    let (errno, at, because, rule) = match (end.dead.is_empty(), end.reset.is_empty()) {
        (true, true) => return None,
        (false, true) => ("ETIMEDOUT", end.dead, sum, RuleId::Keepalive),
        (true, false) => {
            let because = "the first probe that reaches the peer's host draws an RST: it knows no \
                           such connection";
            ("ECONNRESET", end.reset, because.to_owned(), RuleId::Reset)
        }
        (false, false) => {
            return Some(Failure {
                errno: "ETIMEDOUT",
                at: shift(end.dead.and(end.reset)),
                because: sum,
                rules: vec![RuleId::Keepalive],
                open: Some("whether the host is back before the last probe".into()),
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
        open: some_live,
    })
}
