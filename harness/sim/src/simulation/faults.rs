//! The events of a case, as the runner applies them to a lab.

use super::clock::{MS, Ns, ns};
use super::net::filter::ActiveRule;
use super::net::frame::{Addr, Discovery, Payload};
use super::net::topology::RouteTo;
use super::net::wire::ActiveLine;
use super::queue::Event;
use super::tcp::TcpState;
use super::{NodeId, ProcessId, Sim, Uncertain};
use halfopen_scenario::case::{
    CableRef, Carrier, Direction, Disposition, EventAction, Family, InterfaceChange, RouteChange,
};

/// From the moment at which an event is in effect until lanes know that.
const MARKED_AFTER: Ns = MS / 10;
/// From the end of a host's last process until its network goes down.
const HOST_STOP_GRACE: Ns = 200 * MS;

impl<'a> Sim<'a> {
    /// An event is due.
    pub(super) fn event(&mut self, index: usize) {
        let case = self.case;
        let event = &case.events[index];
        self.trace_event(index);
        if event.is_fault() && self.fault.is_none() {
            let span = self.moments.of_event(&event.name);
            let times = span.map_or((self.now, self.now), |span| {
                (ns(span.earliest), ns(span.latest))
            });
            self.fault = Some(times);
        }
        let marks_later = matches!(
            event.action,
            EventAction::Reboot { .. } | EventAction::Restart { .. }
        );
        self.apply(index, self.now);
        if !marks_later {
            // The runner reads the kernel's answer first; calls of a run that is followed
            // have moments of their own.
            let later = match self.moments.is_empty() {
                true => MARKED_AFTER,
                false => 0,
            };
            self.queue.push(self.now + later, Event::Mark(index));
        }
    }

    /// Applies an event.
    pub(super) fn apply(&mut self, index: usize, now: Ns) {
        let case = self.case;
        let event = &case.events[index];
        match &event.action {
            EventAction::Netstat => {}
            EventAction::Kill {
                lane,
                signal,
                child,
            } => self.kill(index, lane, signal, *child),
            EventAction::Freeze { lane } => self.freeze(lane, true),
            EventAction::Thaw { lane } => self.freeze(lane, false),
            EventAction::Type { lane, .. } => {
                for id in 0..self.processes.len() {
                    if self.processes[id].lane.name == *lane {
                        self.processes[id].typed += 1;
                        self.queue.push(now, Event::Process(id));
                    }
                }
            }
            EventAction::Shutdown { host, grace } => {
                if let Some(node) = self.node_id(host) {
                    self.signal_host(node, "TERM");
                    let at = now + ns(*grace);
                    self.queue.push(at, Event::KillHost(node));
                }
            }
            EventAction::Crash { host } => {
                if let Some(node) = self.node_id(host) {
                    self.crash(node);
                }
            }
            EventAction::Suspend { host } => self.suspend(host, true),
            EventAction::Resume { host } => self.suspend(host, false),
            EventAction::Reboot {
                host,
                down_for,
                same_mac,
                keeps_state,
            } => {
                if let Some(node) = self.node_id(host) {
                    self.crash(node);
                    let boot = Event::Boot {
                        node,
                        same_mac: *same_mac,
                        keeps_state: *keeps_state,
                        mark: index,
                    };
                    self.queue.push(now + ns(*down_for), boot);
                }
            }
            EventAction::Restart { .. } => self.unknown("how long a restart takes"),
            EventAction::Heal { what } => {
                let all: Vec<usize> = std::mem::take(&mut self.active);
                for undone in all {
                    let name = &case.events[undone].name;
                    if what.as_ref().is_none_or(|what| what == name) {
                        self.undo(undone);
                    } else {
                        self.active.push(undone);
                    }
                }
                self.healed = Some((now, None));
            }
            EventAction::Forget { router } => {
                let node = self.node_id(router);
                if let Some(tracking) = node.and_then(|n| self.nodes[n].tracking.as_mut()) {
                    tracking.forget();
                }
            }
            _ => {
                self.active.push(index);
                self.change_network(index);
            }
        }
    }

