//! Simulates a case without running it: lanes execute their steps, faults are applied, and
//! kernel timers fire according to the rules of `timers`, `retransmission`, `neighbour` and
//! `abort`.
//!
//! It is a discrete-event simulation in nominal time: steps and packets take no time,
//! timers take what the rules say. What a process does after waiting for something
//! uncertain is as uncertain as that. `predict` in the crate's root calls [`run`].

mod connect;
mod connection;
mod conntrack;
mod delays;
mod events;
mod filters;
mod heartbeat;
mod neighbours;
mod network_change;
mod packets;
mod paths;
mod retransmissions;
mod socket_io;
mod state;
mod steps;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::kernel::KernelFacts;
use crate::moments::Moments;
use crate::prediction::Unpredictable;
use crate::retransmission::rtt::Rtt;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::sysctls::{self, Sysctls};
use crate::timers::keepalive::ProbeFate;
use halfopen_scenario::case::{
    Action, BeatWhen, Case, Event, EventAction, Heartbeat, Lane, NodeKind, OnSilence, SignKind,
    When,
};
use packets::Packet;
use paths::Paths;
use state::{Process, Sock};

/// Time between the end of a host's last process and the host being off (the runner waits
/// this long for the last packets of its kernel).
const HOST_STOP_GRACE: Duration = Duration::from_millis(200);
/// Round-trip times of a lab: a veth's are below a tenth of a millisecond; the rest is the
/// scheduler of a busy machine.
const RTT: Rtt = Rtt::steady(Duration::from_micros(10), Duration::from_millis(4));
/// Upper limit of events, reached only by a simulation that does not advance.
const MAX_EVENTS: usize = 100_000;

/// A sign observed in the simulation: times since the start.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    pub lane: String,
    pub call: String,
    pub kind: SignKind,
    pub at: Spans,
    pub because: String,
    pub rules: Vec<RuleId>,
    /// Why it cannot be predicted, if it cannot.
    pub undecided: Option<String>,
}

/// The result of a simulation.
#[derive(Debug)]
pub(super) struct Simulated {
    /// The first sign, if any comes before the case gives up.
    pub sign: Option<Observation>,
    /// The time from which the first sign's time counts.
    pub reference: Duration,
    /// Why nobody notices anything, and by which rule.
    pub unnoticed: (String, RuleId),
    /// Time from the last heal until a byte gets through.
    pub first_byte: Option<Span>,
}

