//! One case's life: build, start, wait for what happens, take down.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::time::TimeSpec;

use super::collect::Collector;
use super::marks::{LISTENERS, Marks, OTHERS};
use super::recorded::{Captured, Ended, Recorded};
use super::restart::Restarting;
use super::{Shared, Turn, happen, held, sysctls};
use crate::endpoint::protocol::Report;
use crate::endpoint::{Endpoint, Spec, THIS_PROGRAM};
use crate::fault::{self, Undo};
use crate::observe::capture::{Capture, Frame};
use crate::observe::classify::PortInfo;
use crate::observe::netstat::Sockets;
use halfopen_lab::Flow;
use halfopen_lab::LabError;
use halfopen_lab::{Lab, LabBuilder};
use halfopen_outcome::record::{FaultRecord, Netstat, Status};
use halfopen_scenario::case::{Action, Case, Lane, When};
use halfopen_sys::clock::{monotonic_ns, sleep_until};
use halfopen_sys::schedule::{Prompt, wake_promptly};

/// How long processes may take to report that they are ready, or listening.
const STARTING: Duration = Duration::from_secs(20);
/// How long after a fault netstat is looked at again, and how long after the
/// last step the wire is still watched: enough for a handshake's worth of
/// segments on a veth, short against any timer.
const SETTLE: Duration = Duration::from_millis(50);
/// How long a case has the processor to itself in virtual time.
const ALONE: Duration = Duration::from_millis(700);

/// A lane's process and what it said.
pub(super) struct Running {
    pub lane: Lane,
    pub endpoint: Endpoint,
    pub collector: Collector,
    /// Its end is known and its pipe is read out.
    closed: bool,
}

/// Something the runner has to do later.
#[derive(Debug, Clone)]
pub(super) enum Later {
    /// The event with this number of the case.
    Event(usize),
    /// Look at the sockets.
    Netstat(String),
    /// End what SIGTERM did not.
    KillHost { host: String },
    /// The host is off.
    PowerOff { host: String },
    /// The host is built again and its servers started, behind silent cables.
    Boot {
        host: String,
        same_mac: bool,
        /// The connections that a router knows again.
        kept: Vec<Flow>,
        mark: Option<String>,
        restart: Option<String>,
        back_ns: i64,
    },
    /// Hosts that were down for long enough come back.
    Back,
    /// A lane is restarted once more.
    Restart(Restarting),
}

/// A host that is being started again.
#[derive(Debug)]
pub(super) struct Booting {
    pub host: String,
    /// Set when it is back and its servers listen.
    pub mark: Option<String>,
    /// A lane that is started once it is back.
    pub restart: Option<String>,
    /// When it may be back.
    pub back_ns: i64,
}

/// A case under way.
pub(super) struct Life<'a> {
    pub case: &'a Case,
    pub lab: Lab,
    pub running: Vec<Running>,
    pub marks: Marks,
    pub t0_ns: i64,
    pub faults: Vec<FaultRecord>,
    /// What `heal` can undo, by the event's name.
    pub undo: Vec<(String, Undo)>,
    /// Hosts that are being started again.
    pub booting: Vec<Booting>,
    pub boots: HashMap<String, u32>,
    later: Vec<(i64, Later)>,
    pub(super) fired: Vec<bool>,
    capture: Capture,
    frames: Vec<Frame>,
    ports: Vec<PortInfo>,
    netstat: Vec<Netstat>,
    sockets: BTreeMap<String, Sockets>,
}

