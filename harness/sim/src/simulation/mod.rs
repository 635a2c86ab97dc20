//! A discrete-event simulation of a case: every packet, timer and step of a program is an
//! event of one queue.
//!
//! One run knows everything: the phase of the timer wheel, and what else is uncertain, are
//! its [`Place`]. What is not known is swept by the caller, over several runs.

mod clock;
mod faults;
mod net;
mod place;
mod program;
mod queue;
mod tcp;
mod timers;
mod trace;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::kernel::KernelFacts;
use crate::moments::{CallTime, Moments};
use crate::sysctls::Sysctls;
use crate::wheel::Jiffies;
use clock::{Clock, Ns, ns};
use halfopen_scenario::case::{
    Action, BeatWhen, Case, Heartbeat, Lane, OnSilence, Step, When, all_steps,
};
use net::filter::ActiveRule;
use net::frame::End;
use net::topology::{Cable, Node};
use net::wire::ActiveLine;
pub use place::{ALTERNATIVES, Detail, Place, Uncertain};
use queue::{Event, Queue, TimerId};
use tcp::TcpSock;
pub use trace::{CallResult, Happened, RanProcess, Seen, SentFrame, Trace, TraceEvent};

pub(crate) type NodeId = usize;
pub(crate) type SockId = usize;
pub(crate) type ProcessId = usize;
type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Upper limit of events, reached only by a simulation that does not advance.
const MAX_EVENTS: usize = 400_000;
/// With more processes the time that their calls take decides.
const MOST_PROCESSES: u32 = 50;
/// And with more connections.
const MOST_SOCKETS: usize = 200;

/// A process of a lane.
struct Process<'a> {
    lane: &'a Lane,
    label: String,
    boot: u32,
    number: u32,
    parent: Option<ProcessId>,
    node: NodeId,
    alive: bool,
    frozen: bool,
    /// The calls that it made in a run that is followed, the next one first.
    calls: VecDeque<CallTime>,
    /// Lines typed on its keyboard.
    typed: u32,
    /// Its open sockets.
    socks: Vec<SockId>,
    children: u32,
    /// The call that it is in, and since when.
    pending: Option<(&'static str, Ns)>,
    /// The line of the step that it executes.
    line: u32,
}

/// The state of a run.
pub(crate) struct Sim<'a> {
    case: &'a Case,
    kernel: KernelFacts,
    moments: &'a Moments,
    place: Place,
    detail: Detail,
    used: [bool; 7],
    random: u64,
    clock: Clock,
    now: Ns,
    in_timer: bool,
    queue: Queue,
    /// By the widths of buckets, when the first timer in one of them was due.
    due: BTreeMap<u64, Ns>,
    nodes: Vec<Node>,
    cables: Vec<Cable>,
    rules: Vec<ActiveRule<'a>>,
    lines: Vec<ActiveLine<'a>>,
    /// Cuts and other changes in force, by their events' indices.
    active: Vec<usize>,
    socks: Vec<TcpSock>,
    connections: BTreeMap<(NodeId, End, End), SockId>,
    listeners: BTreeMap<(NodeId, u16), SockId>,
    processes: Vec<Process<'a>>,
    marks: BTreeMap<&'a str, Ns>,
    /// The first fault: asked for, and in effect.
    fault: Option<(Ns, Ns)>,
    /// The last heal, and when the first byte of an older connection arrived after it.
    healed: Option<(Ns, Option<Ns>)>,
    trace: Trace,
    /// What the model does not contain.
    unknown: Option<String>,
    /// Processes that were forked or spawned and have no task yet.
    spawned: Vec<(ProcessId, program::Start<'a>)>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Run {
    /// The first sign.
    pub sign: Option<Seen>,
    /// The time from which the sign counts.
    pub reference: Duration,
    /// From the last heal until a byte got through.
    pub first_byte: Option<Duration>,
    /// Everything that happened.
    pub trace: Trace,
    /// Which kinds of uncertainty decided something.
    pub used: [bool; 7],
    /// The widest bucket of the timer wheel that decided something, in ticks.
    pub granule: u64,
    /// How many events it took.
    pub events: usize,
    /// What the model does not contain.
    pub unknown: Option<String>,
    /// Whether events were left out because there were too many.
    pub endless: bool,
}

