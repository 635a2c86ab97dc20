//! IP: routes, sending, receiving, forwarding.

use super::super::queue::Event;
use super::super::{NodeId, Sim};
use super::filter::{Hook, Verdict};
use super::frame::{Addr, Body, Packet, Payload};
use super::topology::RouteTo;
use super::wire::rejection;
use halfopen_scenario::case::{Family, NodeKind, RouteChange};

/// What sending a packet returns to TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Xmit {
    /// 0: it left, or waits for an address, or is lost without a word.
    Sent,
    /// Above 0: the own qdisc dropped it.
    Dropped,
    /// Below 0: there is no way to send it, by this kind of route; None: a filter.
    Refused(Option<RouteChange>),
}

impl Sim<'_> {
    /// Whether an address is this node's own.
    pub(crate) fn is_local(&self, node: NodeId, addr: Addr) -> bool {
        if let Addr::LinkLocal(of, _) = addr {
            return of == node;
        }
        let interfaces = &self.nodes[node].interfaces;
        interfaces
            .iter()
            .any(|interface| interface.addresses.contains(&addr))
    }

    /// An address of an interface.
    pub(crate) fn interface_address(&self, node: NodeId, interface: usize) -> Option<Addr> {
        let addresses = &self.nodes[node].interfaces[interface].addresses;
        let own = Addr::Of(node, interface);
        let first = addresses.first().copied();
        addresses.get(&own).copied().or(first)
    }

    /// The address that the node's errors come from.
    pub(crate) fn node_address(&self, node: NodeId) -> Addr {
        Addr::Of(node, 0)
    }

    pub(crate) fn segment_of(&self, addr: Addr) -> Option<usize> {
        match addr {
            Addr::Of(node, interface) | Addr::LinkLocal(node, interface) => {
                Some(self.nodes[node].interfaces[interface].segment)
            }
            Addr::Nobody(segment) => segment,
        }
    }

    /// The interface and the next hop for a destination: fib_lookup(), ip6_route_output().
    pub(crate) fn route(&self, node: NodeId, dst: Addr) -> Result<(usize, Addr), RouteChange> {
        let here = &self.nodes[node];
        let home = match dst {
            Addr::Of(of, _) => Some(of),
            _ => None,
        };
        let refuses = here.errors.iter().rev();
        let mut refuses = refuses.filter(|(to, _)| to.is_none() || *to == home);
        if let Some((_, change)) = refuses.next() {
            return Err(*change);
        }
        let segment = self.segment_of(dst);
        for (number, interface) in here.interfaces.iter().enumerate() {
            let connected = interface.up
                && Some(interface.segment) == segment
                && !here.removed.contains(&RouteTo::Connected(number))
                && !interface.addresses.is_empty();
            let link_local = interface.up
                && matches!(dst, Addr::LinkLocal(..))
                && Some(interface.segment) == segment;
            if connected || link_local {
                return Ok((number, dst));
            }
        }
        let keys = [segment.map(RouteTo::Segment), Some(RouteTo::Default)];
        for key in keys.into_iter().flatten() {
            let Some(via) = here.routes.get(&key) else {
                continue;
            };
            if here.removed.contains(&key) {
                continue;
            }
            let shared = self.segment_of(*via);
            let out = here.interfaces.iter().position(|interface| {
                // An IPv4 route goes with the address that it uses.
                let usable = self.case.family == Family::Ipv6 || !interface.addresses.is_empty();
                interface.up && Some(interface.segment) == shared && usable
            });
            if let Some(out) = out {
                return Ok((out, *via));
            }
        }
        Err(RouteChange::Removed)
    }

    /// ip_queue_xmit(), ip6_xmit(): sends a packet of this node.
    pub(crate) fn ip_output(&mut self, node: NodeId, packet: Packet) -> Xmit {
        if self.is_local(node, packet.dst.0) {
            let event = Event::Loopback(node, Box::new(packet));
            let at = self.softirq();
            self.queue.push(at, event);
            return Xmit::Sent;
        }
        let (interface, next_hop) = match self.route(node, packet.dst.0) {
            Ok(way) => way,
            Err(change) => return Xmit::Refused(Some(change)),
        };
        let payload = Payload::Ip(packet);
        match self.filter(Hook::Output(node), &payload) {
            Verdict::Accept => {}
            Verdict::Drop => return Xmit::Refused(None),
            Verdict::Reject(with) => {
                if let Payload::Ip(packet) = &payload
                    && let Some(answer) = rejection(packet, with)
                {
                    let event = Event::Loopback(node, Box::new(answer));
                    self.queue.push(self.now, event);
                }
                return Xmit::Refused(None);
            }
        }
        let Payload::Ip(packet) = payload else {
            return Xmit::Sent;
        };
        self.neighbour_output(node, interface, next_hop, packet)
    }

    /// ip_rcv(): a packet arrives at an interface.
    pub(crate) fn ip_receive(&mut self, node: NodeId, interface: usize, mut packet: Packet) {
        packet.owner = None;
        let Some(state) = self.track_in(node, interface, &mut packet) else {
            return;
        };
        if self.is_local(node, packet.dst.0) {
            if self.tracked_input(node, state, &packet) {
                self.ip_local_deliver(node, packet);
            }
            return;
        }
        let forwards =
            self.nodes[node].kind == NodeKind::Router && self.nodes[node].sysctls.ip_forward;
        if forwards {
            self.ip_forward(node, interface, packet, state);
        }
    }

    /// ip_local_deliver(): a packet for this node.
    pub(crate) fn ip_local_deliver(&mut self, node: NodeId, packet: Packet) {
        match self.filter(Hook::Input(node), &Payload::Ip(packet.clone())) {
            Verdict::Accept => {}
            Verdict::Drop => return,
            Verdict::Reject(with) => {
                if let Some(answer) = rejection(&packet, with) {
                    let _ = self.ip_output(node, answer);
                }
                return;
            }
        }
        match packet.body {
            Body::Tcp(segment) => self.tcp_rcv(node, packet.src, packet.dst, segment),
            Body::Icmp(error) => self.tcp_err(node, error),
        }
    }

    /// ip_forward(), ip6_forward().
    fn ip_forward(
        &mut self,
        node: NodeId,
        interface: usize,
        packet: Packet,
        state: super::conntrack::Seen,
    ) {
        // A link-local source does not leave its segment: "beyond scope".
        if matches!(packet.src.0, Addr::LinkLocal(..)) {
            let with = halfopen_scenario::case::RejectWith::HostUnreachable;
            self.icmp_send(node, &packet, with);
            return;
        }
        let (out, next_hop) = match self.route(node, packet.dst.0) {
            Ok(way) => way,
            Err(change) => {
                self.ip_error(node, &packet, change);
                return;
            }
        };
        match self.filter(Hook::Forward(node), &Payload::Ip(packet.clone())) {
            Verdict::Accept => {}
            Verdict::Drop => return,
            Verdict::Reject(with) => {
                if let Some(mut answer) = rejection(&packet, with) {
                    match answer.body {
                        Body::Icmp(_) => answer.src.0 = self.node_address(node),
                        // The RST belongs to the connection (nf_ct_attach()).
                        Body::Tcp(_) => self.translate_answer(node, &mut answer),
                    }
                    let _ = self.ip_output(node, answer);
                }
                return;
            }
        }
        let Some(packet) = self.tracked_forward(node, (interface, out), packet, state) else {
            return;
        };
        let _ = self.neighbour_output(node, out, next_hop, packet);
    }
}
