//! Neighbour entries: the states and timers of net/core/neighbour.c, and what
//! net/ipv4/arp.c and net/ipv6/ndisc.c do with them.
//!
//! A packet that confirms an entry carries that as a mark (skb_set_dst_pending_confirm()),
//! which survives a veth pair: a router that is a namespace of the same kernel takes it as
//! a confirmation, too.

use super::super::queue::TimerId;
use super::super::{NodeId, Sim, Uncertain};
use super::frame::{Addr, Body, Discovery, Frame, Mac, Packet, Payload};
use crate::wheel::Jiffies;
use halfopen_scenario::case::{Family, NeighbourChange, RejectWith};

const SEC: u64 = 1_000_000_000;
/// retrans_time_ms, delay_first_probe_time, locktime, ucast_solicit and mcast_solicit, as
/// labs pin them.
const RETRANS_TIME: u64 = SEC;
const DELAY_PROBE_TIME: u64 = 5 * SEC;
const LOCKTIME: u64 = SEC;
const UCAST_PROBES: u32 = 3;
const MCAST_PROBES: u32 = 3;

/// NUD_*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nud {
    None,
    Incomplete,
    Reachable,
    Stale,
    Delay,
    Probe,
    Failed,
    Permanent,
}

impl Nud {
    fn is_valid(self) -> bool {
        !matches!(self, Nud::None | Nud::Incomplete | Nud::Failed)
    }
    fn is_connected(self) -> bool {
        matches!(self, Nud::Reachable | Nud::Permanent)
    }
}

/// An entry, struct neighbour.
#[derive(Debug)]
pub(crate) struct Neighbour {
    pub interface: usize,
    pub addr: Addr,
    pub state: Nud,
    pub mac: Option<Mac>,
    confirmed: Jiffies,
    used: Jiffies,
    updated: Jiffies,
    probes: u32,
    timer: u32,
    /// arp_queue.
    queue: Vec<Packet>,
}