/// Runs a case at a place.
pub fn simulate(
    case: &Case,
    kernel: KernelFacts,
    moments: &Moments,
    place: Place,
    detail: Detail,
) -> Run {
    let sim = Rc::new(RefCell::new(Sim::new(case, kernel, moments, place, detail)));
    let mut tasks: Vec<Option<Task<'_>>> = Vec::new();
    sim.borrow_mut().start();
    let give_up = ns(case.give_up);
    let mut endless = true;
    let mut events = 0;
    while events < MAX_EVENTS {
        events += 1;
        spawn_tasks(&sim, &mut tasks);
        let next = {
            let mut sim = sim.borrow_mut();
            if sim.sign_is_certain() {
                None
            } else {
                sim.queue.pop(give_up)
            }
        };
        let Some((at, event)) = next else {
            endless = false;
            break;
        };
        sim.borrow_mut().now = at;
        if let Event::Process(id) = event {
            let runs = {
                let sim = sim.borrow();
                sim.processes[id].alive && !sim.processes[id].frozen
            };
            if let Some(task) = tasks.get_mut(id).filter(|_| runs)
                && let Some(future) = task
                && future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_ready()
            {
                *task = None;
            }
        } else {
            sim.borrow_mut().handle(event);
        }
    }
    tasks.clear();
    let sim = Rc::into_inner(sim).map(RefCell::into_inner);
    let run = sim.map_or_else(Run::nothing, |sim| sim.finish(endless));
    Run { events, ..run }
}

fn spawn_tasks<'a>(sim: &Rc<RefCell<Sim<'a>>>, tasks: &mut Vec<Option<Task<'a>>>) {
    loop {
        let spawned = std::mem::take(&mut sim.borrow_mut().spawned);
        if spawned.is_empty() {
            return;
        }
        for (id, start) in spawned {
            while tasks.len() <= id {
                tasks.push(None);
            }
            tasks[id] = Some(program::task(Rc::clone(sim), id, start));
            let mut sim = sim.borrow_mut();
            let now = sim.now;
            sim.queue.push(now, Event::Process(id));
        }
    }
}

impl Run {
    fn nothing() -> Self {
        Run {
            sign: None,
            reference: Duration::ZERO,
            first_byte: None,
            trace: Trace::default(),
            used: [false; 7],
            granule: 1,
            events: 0,
            unknown: Some("a task that outlives its run".into()),
            endless: false,
        }
    }
}

impl<'a> Sim<'a> {
    fn new(
        case: &'a Case,
        kernel: KernelFacts,
        moments: &'a Moments,
        place: Place,
        detail: Detail,
    ) -> Self {
        let (nodes, cables) = net::topology::build(case, |node| Sysctls::of(case, node, kernel));
        Sim {
            case,
            kernel,
            moments,
            place,
            detail,
            used: [false; 7],
            random: place.choices[Uncertain::Chance as usize].wrapping_mul(0x9e37_79b9_7f4a_7c15)
                | 1,
            clock: Clock::new(kernel.wheel(), place.phase),
            now: 0,
            in_timer: false,
            queue: Queue::default(),
            due: BTreeMap::new(),
            nodes,
            cables,
            rules: Vec::new(),
            lines: Vec::new(),
            active: Vec::new(),
            socks: Vec::new(),
            connections: BTreeMap::new(),
            listeners: BTreeMap::new(),
            processes: Vec::new(),
            marks: BTreeMap::new(),
            fault: None,
            healed: None,
            trace: Trace::default(),
            unknown: None,
            spawned: Vec::new(),
        }
    }

    fn start(&mut self) {
        for lane in &self.case.lanes {
            if lane.program.is_some() {
                self.unknown("the program's own logic");
            }
        }
        if let Some(what) = not_modelled(self.case) {
            self.unknown(what);
        }
        let copies: u32 = self.case.lanes.iter().map(|lane| lane.count.max(1)).sum();
        if copies > MOST_PROCESSES {
            self.unknown("how long so many calls take");
        }
        for node in 0..self.nodes.len() {
            if let Some(key) = self.nodes[node].sysctls.unknown.first() {
                let key = key.clone();
                self.unknown(&format!("what {key} does"));
            }
        }
        for (index, event) in self.case.events.iter().enumerate() {
            if event.is_condition() {
                self.apply(index, 0);
            }
        }
        for servers in [true, false] {
            for lane in &self.case.lanes {
                if lane.is_server() == servers {
                    self.spawn(lane);
                }
            }
        }
        for (index, event) in self.case.events.iter().enumerate() {
            if let When::At(at) = event.when
                && !event.is_condition()
            {
                let at = self.event_time(index, ns(at));
                self.queue.push(at, Event::Case(index));
            }
        }
    }