    fn cable(&self, cable: &CableRef) -> Option<(usize, usize)> {
        let near = self.node_id(&cable.near)?;
        let far = cable.far.as_ref().and_then(|far| self.node_id(far));
        let ends = |ends: &[(NodeId, usize); 2]| {
            (0..2)
                .find(|side| ends[*side].0 == near && far.is_none_or(|far| ends[1 - side].0 == far))
        };
        let mut all = self.cables.iter().enumerate();
        all.find_map(|(index, cable)| Some((index, ends(&cable.ends)?)))
    }

    fn change_network(&mut self, index: usize) {
        let case = self.case;
        let event = &case.events[index];
        match &event.action {
            EventAction::Cut {
                cable,
                direction,
                carrier,
            } => {
                let Some((cable, side)) = self.cable(cable) else {
                    return;
                };
                let lost = *carrier == Carrier::Lost;
                let mut cut = [false; 2];
                cut[side] = lost || matches!(direction, Direction::Both | Direction::From);
                cut[1 - side] = lost || matches!(direction, Direction::Both | Direction::To);
                self.set_cut(cable, cut);
                if lost {
                    let (node, interface) = self.cables[cable].ends[side];
                    self.set_carrier(node, interface, false);
                }
            }
            EventAction::Impair(impair) => {
                if let Some((cable, side)) = self.cable(&impair.cable) {
                    self.lines.push(ActiveLine {
                        name: &event.name,
                        impair,
                        cable,
                        side,
                        bad: [false; 2],
                    });
                }
            }
            EventAction::Drop(rule) => {
                self.rules.push(ActiveRule::new(&event.name, rule, None));
            }
            EventAction::Reject { rule, with } => {
                self.rules
                    .push(ActiveRule::new(&event.name, rule, Some(*with)));
            }
            EventAction::Route { host, change, to } => {
                let Some(node) = self.node_id(host) else {
                    return;
                };
                let to = to.as_ref().and_then(|to| self.node_id(to));
                self.change_route(node, *change, to);
            }
            EventAction::AddressRemoved { host } => {
                if let Some(node) = self.node_id(host) {
                    for interface in &mut self.nodes[node].interfaces {
                        interface.addresses.clear();
                    }
                }
            }
            EventAction::Interface { host, change } => {
                if let Some(node) = self.node_id(host) {
                    for interface in 0..self.nodes[node].interfaces.len() {
                        let state = &mut self.nodes[node].interfaces[interface];
                        state.up = false;
                        if *change == InterfaceChange::Deleted {
                            state.addresses.clear();
                        }
                        self.flush_neighbours(node, Some(interface), false);
                    }
                }
            }
            EventAction::Neighbour { host, change } => {
                if let Some(node) = self.node_id(host) {
                    self.change_neighbours(node, *change);
                }
            }
            EventAction::Move {
                from,
                to,
                announced,
            } => self.move_address(from, to, *announced),
            _ => {}
        }
    }

    fn change_route(&mut self, node: NodeId, change: RouteChange, to: Option<NodeId>) {
        if change != RouteChange::Removed {
            self.nodes[node].errors.push((to, change));
            return;
        }
        let keys: Vec<RouteTo> = match to {
            None => {
                let connected = 0..self.nodes[node].interfaces.len();
                let planned = self.nodes[node].routes.keys().copied();
                connected.map(RouteTo::Connected).chain(planned).collect()
            }
            Some(to) => {
                let mut keys = Vec::new();
                for interface in 0..self.nodes[to].interfaces.len() {
                    let segment = self.nodes[to].interfaces[interface].segment;
                    let own = &self.nodes[node].interfaces;
                    let connected = own.iter().position(|i| i.segment == segment);
                    keys.push(match connected {
                        Some(own) => RouteTo::Connected(own),
                        None if self.nodes[node]
                            .routes
                            .contains_key(&RouteTo::Segment(segment)) =>
                        {
                            RouteTo::Segment(segment)
                        }
                        None => RouteTo::Default,
                    });
                }
                keys
            }
        };
        self.nodes[node].removed.extend(keys);
    }