/// Runs one case from nothing to nothing.
pub(super) fn live(case: &Case, turn: Turn, shared: &Shared<'_>) -> Result<Ended, LabError> {
    let (busy, moment_ns) = shared.take_busy(turn);
    let mut life = Life::build(case, shared)?;
    life.start(shared, moment_ns)?;
    // In virtual time waiting is free, and the one processor is slow: a case
    // has it to itself until its first faults have struck.
    let mut busy = shared.options.virtual_time.then_some(busy);
    let alone_until = life.t0_ns + nanos(ALONE);
    // Faults are to strike at their time, and to be stamped when they have.
    // Not while building, which is work and can wait its turn.
    wake_promptly(Prompt::Runner);
    let mut ended = true;
    if busy.is_some() {
        ended = life.wait(shared, Some(alone_until))?;
        busy.take();
    }
    let ended = ended && life.wait(shared, None)?;
    if !ended {
        return Ok(Ended::Not(Status::NotRun("interrupted".into())));
    }
    let mut recorded = life.finish(shared.leaves_labs)?;
    // In real time it is another one every time, and tells nobody anything.
    recorded.started_ns = recorded.started_ns.filter(|_| shared.options.virtual_time);
    Ok(Ended::Ran(Box::new(recorded)))
}

impl<'a> Life<'a> {
    fn build(case: &'a Case, shared: &Shared<'_>) -> Result<Self, LabError> {
        let mut builder = LabBuilder::from_plan(&case.network).families(&[case.family]);
        for (host, key, value) in sysctls::of(case, &shared.options.sysctls) {
            builder = builder.sysctl(&host, &key, &value);
        }
        let lab = builder.build()?;
        let mut capture = Capture::open(lab.wire())?;
        if case.events.iter().any(|e| e.action.corrupts()) {
            capture.look_at_all();
        }
        let marks = Marks::of(case)?;
        let mut life = Life {
            case,
            lab,
            running: Vec::new(),
            marks,
            t0_ns: monotonic_ns(),
            faults: Vec::new(),
            undo: Vec::new(),
            booting: Vec::new(),
            boots: HashMap::new(),
            later: Vec::new(),
            fired: vec![false; case.events.len()],
            capture,
            frames: Vec::new(),
            ports: Vec::new(),
            netstat: Vec::new(),
            sockets: BTreeMap::new(),
        };
        life.note_ports();
        for event in &case.events {
            fault::prepare(&mut life.lab, &event.action)?;
        }
        Ok(life)
    }

    /// Starts all lanes: first those that listen, then the others.
    fn start(&mut self, shared: &Shared<'_>, moment_ns: Option<i64>) -> Result<(), LabError> {
        for lane in &self.case.lanes {
            self.spawn(lane, 0)?;
        }
        self.wait_until(shared, "be ready", |r| r.collector.state.ready)?;
        self.marks.set(LISTENERS, monotonic_ns());
        self.wait_until(shared, "listen", |r| {
            !listens(&r.lane) || r.collector.state.listening || r.collector.state.done
        })?;
        happen::conditions(self)?;
        if let Some(at_ns) = moment_ns {
            sleep_until(at_ns);
        }
        happen::begin(self);
        self.marks.set(OTHERS, self.t0_ns);
        for (index, event) in self.case.events.iter().enumerate() {
            if let When::At(at) = event.when
                && !self.fired[index]
            {
                self.later
                    .push((self.t0_ns + nanos(at), Later::Event(index)));
            }
        }
        Ok(())
    }

    /// Starts a lane's processes.
    pub(super) fn spawn(&mut self, lane: &Lane, boot: u32) -> Result<(), LabError> {
        let mut addresses = BTreeMap::new();
        for lane in &self.case.lanes {
            let address = self.lab.address(&lane.host, self.case.family)?;
            addresses.insert(lane.host.clone(), address);
        }
        let own_address = self.lab.address(&lane.host, self.case.family)?;
        let default_peer = self
            .case
            .lanes
            .iter()
            .find(|l| l.host != lane.host && listens(l))
            .map(|l| l.host.clone());
        for copy in 1..=lane.count {
            let mut lane = lane.clone();
            if lane.count > 1 {
                lane.name = format!("{}.{copy}", lane.name);
            }
            let endpoint = Endpoint::spawn(&Spec {
                lane: &lane,
                namespace: Some(self.lab.namespace(&lane.host)?),
                addresses: &addresses,
                default_peer: default_peer.as_deref(),
                own_address,
                marks: &self.marks.readers(),
                start: if listens(&lane) { LISTENERS } else { OTHERS },
                program: Path::new(THIS_PROGRAM),
            })?;
            let collector = Collector::new(&lane.name, &lane.host, boot, endpoint.pid);
            self.running.push(Running {
                lane,
                endpoint,
                collector,
                closed: false,
            });
        }
        Ok(())
    }