    /// When an event takes effect: as planned, or as it was in the run that is followed.
    fn event_time(&mut self, index: usize, planned: Ns) -> Ns {
        let Some(span) = self.moments.of_event(&self.case.events[index].name) else {
            return planned.max(self.now);
        };
        let late = self.choose(Uncertain::Moment) == 1;
        ns(if late { span.latest } else { span.earliest }).max(self.now)
    }

    /// One process for each copy of a lane.
    fn spawn(&mut self, lane: &'a Lane) {
        let Some(node) = self.node_id(&lane.host) else {
            return;
        };
        for copy in 1..=lane.count.max(1) {
            let label = match lane.count {
                0 | 1 => lane.name.clone(),
                _ => format!("{}.{copy}", lane.name),
            };
            let boots = self.processes.iter();
            let boot = boots
                .filter(|p| p.label == label && p.parent.is_none())
                .count() as u32;
            let calls = self.moments.calls(&label, boot, 0).to_vec().into();
            self.processes.push(Process {
                lane,
                label,
                boot,
                number: 0,
                parent: None,
                node,
                alive: true,
                frozen: false,
                calls,
                typed: 0,
                socks: Vec::new(),
                children: 0,
                pending: None,
                line: 0,
            });
            let id = self.processes.len() - 1;
            self.spawned.push((id, program::Start::Lane));
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Timer(id, generation) => {
                self.in_timer = true;
                self.timer(id, generation);
                self.in_timer = false;
            }
            Event::Frame {
                node,
                interface,
                frame,
            } => self.frame_arrives(node, interface, *frame),
            Event::Loopback(node, packet) => {
                if self.nodes[node].on {
                    self.ip_local_deliver(node, *packet);
                }
            }
            Event::Tasklet(sock) => self.tsq_handler(sock),
            Event::CarrierLost(node, interface) => self.carrier_lost(node, interface),
            Event::Case(index) => self.event(index),
            Event::Mark(index) => {
                let case = self.case;
                self.set_mark(&case.events[index].name);
            }
            Event::KillHost(node) => self.kill_host(node),
            Event::PowerOff(node) => self.crash(node),
            Event::Boot {
                node,
                same_mac,
                keeps_state,
                mark,
            } => self.boot(node, same_mac, keeps_state, mark),
            Event::Exit(id) => self.exit_process(id),
            Event::Process(_) => {}
        }
    }

    fn timer(&mut self, id: TimerId, generation: u32) {
        let on = |sim: &Self, sock: SockId| sim.nodes[sim.socks[sock].node].on;
        match id {
            TimerId::Write(sock) if on(self, sock) => self.write_timer(sock, generation),
            TimerId::Keepalive(sock) if on(self, sock) => self.keepalive_timer(sock, generation),
            TimerId::DelayedAck(sock)
                if on(self, sock) && self.socks[sock].delack_timer == generation =>
            {
                self.delack_timer(sock);
            }
            TimerId::TimeWait(sock) if self.socks[sock].other_timer == generation => {
                self.forget_sock(sock);
            }
            TimerId::Request(sock) if on(self, sock) => self.request_timer(sock, generation),
            TimerId::Neighbour(node, index) => self.neigh_timer_handler(node, index, generation),
            _ => {}
        }
    }

    /// What is uncertain is so here.
    pub(crate) fn choose(&mut self, what: Uncertain) -> u64 {
        self.used[what as usize] = true;
        self.place.choices[what as usize]
    }

    /// The model does not contain this.
    pub(crate) fn unknown(&mut self, what: &str) {
        self.unknown.get_or_insert_with(|| what.to_owned());
    }

    pub(crate) fn jiffies(&self) -> Jiffies {
        self.clock.jiffies(self.now)
    }

    pub(crate) fn sysctls(&self, sock: SockId) -> &Sysctls {
        &self.nodes[self.socks[sock].node].sysctls
    }

    pub(crate) fn node_id(&self, name: &str) -> Option<NodeId> {
        self.case.network.nodes.iter().position(|n| n.name == name)
    }