    fn move_address(&mut self, from: &str, to: &str, announced: bool) {
        let (Some(old), Some(new)) = (self.node_id(from), self.node_id(to)) else {
            return;
        };
        let addr = Addr::Of(old, 0);
        let Some(first) = self.nodes[old].interfaces.first_mut() else {
            return;
        };
        let segment = first.segment;
        first.addresses.remove(&addr);
        let interfaces = &self.nodes[new].interfaces;
        let Some(interface) = interfaces.iter().position(|i| i.segment == segment) else {
            return;
        };
        self.nodes[new].interfaces[interface].addresses.insert(addr);
        if announced {
            let message = Discovery::Advertise {
                target: addr,
                to: addr,
                solicited: false,
            };
            self.dev_queue_xmit(new, interface, None, Payload::Discovery(message));
        }
    }

    /// Undoes an event of the network.
    fn undo(&mut self, index: usize) {
        let case = self.case;
        let event = &case.events[index];
        match &event.action {
            EventAction::Cut { cable, .. } => {
                if let Some((cable, side)) = self.cable(cable) {
                    self.set_cut(cable, [false; 2]);
                    let (node, interface) = self.cables[cable].ends[side];
                    self.set_carrier(node, interface, true);
                }
            }
            EventAction::Impair(_) => self.lines.retain(|line| line.name != event.name),
            EventAction::Drop(_) | EventAction::Reject { .. } => {
                self.rules.retain(|rule| rule.name != event.name);
            }
            EventAction::Route { host, .. } => {
                if let Some(node) = self.node_id(host) {
                    self.nodes[node].errors.clear();
                    self.nodes[node].removed.clear();
                }
            }
            EventAction::AddressRemoved { host } | EventAction::Interface { host, .. } => {
                if let Some(node) = self.node_id(host) {
                    self.plug_in(node);
                }
            }
            EventAction::Neighbour { host, .. } => {
                if let Some(node) = self.node_id(host) {
                    self.unpin_neighbours(node);
                }
            }
            _ => {}
        }
    }

    /// A node has its interfaces, addresses and routes as planned.
    fn plug_in(&mut self, node: NodeId) {
        for interface in 0..self.nodes[node].interfaces.len() {
            let state = &mut self.nodes[node].interfaces[interface];
            state.up = true;
            state.carrier = true;
            state.addresses.insert(Addr::Of(node, interface));
        }
        self.nodes[node].removed.clear();
    }

    /// A node loses power.
    pub(super) fn crash(&mut self, node: NodeId) {
        self.nodes[node].on = false;
        for process in self.processes.iter_mut().filter(|p| p.node == node) {
            process.alive = false;
        }
        for sk in self.socks.iter_mut().filter(|sk| sk.node == node) {
            sk.state = TcpState::Close;
            sk.owner = None;
        }
        self.connections.retain(|key, _| key.0 != node);
        self.listeners.retain(|key, _| key.0 != node);
    }

    /// A node boots again.
    pub(super) fn boot(&mut self, node: NodeId, same_mac: bool, keeps_state: bool, mark: usize) {
        let state = &mut self.nodes[node];
        state.on = true;
        if !same_mac {
            state.generation = state.generation.wrapping_add(1);
        }
        state.errors.clear();
        state.learned.clear();
        if let Some(tracking) = state.tracking.as_mut().filter(|_| !keeps_state) {
            tracking.forget();
        }
        self.unpin_neighbours(node);
        self.flush_neighbours(node, None, false);
        self.plug_in(node);
        let case = self.case;
        for lane in &case.lanes {
            if self.node_id(&lane.host) == Some(node) && lane.is_server() {
                self.spawn(lane);
            }
        }
        self.set_mark(&case.events[mark].name);
    }