    fn wait_until(
        &mut self,
        shared: &Shared<'_>,
        what: &str,
        there: impl Fn(&Running) -> bool,
    ) -> Result<(), LabError> {
        let deadline = monotonic_ns() + nanos(STARTING);
        loop {
            self.turn(deadline, shared)?;
            if let Some(r) = self
                .running
                .iter()
                .find(|r| r.collector.state.broken.is_some())
            {
                let why = r.collector.state.broken.clone().unwrap_or_default();
                return Err(LabError::Plan(format!("lane {}: {why}", r.lane.name)));
            }
            if self.running.iter().all(&there) {
                return Ok(());
            }
            if let Some(r) = self.running.iter().find(|r| r.collector.state.ended) {
                let name = &r.lane.name;
                return Err(LabError::Plan(format!(
                    "lane {name} ended before it could {what}"
                )));
            }
            if monotonic_ns() >= deadline {
                return Err(LabError::Plan(format!(
                    "the lanes did not {what} within {STARTING:?}: is the machine overloaded?"
                )));
            }
        }
    }

    /// Waits and does what is due, until the case is over, or until `pause`
    /// (absolute). `false`: interrupted.
    fn wait(&mut self, shared: &Shared<'_>, pause: Option<i64>) -> Result<bool, LabError> {
        let give_up = self.t0_ns + nanos(self.case.give_up);
        let mut end = give_up;
        loop {
            while let Some(due) = self.take_due() {
                happen::do_later(self, due)?;
            }
            if end == give_up && self.is_over() {
                end = give_up.min(monotonic_ns() + nanos(SETTLE));
            }
            if monotonic_ns() >= end || pause.is_some_and(|at| monotonic_ns() >= at) {
                return Ok(true);
            }
            let next = self
                .later
                .iter()
                .map(|(at, _)| *at)
                .chain(pause)
                .min()
                .unwrap_or(end)
                .min(end);
            if !self.turn(next, shared)? {
                return Ok(false);
            }
        }
    }

    /// Whether nothing more is going to happen that anybody watches for.
    fn is_over(&self) -> bool {
        self.later.is_empty()
            && self.booting.is_empty()
            && self.fired.iter().all(|f| *f)
            && self
                .running
                .iter()
                .filter(|r| self.case.watch.contains(&base_name(&r.lane.name)))
                .all(|r| r.collector.state.done || r.collector.state.ended)
    }

    /// Sleeps until something is to be read or until `deadline` (absolute),
    /// and reads it. `false`: interrupted.
    fn turn(&mut self, deadline: i64, shared: &Shared<'_>) -> Result<bool, LabError> {
        let interrupt = shared.options.interrupt.as_ref();
        let mut fds = vec![PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
        if let Some(fd) = interrupt {
            fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
        }
        for r in self.running.iter().filter(|r| !r.closed) {
            fds.push(PollFd::new(r.endpoint.reports(), PollFlags::POLLIN));
            // Its end stays readable; its children may speak for long after.
            let end = match r.collector.state.ended {
                true => PollFlags::empty(),
                false => PollFlags::POLLIN,
            };
            fds.push(PollFd::new(r.endpoint.pidfd(), end));
        }
        let wait = Duration::from_nanos(u64::try_from(deadline - monotonic_ns()).unwrap_or(0));
        match nix::poll::ppoll(&mut fds, Some(TimeSpec::from_duration(wait)), None) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(LabError::system("wait for endpoints", e)),
        }
        let shows = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        let interrupted = interrupt.is_some() && shows(&fds[1]);
        let frames = shows(&fds[0]);
        let lanes = fds[1 + usize::from(interrupt.is_some())..].chunks(2);
        let speak: Vec<bool> = lanes.map(|lane| lane.iter().any(shows)).collect();
        drop(fds);
        if frames {
            self.capture.drain(&mut self.frames)?;
        }
        self.take_reports(&speak)?;
        Ok(!interrupted)
    }

