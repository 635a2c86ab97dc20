//! A case told in thought: lanes do their steps, faults strike, and whatever
//! the kernel would do by a timer comes from the rules.
//!
//! Time is nominal: steps and packets take none, timers take what the rules
//! say. What a process does after waiting for something uncertain is as
//! uncertain as that.

mod again;
mod calls;
mod changes;
mod entries;
mod events;
mod far;
mod filters;
mod heart;
mod line;
mod nat;
mod paths;
mod process;
mod socket;
mod steps;
mod talk;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Unpredictable;
use super::keepalive::ProbeFate;
use super::kernel::KernelFacts;
use super::moments::Moments;
use super::rtt::Round;
use super::rule::RuleId;
use super::span::{Span, Spans};
use super::sysctls::{self, Sysctls};
use far::Packet;
use halfopen_scenario::case::{Action, Case, Event, EventAction, Lane, SignKind, When};
use paths::Paths;
use process::{Process, Sock};

/// Between the end of a host's last process and the host being off
/// (`run::happen` waits so long for the kernel's last words).
const LAST_WORDS: Duration = Duration::from_millis(200);
/// RTTs of a lab: a veth's are below a tenth of a millisecond; a busy machine's
/// scheduler is what remains.
const RTT: Round = Round::steady(Duration::from_micros(10), Duration::from_millis(4));
/// No story has more turns, unless it goes round in circles.
const MOST_TURNS: usize = 100_000;

/// A sign as the story shows it: times since the start.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub lane: String,
    pub call: String,
    pub kind: SignKind,
    pub at: Spans,
    pub because: String,
    pub rules: Vec<RuleId>,
    /// Why it cannot be told, if it cannot.
    pub open: Option<String>,
}

/// What a story comes to.
#[derive(Debug)]
pub(super) struct Told {
    /// The first sign, if any comes before the case gives up.
    pub sign: Option<Seen>,
    /// What the first sign's time counts from.
    pub reference: Duration,
    /// Why nobody would notice anything, and by which rule.
    pub quiet: (String, RuleId),
    /// From the last heal until a byte gets through.
    pub first_byte: Option<Span>,
}