    pub(super) fn kill_host(&mut self, node: NodeId) {
        self.signal_host(node, "KILL");
        let at = self.now + HOST_STOP_GRACE;
        self.queue.push(at, Event::PowerOff(node));
    }

    fn signal_host(&mut self, node: NodeId, signal: &str) {
        for id in 0..self.processes.len() {
            if self.processes[id].node == node {
                self.signal(id, signal);
            }
        }
    }

    fn signal(&mut self, id: ProcessId, signal: &str) {
        let process = &self.processes[id];
        let ignores = signal == "TERM" && process.lane.sigterm == Disposition::Ignore;
        if !process.alive || ignores {
            return;
        }
        let reaped = self
            .moments
            .end(&process.label, process.boot, process.number);
        // Its descriptors close somewhere before it can be reaped.
        let late = reaped.is_some() && self.choose(Uncertain::Moment) == 1;
        match reaped.filter(|_| late) {
            Some(at) if ns(at) > self.now => {
                let at = ns(at);
                self.queue.push(at, Event::Exit(id));
                self.processes[id].frozen = true;
            }
            _ => self.exit_process(id),
        }
    }

    fn kill(&mut self, index: usize, lane: &str, signal: &str, child: bool) {
        let of_lane: Vec<ProcessId> = (0..self.processes.len())
            .filter(|id| {
                let p = &self.processes[*id];
                p.lane.name == lane && p.alive && p.parent.is_some() == child
            })
            .collect();
        let chosen: Vec<ProcessId> = match child {
            true => of_lane.last().copied().into_iter().collect(),
            false => of_lane,
        };
        let signal = signal.trim_start_matches("SIG");
        let known = ["TERM", "KILL", "INT", "HUP", "QUIT", "ABRT"];
        if !known.contains(&signal) {
            let name = &self.case.events[index].name;
            self.unknown(&format!("the signal of {name}"));
            return;
        }
        for id in chosen {
            self.signal(id, signal);
        }
    }

    /// A host goes to sleep or wakes up: nothing passes its cables, its lanes stop. As in
    /// a lab, its kernel's timers run on.
    fn suspend(&mut self, host: &str, sleeps: bool) {
        let is_cut = |action: &EventAction| matches!(action, EventAction::Cut { .. });
        if self.case.events.iter().any(|event| is_cut(&event.action)) {
            self.unknown("a cable that is cut, of a host that sleeps");
        }
        let Some(node) = self.node_id(host) else {
            return;
        };
        for cable in &mut self.cables {
            if cable.ends.iter().any(|(end, _)| *end == node) {
                cable.cut = [sleeps; 2];
            }
        }
        for lane in self.case.lanes.iter().filter(|lane| lane.host == host) {
            self.freeze(&lane.name, sleeps);
        }
    }

    fn freeze(&mut self, lane: &str, frozen: bool) {
        for id in 0..self.processes.len() {
            if self.processes[id].lane.name == lane {
                self.processes[id].frozen = frozen;
                let now = self.now;
                if !frozen {
                    self.queue.push(now, Event::Process(id));
                }
            }
        }
    }

    /// A process ends: its descriptors close, the oldest first.
    pub(super) fn exit_process(&mut self, id: ProcessId) {
        let process = &mut self.processes[id];
        if !process.alive {
            return;
        }
        process.alive = false;
        for sock in std::mem::take(&mut process.socks) {
            self.socks[sock].linger = self.socks[sock].linger.filter(|time| *time == 0);
            self.tcp_close(sock);
        }
    }

    /// Whether addresses are of IPv6.
    pub(super) fn is_ipv6(&self) -> bool {
        self.case.family == Family::Ipv6
    }
}