    /// Hears those lanes that `speak`, of all that are not closed.
    fn take_reports(&mut self, speak: &[bool]) -> Result<(), LabError> {
        let mut reports: Vec<Report> = Vec::new();
        let mut marks = Vec::new();
        let open = self.running.iter_mut().filter(|r| !r.closed);
        for (r, _) in open.zip(speak).filter(|(_, speaks)| **speaks) {
            // Look for the end first: what is in the pipe then is all there is
            // of this process (its children may still write).
            let end = r
                .endpoint
                .try_wait()
                .map_err(|e| LabError::system("wait for a lane", e))?;
            let at_ns = monotonic_ns();
            let eof = r
                .endpoint
                .read_reports(&mut reports)
                .map_err(|e| LabError::system(format!("read what {} says", r.lane.name), e))?;
            marks.extend(
                reports
                    .drain(..)
                    .filter_map(|report| r.collector.take(report)),
            );
            if let Some(how) = end {
                r.collector.ended(how, at_ns);
            }
            r.closed = r.collector.state.ended && eof;
        }
        for (mark, at_ns) in marks {
            self.set_mark(&mark, at_ns);
        }
        self.bring_back()
    }

    /// Ends the silence of hosts whose time has come and whose servers listen,
    /// and sets their marks.
    pub(super) fn bring_back(&mut self) -> Result<(), LabError> {
        let now = monotonic_ns();
        let (back, still) = std::mem::take(&mut self.booting)
            .into_iter()
            .partition(|b| {
                let boot = self.boots.get(&b.host).copied().unwrap_or(0);
                let mut lanes = self
                    .running
                    .iter()
                    .filter(|r| r.lane.host == b.host && r.collector.boot() == boot);
                b.back_ns <= now
                    && lanes.all(|r| r.collector.state.listening || r.collector.state.ended)
            });
        self.booting = still;
        for booted in Vec::into_iter(back) {
            let took = self.lab.end_silence(&booted.host)?;
            if let Some(lane) = &booted.restart {
                self.start_again(lane)?;
            }
            if let Some(mark) = &booted.mark {
                self.set_mark(mark, took.effective_ns);
            }
        }
        Ok(())
    }

    /// Sets a mark and schedules what waits for it.
    pub(super) fn set_mark(&mut self, mark: &str, at_ns: i64) {
        if !self.marks.set(mark, at_ns) {
            return;
        }
        for (index, event) in self.case.events.iter().enumerate() {
            if let When::After { mark: wanted, by } = &event.when
                && wanted == mark
            {
                self.later.push((at_ns + nanos(*by), Later::Event(index)));
            }
        }
    }

    /// Does something later.
    pub(super) fn schedule(&mut self, after: Duration, what: Later) {
        self.later.push((monotonic_ns() + nanos(after), what));
    }

    /// Does something at a moment, CLOCK_MONOTONIC.
    pub(super) fn schedule_at(&mut self, at_ns: i64, what: Later) {
        self.later.push((at_ns, what));
    }

    /// Looks at the sockets again once things have settled.
    pub(super) fn netstat_soon(&mut self, moment: String) {
        self.schedule(SETTLE, Later::Netstat(moment));
    }