/// What happens at a time of its own.
#[derive(Debug, Clone)]
enum Later<'a> {
    Event(usize),
    KillHost(&'a str),
    PowerOff(&'a str),
    Boot {
        host: &'a str,
        same_mac: bool,
        mark: &'a str,
    },
    /// A packet comes out of a long cable.
    Packet(Packet),
    /// An acknowledgment that waited for data to ride on, for so many segments.
    DelayedAck {
        sock: usize,
        due: Span,
        got: u64,
    },
    /// An RST from the way comes back.
    Reset {
        sock: usize,
        at: Span,
    },
}

/// The story under way.
struct World<'a> {
    case: &'a Case,
    kernel: KernelFacts,
    moments: &'a Moments,
    now: Duration,
    processes: Vec<Process<'a>>,
    socks: Vec<Sock<'a>>,
    /// Connections that wait for accept(), by host and port of a listener.
    backlog: BTreeMap<(&'a str, u16), VecDeque<usize>>,
    paths: Paths<'a>,
    /// Hosts in whose place somebody else answers, and since when.
    anew: BTreeMap<&'a str, Duration>,
    marks: BTreeMap<String, Span>,
    later: Vec<(Duration, Later<'a>)>,
    /// The last loss of a carrier.
    no_carrier: Option<Span>,
    /// The paths before the last event.
    before: Option<Paths<'a>>,
    /// The last event, as above.
    moment: Span,
    /// The first fault, from asking for it until it had taken effect.
    fault: Option<Span>,
    /// The last heal, and until when a byte got through after it.
    healed: Option<(Duration, Option<Span>)>,
    signs: Vec<Seen>,
}

/// Tells a case's story up to its first sign.
pub(super) fn tell(
    case: &Case,
    kernel: KernelFacts,
    moments: &Moments,
) -> Result<Told, Unpredictable> {
    let several = case.network.nats.len() > 1;
    let several = several.then(|| "several routers that keep state of connections".into());
    if let Some(why) = several.or_else(|| sysctls::lacking(case, kernel)) {
        return Err(Unpredictable { why });
    }
    let mut world = World {
        case,
        kernel,
        moments,
        now: Duration::ZERO,
        processes: Vec::new(),
        socks: Vec::new(),
        backlog: BTreeMap::new(),
        paths: Paths::new(case),
        anew: BTreeMap::new(),
        marks: BTreeMap::new(),
        later: Vec::new(),
        no_carrier: None,
        before: None,
        moment: Span::at(Duration::ZERO),
        fault: None,
        healed: None,
        signs: Vec::new(),
    };
    world.begin();
    world.go_on().map_err(|why| Unpredictable { why })?;
    world.told().map_err(|why| Unpredictable { why })
}

/// Whether a lane is a server: its first step listens.
fn listens(lane: &Lane) -> bool {
    let first = lane.steps.first();
    first.is_some_and(|s| matches!(s.action, Action::Listen { .. }))
}

impl<'a> World<'a> {
    fn begin(&mut self) {
        let case = self.case;
        // What is bad from the beginning is so before anybody connects.
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
                self.later.push((at, Later::Event(index)));
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
            process.acts = self.moments.acts(label, boot, 0).to_vec().into();
            self.processes.push(process);
        }
    }

    fn go_on(&mut self) -> Result<(), String> {
        for _ in 0..MOST_TURNS {
            self.run_all()?;
            if self.first_sign().is_some() {
                return Ok(());
            }
            match self.next_time() {
                Some(at) if at <= self.case.give_up => {
                    self.now = self.now.max(at);
                    self.due()?;
                }
                _ => return Ok(()),
            }
        }
        Err("the story goes round in circles".into())
    }

    /// Every process that can go on does, until none can.
    fn run_all(&mut self) -> Result<(), String> {
        for _ in 0..MOST_TURNS {
            let mut moved = false;
            for index in 0..self.processes.len() {
                moved |= self.run(index)?;
            }
            if !moved || self.first_sign().is_some() {
                return Ok(());
            }
        }
        Err("the lanes go round in circles".into())
    }

    /// When something happens next that is not a process's own doing.
    fn next_time(&mut self) -> Option<Duration> {
        self.refresh();
        let later = self.later.iter().map(|(at, _)| *at);
        later
            .chain(self.timers())
            .chain(self.memory_due())
            .chain(self.hearts_due())
            .min()
    }

    /// Does everything whose time has come.
    fn due(&mut self) -> Result<(), String> {
        let now = self.now;
        while let Some(first) = (0..self.later.len())
            .filter(|i| self.later[*i].0 <= now)
            .min_by_key(|i| self.later[*i].0)
        {
            let (_, what) = self.later.remove(first);
            self.happens(what)?;
        }
        if self.memory_due().is_some_and(|at| at <= now) {
            self.memory_ends()?;
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
                self.later.push((at, Later::Event(index)));
            }
        }
    }

    fn is_watched(&self, lane: &str) -> bool {
        self.case.watch.iter().any(|w| w == lane)
    }

    /// Notes what a call shows; the process goes on from there.
    fn shows(&mut self, process: usize, call: &str, kind: SignKind, seen: Evidence) {
        let at = self.processes[process].at;
        let lane = self.processes[process].lane.name.clone();
        // Each branch by itself: their hull holds times that cannot be.
        let seen_at = seen.at.map(|span| span.both(at));
        self.wakes(process, seen_at.hull());
        self.signs.push(Seen {
            lane,
            call: call.to_owned(),
            kind,
            at: seen_at,
            because: seen.because,
            rules: seen.rules,
            open: seen.open,
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

    fn first_sign(&self) -> Option<&Seen> {
        let from = self.counts_from()?;
        self.signs
            .iter()
            .filter(|s| self.is_watched(&s.lane))
            .filter_map(|s| Some((s.at.hull()?, s)))
            .filter(|(at, _)| at.latest >= from.earliest)
            .min_by_key(|(at, _)| at.earliest)
            .map(|(_, s)| s)
    }

    fn told(self) -> Result<Told, String> {
        let reference = self.counts_from().map_or(Duration::ZERO, |at| at.latest);
        let sign = self.first_sign().cloned();
        if let Some(why) = sign.as_ref().and_then(|s| s.open.clone()) {
            return Err(why);
        }
        let end = sign.as_ref().and_then(|s| s.at.hull());
        // A limit that runs from when the fault's own time does may end a moment before
        // the fault strikes: who reports, and who strikes, takes its time.
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
        let quiet = match self.probes_never_leave() {
            Some(why) => (why, RuleId::KeepaliveLocalDrop),
            None => (self.why_quiet(), RuleId::NothingToNotice),
        };
        let first_byte = self.healed.and_then(|(_, byte)| byte);
        Ok(Told {
            sign,
            reference,
            quiet,
            first_byte,
        })
    }

    /// Why nobody noticed, where the own host drops what would.
    fn probes_never_leave(&self) -> Option<String> {
        let dropped = |s: &Sock<'_>| {
            let last = s.probes.last().map(|(_, fate)| *fate);
            let sysctls = Sysctls::of(self.case, s.host, self.kernel);
            last == Some(ProbeFate::DroppedByOwnQdisc)
                && s.outgoing.is_none()
                && sysctls.keepalive(&s.lane.detector).is_some()
        };
        let watched = |s: &&Sock<'_>| s.exists && s.held && self.is_watched(&s.lane.name);
        let never = self.socks.iter().filter(watched).any(dropped);
        never.then(|| {
            "a probe that the own qdisc drops does not count, and is tried again every 500 ms, for \
             ever"
                .into()
        })
    }

    /// Why nobody noticed anything until the case gave up.
    fn why_quiet(&self) -> String {
        let give_up = super::words::time(self.case.give_up);
        let waits = self
            .socks
            .iter()
            .filter(|s| s.exists && self.is_watched(&s.lane.name));
        for sock in waits {
            if let Some(fall) = sock.outgoing.as_ref().and_then(|o| o.fall.as_ref())
                && let Some(end) = fall.dead.hull()
            {
                let end = end.plus(
                    sock.outgoing
                        .as_ref()
                        .map_or(Span::at(self.now), |o| o.since),
                );
                return format!(
                    "it would take until {} to {} after the start, and the case gives up after \
                     {give_up}: {}",
                    super::words::time(end.earliest),
                    super::words::time(end.latest),
                    fall.because
                );
            }
            let end = sock.quiet_end.as_ref().and_then(|q| q.at.hull());
            if let (Some(quiet), Some(end)) = (&sock.quiet_end, end) {
                return format!(
                    "it would take until {} after the start, and the case gives up after \
                     {give_up}: {}",
                    super::words::time(end.earliest),
                    quiet.because
                );
            }
        }
        if let Some(why) = self.memory_is_quiet() {
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

/// What a call's result rests on.
struct Evidence {
    at: Spans,
    because: String,
    rules: Vec<RuleId>,
    open: Option<String>,
}

impl Evidence {
    fn now(at: Span, because: &str, rule: RuleId) -> Self {
        Evidence {
            at: Spans::one(at),
            because: because.to_owned(),
            rules: vec![rule],
            open: None,
        }
    }
}

impl From<process::Failure> for Evidence {
    fn from(failure: process::Failure) -> Self {
        Evidence {
            at: failure.at,
            because: failure.because,
            rules: failure.rules,
            open: failure.open,
        }
    }
}