    pub(crate) fn node_name(&self, node: NodeId) -> &'a str {
        &self.case.network.nodes[node].name
    }

    /// The process that has the socket may go on.
    pub(crate) fn wake(&mut self, sock: SockId) {
        if let Some(owner) = self.socks[sock].owner {
            let now = self.now;
            self.queue.push(now, Event::Process(owner));
        }
    }

    fn set_mark(&mut self, mark: &'a str) {
        let now = self.now;
        if self.marks.insert(mark, now).is_some() {
            return;
        }
        for (index, event) in self.case.events.iter().enumerate() {
            if let When::After { mark: wanted, by } = &event.when
                && wanted == mark
            {
                let at = self.event_time(index, now + ns(*by));
                self.queue.push(at, Event::Case(index));
            }
        }
        for id in 0..self.processes.len() {
            if self.processes[id].alive {
                self.queue.push(now, Event::Process(id));
            }
        }
    }

    /// Whether a case has no fault: its signs count from the start.
    fn counts_from(&self) -> Option<(Ns, Ns)> {
        let has_fault = self.case.events.iter().any(|e| e.is_fault());
        if has_fault { self.fault } else { Some((0, 0)) }
    }

    fn first_sign(&self) -> Option<&Seen> {
        let (asked, _) = self.counts_from()?;
        let asked = Duration::from_nanos(asked);
        let has_fault = self.case.events.iter().any(|e| e.is_fault());
        let watched = |seen: &&Seen| self.case.watch.contains(&seen.lane);
        let signs = self.trace.signs.iter().filter(watched);
        signs
            .filter(|seen| !has_fault || seen.at >= asked)
            .min_by_key(|seen| seen.at)
    }

    fn sign_is_certain(&self) -> bool {
        !self.trace.signs.is_empty()
            && self.first_sign().is_some()
            && (self.healed.is_none_or(|(_, byte)| byte.is_some()) || self.connections.is_empty())
    }

    fn finish(mut self, endless: bool) -> Run {
        self.end_trace();
        let sign = self.first_sign().cloned();
        let end = sign.as_ref().map_or(ns(self.case.give_up), |_| self.now);
        let granule = self.granule(end);
        let (_, effective) = self.counts_from().unwrap_or((0, 0));
        let first_byte = self.healed.and_then(|(healed, byte)| {
            let byte = byte?;
            Some(Duration::from_nanos(byte.saturating_sub(healed)))
        });
        Run {
            sign,
            reference: Duration::from_nanos(effective),
            first_byte,
            trace: std::mem::take(&mut self.trace),
            used: self.used,
            granule,
            events: 0,
            unknown: self.unknown,
            endless,
        }
    }
}

/// The first step, in words, that neither this model nor the rules contain.
pub fn step_not_modelled(case: &Case) -> Option<&'static str> {
    let mut steps = case.lanes.iter().flat_map(|lane| all_steps(&lane.steps));
    steps.find_map(|step| match step.action {
        Action::Set { .. } => Some("socket options that are set later"),
        Action::Beside { .. } => Some("two threads on one socket"),
        Action::Relay { .. } => Some("a proxy between two connections"),
        Action::Pool { .. } => Some("a pool of connections"),
        _ => None,
    })
}

/// Words of the language that the model does not contain.
fn not_modelled(case: &Case) -> Option<&'static str> {
    if let Some(what) = step_not_modelled(case) {
        return Some(what);
    }
    let heartbeats = || {
        case.lanes
            .iter()
            .map(|lane| lane.detector.heartbeat.as_ref())
    };
    let unknown = |h: &Heartbeat| {
        h.counts.is_some() || h.when == BeatWhen::Busy || h.on_silence == OnSilence::Nothing
    };
    if heartbeats().flatten().any(unknown) {
        return Some("what counts as life, and what silence leads to");
    }
    let echoes = |lane: &Lane| {
        let steps = all_steps(&lane.steps);
        let echo = |step: &&Step| {
            matches!(
                step.action,
                Action::Echo | Action::Multiplex { echo: true, .. }
            )
        };
        lane.detector.heartbeat.is_none() && steps.iter().any(echo)
    };
    if heartbeats().any(|h| h.is_some()) && case.lanes.iter().any(echoes) {
        return Some("beats to a program that knows none");
    }
    if case
        .lanes
        .iter()
        .any(|lane| !lane.detector.options.is_empty())
    {
        return Some("options of sockets");
    }
    None
}