    /// Whether a host that is off is about to be built again.
    pub(super) fn boots_soon(&self, host: &str) -> bool {
        let boots = |later: &Later| matches!(later, Later::Boot { host: h, .. } if h == host);
        self.later.iter().any(|(_, later)| boots(later))
    }

    fn take_due(&mut self) -> Option<Later> {
        let now = monotonic_ns();
        let (index, _) = self
            .later
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| *at <= now)
            .min_by_key(|(_, (at, _))| *at)?;
        let (_, due) = self.later.remove(index);
        if let Later::Event(number) = due {
            self.fired[number] = true;
        }
        Some(due)
    }

    /// Looks at the sockets of all hosts that run lanes.
    pub(super) fn look(&mut self, moment: &str) -> Result<(), LabError> {
        let mut sockets = Vec::new();
        let mut hosts: Vec<&str> = self.case.lanes.iter().map(|l| l.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let at_ns = monotonic_ns() - self.t0_ns;
        for host in hosts {
            // A host that is down has no sockets to look at.
            let Ok(namespace) = self.lab.namespace(host) else {
                continue;
            };
            if !self.sockets.contains_key(host) {
                self.sockets
                    .insert(host.to_owned(), Sockets::open(namespace)?);
            }
            if let Some(open) = self.sockets.get_mut(host) {
                sockets.extend(open.dump(host)?);
            }
        }
        self.netstat.push(Netstat {
            at_ns,
            moment: moment.to_owned(),
            sockets,
            fd_counts: held::by_hosts(&self.running),
        });
        Ok(())
    }

    /// The host's namespace is gone or another one.
    pub(super) fn forget_sockets(&mut self, host: &str) {
        self.sockets.remove(host);
    }

    /// Notes which port is whose: they change when a host is built again.
    pub(super) fn note_ports(&mut self) {
        for port in self.lab.ports() {
            if self.ports.iter().all(|p| p.ifindex != port.ifindex) {
                self.ports.push(PortInfo {
                    ifindex: port.ifindex,
                    cable: port.cable.clone(),
                    node: port.node.clone(),
                    other: port.peer_node.clone(),
                });
            }
        }
    }

    fn finish(mut self, leave_lab: bool) -> Result<Recorded, LabError> {
        self.look("end")?;
        self.capture.drain(&mut self.frames)?;
        self.take_reports(&vec![true; self.running.len()])?;
        let mut node_of = BTreeMap::new();
        for node in &self.case.network.nodes {
            // Switches have no address.
            if let Ok(address) = self.lab.address(&node.name, self.case.family) {
                node_of.insert(address, node.name.clone());
            }
        }
        let captured = Captured {
            lost: self.capture.lost(),
            frames: self.frames,
            ports: self.ports,
            node_of,
            t0_ns: self.t0_ns,
        };
        let mut surprises = self.lab.impairment_errors();
        for r in &self.running {
            if let Some(why) = &r.collector.state.broken {
                surprises.push(format!("lane {}: {why}", r.lane.name));
            }
        }
        let endpoints = self
            .running
            .iter()
            .map(|r| r.collector.finish(self.t0_ns))
            .collect();
        // Before their network.
        drop(self.running);
        if leave_lab {
            self.lab.leak_namespaces();
        }
        Ok(Recorded {
            faults: self.faults,
            endpoints,
            netstat: self.netstat,
            surprises,
            started_ns: Some(self.t0_ns),
            captured,
        })
    }
}

/// Whether a lane is a server: its first step listens.
pub(super) fn listens(lane: &Lane) -> bool {
    lane.steps
        .first()
        .is_some_and(|s| matches!(s.action, Action::Listen { .. }))
}

/// The lane a copy belongs to: `client` of `client.2`.
pub(super) fn base_name(lane: &str) -> String {
    lane.split_once('.')
        .map_or(lane, |(base, _)| base)
        .to_owned()
}

pub(super) fn nanos(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}