/// An event scheduled for a time.
#[derive(Debug, Clone)]
enum Scheduled<'a> {
    Event(usize),
    KillHost(&'a str),
    PowerOff(&'a str),
    Boot {
        host: &'a str,
        same_mac: bool,
        mark: &'a str,
    },
    /// A packet leaves a cable with delay.
    Packet(Packet),
    /// A delayed acknowledgment for this many segments.
    DelayedAck {
        sock: usize,
        due: Span,
        segments_received: u64,
    },
    /// An RST from a node on the path arrives.
    Reset {
        sock: usize,
        at: Span,
    },
}

/// The state of a simulation.
struct Simulator<'a> {
    case: &'a Case,
    kernel: KernelFacts,
    moments: &'a Moments,
    now: Duration,
    processes: Vec<Process<'a>>,
    socks: Vec<Sock<'a>>,
    /// Connections waiting for accept(), by host and port of the listener.
    backlog: BTreeMap<(&'a str, u16), VecDeque<usize>>,
    paths: Paths<'a>,
    /// Hosts at whose address another host answers, and since when.
    new_owners: BTreeMap<&'a str, Duration>,
    marks: BTreeMap<String, Span>,
    scheduled: Vec<(Duration, Scheduled<'a>)>,
    /// The last loss of a carrier.
    carrier_lost: Option<Span>,
    /// The paths before the last event.
    paths_before: Option<Paths<'a>>,
    /// When the last event was applied.
    last_event: Span,
    /// The first fault, from the request until it had taken effect.
    fault: Option<Span>,
    /// The last heal, and when the first byte got through after it.
    healed: Option<(Duration, Option<Span>)>,
    observations: Vec<Observation>,
}

/// Simulates a case up to its first sign.
pub(super) fn run(
    case: &Case,
    kernel: KernelFacts,
    moments: &Moments,
) -> Result<Simulated, Unpredictable> {
    if case.lanes.iter().any(|lane| lane.program.is_some()) {
        let why = "the program's own logic is not modelled".into();
        return Err(Unpredictable { why });
    }
    let several = case.network.nats.len() > 1;
    let several = several.then(|| "several routers that keep state of connections".into());
    let why = several
        .or_else(|| sysctls::missing_sysctl(case, kernel))
        .or_else(|| of_a_router(case))
        .or_else(|| words_without_rules(case));
    if let Some(why) = why {
        return Err(Unpredictable { why });
    }
    let mut simulator = Simulator {
        case,
        kernel,
        moments,
        now: Duration::ZERO,
        processes: Vec::new(),
        socks: Vec::new(),
        backlog: BTreeMap::new(),
        paths: Paths::new(case),
        new_owners: BTreeMap::new(),
        marks: BTreeMap::new(),
        scheduled: Vec::new(),
        carrier_lost: None,
        paths_before: None,
        last_event: Span::at(Duration::ZERO),
        fault: None,
        healed: None,
        observations: Vec::new(),
    };
    simulator.start();
    simulator
        .run_events()
        .map_err(|why| Unpredictable { why })?;
    simulator.result().map_err(|why| Unpredictable { why })
}

/// What of a router the rules do not know.
fn of_a_router(case: &Case) -> Option<String> {
    let is_router = |name: &str| case.network.names(&[NodeKind::Router]).any(|r| r == name);
    let sysctls = case.sysctls.iter().filter(|(host, _)| is_router(host));
    let decides = |key: &&String| !key.starts_with("net.ipv4.tcp_") && !key.contains(".neigh.");
    if let Some(key) = sysctls.flat_map(|(_, set)| set.keys()).find(decides) {
        return Some(format!("what {key} does on a router"));
    }
    if case.network.nats.iter().any(|nat| !nat.timeouts.is_empty()) {
        return Some("how long a router remembers was set by the connection's state".into());
    }
    if case.network.nats.iter().any(|nat| nat.service.is_some()) {
        return Some("a service's address that a router translates".into());
    }
    let interface =
        |e: &Event| matches!(&e.action, EventAction::Interface { host, .. } if is_router(host));
    let lost = case.events.iter().any(interface);
    lost.then(|| "a router loses its interfaces".into())
}

/// Steps and settings that there are no rules for yet.
fn words_without_rules(case: &Case) -> Option<String> {
    let heartbeats = || {
        case.lanes
            .iter()
            .filter_map(|lane| lane.detector.heartbeat.as_ref())
    };
    let differ = |one: &&Heartbeat| heartbeats().any(|other| other != *one);
    let unknown = |h: &Heartbeat| {
        h.counts.is_some() || h.when == BeatWhen::Busy || h.on_silence == OnSilence::Nothing
    };
    let options = case
        .lanes
        .iter()
        .any(|lane| !lane.detector.options.is_empty());
    let sleeps = |event: &Event| matches!(event.action, EventAction::Suspend { .. });
    if case.events.iter().any(sleeps) {
        return Some("a host that sleeps".into());
    }
    let why = halfopen_sim::step_not_modelled(case);
    let why = why.or_else(|| options.then_some("TCP_SYNCNT, TCP_RTO_MAX_MS, SO_LINGER, SO_RCVBUF"));
    let why = why.or_else(|| {
        heartbeats()
            .any(unknown)
            .then_some("what counts as life, and what silence leads to")
    });
    let why = why.or_else(|| {
        heartbeats()
            .find(differ)
            .map(|_| "two ends with different heartbeats")
    });
    why.map(|what| format!("there are no rules yet for {what}"))
}

/// Whether a lane is a server: its first step listens.
fn listens(lane: &Lane) -> bool {
    let first = lane.steps.first();
    first.is_some_and(|s| matches!(s.action, Action::Listen { .. }))
}

impl<'a> Simulator<'a> {
    fn start(&mut self) {
        let case = self.case;
        // Conditions hold before anybody connects.
        for event in &case.events {
            if event.is_condition() {
                self.paths.add(&event.name, &event.action);
                self.set_mark(&event.name, Span::at(Duration::ZERO));
            }
        }
        for server in [true, false] {
            for lane in case.lanes.iter().filter(|l| listens(l) == server) {
                self.spawn(lane, Span::at(Duration::ZERO));
            }
        }
        for (index, event) in case.events.iter().enumerate() {
            if event.is_condition() {
                continue;
            }
            if let When::At(at) = event.when {
                let at = self
                    .moments
                    .of_event(&event.name)
                    .map_or(at, |at| at.earliest);
                self.scheduled.push((at, Scheduled::Event(index)));
            }
        }
    }

    fn spawn(&mut self, lane: &'a Lane, at: Span) {
        for copy in 1..=lane.count.max(1) {
            let mut process = Process::new(lane, at);
            if lane.count > 1 {
                process.label.0 = format!("{}.{copy}", lane.name);
            }
            let label = &process.label.0;
            let boots = self.processes.iter().filter(|p| p.label.0 == *label);
            let boot = boots.filter(|p| p.parent.is_none()).count();
            process.label.1 = u32::try_from(boot).unwrap_or(0);
            let (label, boot) = (&process.label.0, process.label.1);
            process.calls = self.moments.calls(label, boot, 0).to_vec().into();
            self.processes.push(process);
        }
    }

    fn run_events(&mut self) -> Result<(), String> {
        for _ in 0..MAX_EVENTS {
            self.run_processes()?;
            if self.first_sign().is_some() {
                return Ok(());
            }
            match self.next_time() {
                Some(at) if at <= self.case.give_up => {
                    self.now = self.now.max(at);
                    self.run_due()?;
                }
                _ => return Ok(()),
            }
        }
        Err("the story goes round in circles".into())
    }

    /// Runs every process that can continue, until none can.
    fn run_processes(&mut self) -> Result<(), String> {
        for _ in 0..MAX_EVENTS {
            let mut progressed = false;
            for index in 0..self.processes.len() {
                progressed |= self.run_process(index)?;
            }
            if !progressed || self.first_sign().is_some() {
                return Ok(());
            }
        }
        Err("the lanes go round in circles".into())
    }

    /// The time of the next event that no process causes.
    fn next_time(&mut self) -> Option<Duration> {
        self.refresh();
        let later = self.scheduled.iter().map(|(at, _)| *at);
        later
            .chain(self.timers())
            .chain(self.conntrack_due())
            .chain(self.next_heartbeat_due())
            .min()
    }

    /// Runs everything that is due.
    fn run_due(&mut self) -> Result<(), String> {
        let now = self.now;
        while let Some(first) = (0..self.scheduled.len())
            .filter(|i| self.scheduled[*i].0 <= now)
            .min_by_key(|i| self.scheduled[*i].0)
        {
            let (_, event) = self.scheduled.remove(first);
            self.apply(event)?;
        }
        if self.conntrack_due().is_some_and(|at| at <= now) {
            self.conntrack_expires()?;
        }
        self.refresh();
        self.timers_fire()
    }

    fn set_mark(&mut self, mark: &str, at: Span) {
        if self.marks.contains_key(mark) {
            return;
        }
        self.marks.insert(mark.to_owned(), at);
        for (index, event) in self.case.events.iter().enumerate() {
            if let When::After { mark: wanted, by } = &event.when
                && wanted == mark
            {
                let at = self
                    .moments
                    .of_event(&event.name)
                    .map_or(at.earliest + *by, |at| at.earliest);
                self.scheduled.push((at, Scheduled::Event(index)));
            }
        }
    }

    fn is_watched(&self, lane: &str) -> bool {
        self.case.watch.iter().any(|w| w == lane)
    }

    /// Records what a call shows; the process continues from there.
    fn observe(&mut self, process: usize, call: &str, kind: SignKind, evidence: Evidence) {
        let at = self.processes[process].at;
        let lane = self.processes[process].lane.name.clone();
        // Each branch by itself: their hull contains impossible times.
        let seen_at = evidence.at.map(|span| span.both(at));
        self.wake(process, seen_at.hull());
        self.observations.push(Observation {
            lane,
            call: call.to_owned(),
            kind,
            at: seen_at,
            because: evidence.because,
            rules: evidence.rules,
            undecided: evidence.undecided,
        });
    }

    /// Time counts from the first fault, or from the start of a case that has none.
    fn counts_from(&self) -> Option<Span> {
        let has_fault = self.case.events.iter().any(|e| e.is_fault());
        if has_fault {
            self.fault
        } else {
            Some(Span::at(Duration::ZERO))
        }
    }

    fn first_sign(&self) -> Option<&Observation> {
        let from = self.counts_from()?;
        self.observations
            .iter()
            .filter(|s| self.is_watched(&s.lane))
            .filter_map(|s| Some((s.at.hull()?, s)))
            .filter(|(at, _)| at.latest >= from.earliest)
            .min_by_key(|(at, _)| at.earliest)
            .map(|(_, s)| s)
    }

    fn result(self) -> Result<Simulated, String> {
        let reference = self.counts_from().map_or(Duration::ZERO, |at| at.latest);
        let sign = self.first_sign().cloned();
        if let Some(why) = sign.as_ref().and_then(|s| s.undecided.clone()) {
            return Err(why);
        }
        let end = sign.as_ref().and_then(|s| s.at.hull());
        // A limit that starts when the fault's delay does may end a moment before the fault
        // is applied: reporting and applying both take time.
        let is_limit = sign.as_ref().is_some_and(|s| s.kind == SignKind::Timeout);
        let straddles = |at: Span| {
            let fault = self.counts_from().unwrap_or(Span::at(Duration::ZERO));
            let before = at.earliest < fault.earliest;
            (before || is_limit && at.earliest == fault.earliest) && at.latest > fault.latest
        };
        if end.is_some_and(straddles) {
            return Err("whether it ends by itself before the fault".into());
        }
        if let Some(end) = end.filter(|end| end.latest > self.case.give_up) {
            return Err(format!(
                "the sign comes {} to {} s after the start and the case gives up at {} s",
                end.earliest.as_secs_f64(),
                end.latest.as_secs_f64(),
                self.case.give_up.as_secs_f64()
            ));
        }
        let unnoticed = match self.probes_never_leave() {
            Some(why) => (why, RuleId::KeepaliveLocalDrop),
            None => (self.why_unnoticed(), RuleId::NothingToNotice),
        };
        let first_byte = self.healed.and_then(|(_, byte)| byte);
        Ok(Simulated {
            sign,
            reference,
            unnoticed,
            first_byte,
        })
    }

    /// Why nobody noticed, when the own host drops the probes.
    fn probes_never_leave(&self) -> Option<String> {
        let dropped = |s: &Sock<'_>| {
            let last = s.probes.last().map(|(_, fate)| *fate);
            let sysctls = Sysctls::of(self.case, s.host, self.kernel);
            last == Some(ProbeFate::DroppedByOwnQdisc)
                && s.outgoing.is_none()
                && sysctls.keepalive(&s.lane.detector).is_some()
        };
        let watched = |s: &&Sock<'_>| s.exists && s.has_process && self.is_watched(&s.lane.name);
        let never = self.socks.iter().filter(watched).any(dropped);
        never.then(|| {
            "a probe that the own qdisc drops does not count, and is tried again every 500 ms, for \
             ever"
                .into()
        })
    }

    /// Why nobody noticed anything until the case gave up.
    fn why_unnoticed(&self) -> String {
        let give_up = crate::text::time(self.case.give_up);
        let waits = self
            .socks
            .iter()
            .filter(|s| s.exists && self.is_watched(&s.lane.name));
        for sock in waits {
            if let Some(abort) = sock.outgoing.as_ref().and_then(|o| o.abort.as_ref())
                && let Some(end) = abort.abort_at.hull()
            {
                let end = end.plus(
                    sock.outgoing
                        .as_ref()
                        .map_or(Span::at(self.now), |o| o.since),
                );
                return format!(
                    "it would take until {} to {} after the start, and the case gives up after \
                     {give_up}: {}",
                    crate::text::time(end.earliest),
                    crate::text::time(end.latest),
                    abort.because
                );
            }
            let end = sock.idle_abort.as_ref().and_then(|q| q.at.hull());
            if let (Some(idle), Some(end)) = (&sock.idle_abort, end) {
                return format!(
                    "it would take until {} after the start, and the case gives up after \
                     {give_up}: {}",
                    crate::text::time(end.earliest),
                    idle.because
                );
            }
        }
        if let Some(why) = self.conntrack_reason() {
            return why;
        }
        let heals = |e: &Event| matches!(e.action, EventAction::Heal { .. });
        if self.case.events.iter().any(heals) {
            return "the path was back before anything was given up".into();
        }
        let faulty = self
            .case
            .events
            .iter()
            .any(|e| e.is_fault() && !matches!(e.action, EventAction::Freeze { .. }));
        if faulty {
            "nothing that was sent stays unacknowledged, and no timer runs that would notice".into()
        } else {
            "the peer's kernel goes on answering".into()
        }
    }
}

/// The grounds of a call's result.
struct Evidence {
    at: Spans,
    because: String,
    rules: Vec<RuleId>,
    undecided: Option<String>,
}

impl Evidence {
    fn now(at: Span, because: &str, rule: RuleId) -> Self {
        Evidence {
            at: Spans::one(at),
            because: because.to_owned(),
            rules: vec![rule],
            undecided: None,
        }
    }
}

impl From<state::Failure> for Evidence {
    fn from(failure: state::Failure) -> Self {
        Evidence {
            at: failure.at,
            because: failure.because,
            rules: failure.rules,
            undecided: failure.undecided,
        }
    }
}