impl Sim<'_> {
    fn entry(&mut self, node: NodeId, interface: usize, addr: Addr) -> usize {
        let all = &mut self.nodes[node].neighbours;
        let found = all
            .iter()
            .position(|n| n.interface == interface && n.addr == addr);
        found.unwrap_or_else(|| {
            all.push(Neighbour {
                interface,
                addr,
                state: Nud::None,
                mac: None,
                confirmed: 0,
                used: 0,
                updated: 0,
                probes: 0,
                timer: 0,
                queue: Vec::new(),
            });
            all.len() - 1
        })
    }

    fn neighbour(&mut self, node: NodeId, index: usize) -> &mut Neighbour {
        &mut self.nodes[node].neighbours[index]
    }

    /// ip_finish_output2(): sends a packet to its next hop, or queues it until that is
    /// resolved.
    pub(crate) fn neighbour_output(
        &mut self,
        node: NodeId,
        interface: usize,
        next_hop: Addr,
        packet: Packet,
    ) -> super::Xmit {
        let now = self.jiffies();
        let index = self.entry(node, interface, next_hop);
        let entry = self.neighbour(node, index);
        if packet.confirms {
            entry.confirmed = now;
        }
        if entry.state.is_connected() || self.neigh_event_send(node, index) {
            let entry = self.neighbour(node, index);
            let mac = entry.mac;
            return self.dev_queue_xmit(node, interface, mac, Payload::Ip(packet));
        }
        if let Some((sock, seq)) = packet.owner {
            self.socks[sock].in_host_queue(seq, 1);
        }
        self.neighbour(node, index).queue.push(packet);
        super::Xmit::Sent
    }

    /// __neigh_event_send(): whether the address is known; else resolution has begun.
    fn neigh_event_send(&mut self, node: NodeId, index: usize) -> bool {
        let now = self.jiffies();
        let entry = self.neighbour(node, index);
        entry.used = now;
        match entry.state {
            Nud::None | Nud::Failed => {
                entry.probes = UCAST_PROBES;
                entry.state = Nud::Incomplete;
                entry.updated = now;
                self.neigh_timer(node, index, RETRANS_TIME);
                self.neigh_probe(node, index);
                false
            }
            Nud::Incomplete => false,
            Nud::Stale => {
                entry.state = Nud::Delay;
                entry.updated = now;
                self.neigh_timer(node, index, DELAY_PROBE_TIME);
                true
            }
            _ => true,
        }
    }

    fn neigh_timer(&mut self, node: NodeId, index: usize, after: u64) {
        let ticks = self.clock.ticks(after);
        self.neigh_timer_ticks(node, index, ticks);
    }

    fn neigh_timer_ticks(&mut self, node: NodeId, index: usize, ticks: u64) {
        let entry = self.neighbour(node, index);
        entry.timer += 1;
        let generation = entry.timer;
        self.arm(TimerId::Neighbour(node, index), generation, ticks);
    }

    fn neigh_del_timer(&mut self, node: NodeId, index: usize) {
        self.neighbour(node, index).timer += 1;
    }

    /// parms->reachable_time: neigh_rand_reach_time() chose it from 15 to 45 s when the
    /// device came up.
    fn reachable_time(&mut self) -> u64 {
        let step = self.choose(Uncertain::ReachableTime);
        self.clock.ticks(15 * SEC + step * 30 * SEC / 16)
    }

    /// neigh_timer_handler().
    pub(crate) fn neigh_timer_handler(&mut self, node: NodeId, index: usize, generation: u32) {
        if self.neighbour(node, index).timer != generation || !self.nodes[node].on {
            return;
        }
        let now = self.jiffies();
        let delay = self.clock.ticks(DELAY_PROBE_TIME);
        let retrans = self.clock.ticks(RETRANS_TIME);
        let state = self.neighbour(node, index).state;
        let reachable = match state {
            Nud::Reachable | Nud::Delay => self.reachable_time(),
            _ => 0,
        };
        let entry = self.neighbour(node, index);
        let mut next = now + retrans;
        match state {
            Nud::Reachable if now <= entry.confirmed + reachable => {
                next = entry.confirmed + reachable;
            }
            Nud::Reachable if now <= entry.used + delay => {
                entry.state = Nud::Delay;
                entry.updated = now;
                next = now + delay;
            }
            Nud::Reachable => {
                entry.state = Nud::Stale;
                entry.updated = now;
                return;
            }
            Nud::Delay if now <= entry.confirmed + delay => {
                entry.state = Nud::Reachable;
                entry.updated = now;
                next = entry.confirmed + reachable;
            }
            Nud::Delay => {
                entry.state = Nud::Probe;
                entry.updated = now;
                entry.probes = 0;
            }
            Nud::Probe | Nud::Incomplete => {
                let most = UCAST_PROBES + if state == Nud::Probe { 0 } else { MCAST_PROBES };
                if entry.probes >= most {
                    entry.state = Nud::Failed;
                    entry.updated = now;
                    self.neigh_invalidate(node, index);
                    return;
                }
            }
            Nud::None | Nud::Stale | Nud::Failed | Nud::Permanent => return,
        }
        let ticks = next.saturating_sub(now).max(self.clock.ticks(SEC / 100));
        self.neigh_timer_ticks(node, index, ticks);
        let state = self.neighbour(node, index).state;
        if matches!(state, Nud::Incomplete | Nud::Probe) {
            self.neigh_probe(node, index);
        }
    }

    /// neigh_probe(), arp_solicit(), ndisc_solicit().
    fn neigh_probe(&mut self, node: NodeId, index: usize) {
        let entry = self.neighbour(node, index);
        let multicast = entry.probes >= UCAST_PROBES;
        entry.probes += 1;
        let (interface, target, mac) = (entry.interface, entry.addr, entry.mac);
        let source = entry.queue.last().map(|packet| packet.src.0);
        let own = |addr: &Addr| self.is_local(node, *addr);
        let from = match self.case.family {
            Family::Ipv4 => source
                .filter(own)
                .or(self.interface_address(node, interface)),
            Family::Ipv6 => source.filter(own),
        };
        let from = from.unwrap_or(Addr::LinkLocal(node, interface));
        let dst = if multicast { None } else { mac };
        let solicit = Discovery::Solicit {
            from,
            target,
            multicast,
        };
        self.dev_queue_xmit(node, interface, dst, Payload::Discovery(solicit));
    }

    /// neigh_invalidate(): every packet that waits draws an error (arp_error_report(),
    /// ndisc_error_report()).
    fn neigh_invalidate(&mut self, node: NodeId, index: usize) {
        let waiting = std::mem::take(&mut self.neighbour(node, index).queue);
        for packet in waiting {
            self.icmp_send(node, &packet, RejectWith::HostUnreachable);
            self.free(&packet);
        }
    }

    /// The packet is no longer in its own host (tcp_wfree()).
    pub(crate) fn free(&mut self, packet: &Packet) {
        if let Some((sock, seq)) = packet.owner {
            self.socks[sock].in_host_queue(seq, -1);
            self.tcp_wfree(sock);
        }
    }

    /// neigh_update().
    fn neigh_update(
        &mut self,
        node: NodeId,
        index: usize,
        mac: Mac,
        mut new: Nud,
        overrides: bool,
    ) {
        let now = self.jiffies();
        let stale_since = now.saturating_sub(self.clock.ticks(60 * SEC));
        let reachable = match new {
            Nud::Reachable => self.reachable_time(),
            _ => 0,
        };
        let entry = self.neighbour(node, index);
        let old = entry.state;
        if old == Nud::Permanent {
            return;
        }
        let same = entry.mac == Some(mac);
        if new.is_connected() {
            entry.confirmed = now;
        }
        if old.is_valid() {
            if !same && !overrides {
                return;
            }
            if same && new == Nud::Stale {
                new = old;
            }
        }
        if new != old || !same {
            entry.updated = now;
        }
        if new != old {
            entry.state = new;
            if new == Nud::Reachable {
                self.neigh_timer_ticks(node, index, reachable);
            } else {
                self.neigh_del_timer(node, index);
            }
        }
        let entry = self.neighbour(node, index);
        if !same {
            entry.mac = Some(mac);
            if !new.is_connected() {
                entry.confirmed = stale_since;
            }
        }
        if new != old && !old.is_valid() {
            let interface = entry.interface;
            for packet in std::mem::take(&mut entry.queue) {
                self.free(&packet);
                if !self.neighbour(node, index).state.is_connected() {
                    self.neigh_event_send(node, index);
                }
                self.dev_queue_xmit(node, interface, Some(mac), Payload::Ip(packet));
            }
        }
    }

    /// arp_process(), ndisc_recv_ns(), ndisc_recv_na().
    pub(crate) fn receive_discovery(
        &mut self,
        node: NodeId,
        interface: usize,
        frame: &Frame,
        message: Discovery,
    ) {
        let ipv4 = self.case.family == Family::Ipv4;
        match message {
            Discovery::Solicit { from, target, .. } => {
                if !self.is_local(node, target) {
                    return;
                }
                let index = self.entry(node, interface, from);
                self.neigh_update(node, index, frame.src, Nud::Stale, true);
                let answer = Discovery::Advertise {
                    target,
                    to: from,
                    solicited: true,
                };
                let mut dst = Some(frame.src);
                if !ipv4 {
                    // The advertisement is sent as any packet is.
                    if !self.neighbour(node, index).state.is_connected() {
                        self.neigh_event_send(node, index);
                    }
                    dst = self.neighbour(node, index).mac;
                }
                self.dev_queue_xmit(node, interface, dst, Payload::Discovery(answer));
            }
            Discovery::Advertise {
                target, solicited, ..
            } => {
                let all = &self.nodes[node].neighbours;
                let found = all
                    .iter()
                    .position(|n| n.interface == interface && n.addr == target);
                let Some(index) = found else { return };
                let entry = self.neighbour(node, index);
                let (state, updated) = (entry.state, entry.updated);
                if matches!(state, Nud::None) || (!ipv4 && state == Nud::Failed) {
                    return;
                }
                let locked = self.jiffies() <= updated + self.clock.ticks(LOCKTIME);
                let overrides = !ipv4 || !solicited || !locked;
                let new = if solicited {
                    Nud::Reachable
                } else {
                    Nud::Stale
                };
                self.neigh_update(node, index, frame.src, new, overrides);
            }
        }
    }

    /// neigh_flush_dev(): entries of an interface, or all, without an error to anybody;
    /// by hand (neigh_delete()) packets that wait draw theirs.
    pub(crate) fn flush_neighbours(&mut self, node: NodeId, of: Option<usize>, by_hand: bool) {
        for index in 0..self.nodes[node].neighbours.len() {
            let entry = self.neighbour(node, index);
            if of.is_some_and(|of| entry.interface != of) || entry.state == Nud::Permanent {
                continue;
            }
            self.neigh_del_timer(node, index);
            let entry = self.neighbour(node, index);
            entry.state = Nud::None;
            entry.mac = None;
            if by_hand {
                self.neigh_invalidate(node, index);
            } else {
                for packet in std::mem::take(&mut self.neighbour(node, index).queue) {
                    self.free(&packet);
                }
            }
        }
    }

    /// Flushes or pins the entries of a node.
    pub(crate) fn change_neighbours(&mut self, node: NodeId, change: NeighbourChange) {
        match change {
            NeighbourChange::Flushed => self.flush_neighbours(node, None, true),
            NeighbourChange::Pinned => {
                for interface in 0..self.nodes[node].interfaces.len() {
                    let segment = self.nodes[node].interfaces[interface].segment;
                    let others: Vec<(Addr, Mac)> = self.addresses_in(segment);
                    for (addr, mac) in others {
                        if !self.is_local(node, addr) {
                            let index = self.entry(node, interface, addr);
                            self.neigh_del_timer(node, index);
                            let entry = self.neighbour(node, index);
                            entry.state = Nud::Permanent;
                            entry.mac = Some(mac);
                        }
                    }
                }
            }
        }
    }

    /// Pinned entries age again.
    pub(crate) fn unpin_neighbours(&mut self, node: NodeId) {
        for entry in &mut self.nodes[node].neighbours {
            if entry.state == Nud::Permanent {
                entry.state = Nud::Stale;
            }
        }
    }

    /// The addresses of a segment and who has them.
    fn addresses_in(&self, segment: usize) -> Vec<(Addr, Mac)> {
        let mut all = Vec::new();
        for (id, node) in self.nodes.iter().enumerate() {
            for (number, interface) in node.interfaces.iter().enumerate() {
                if interface.segment == segment && node.on {
                    let mac = node.mac(id, number);
                    all.extend(interface.addresses.iter().map(|addr| (*addr, mac)));
                }
            }
        }
        all
    }
}

impl Packet {
    /// The TCP segment in it.
    pub fn segment(&self) -> Option<&super::frame::Segment> {
        match &self.body {
            Body::Tcp(segment) => Some(segment),
            Body::Icmp(_) => None,
        }
    }
}
