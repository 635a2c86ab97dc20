//! ICMP errors: who sends them, how often, and whose socket receives them.

use super::super::queue::Event;
use super::super::{NodeId, Sim};
use super::frame::{Body, IcmpError, Packet};
use crate::facts::Fact;
use crate::wheel::Jiffies;
use halfopen_scenario::case::{Family, RejectWith, RouteChange};

/// The tokens of ip_error(): errors that a host without a route may send to one address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens {
    left: u64,
    last: Jiffies,
}

impl Sim<'_> {
    /// icmp_send(), icmpv6_send(): an error about a packet, from this node to its sender.
    pub(crate) fn icmp_send(&mut self, node: NodeId, about: &Packet, kind: RejectWith) {
        let Body::Tcp(segment) = &about.body else {
            return; // Never about an error.
        };
        let error = IcmpError {
            kind,
            src: about.src,
            dst: about.dst,
            seq: segment.seq,
        };
        let (to, error) = self.translate_error(node, about.src, error);
        let from = self.node_address(node);
        let packet = Packet {
            src: (from, 0),
            dst: to,
            body: Body::Icmp(error),
            confirms: false,
            owner: None,
        };
        if self.is_local(node, to.0) {
            let event = Event::Loopback(node, Box::new(packet));
            self.queue.push(self.now, event);
        } else {
            let _ = self.ip_output(node, packet);
        }
    }

    /// ip_error(), ip6_pkt_discard(): what a route that refuses makes a router answer.
    pub(crate) fn ip_error(&mut self, node: NodeId, packet: &Packet, change: RouteChange) {
        let ipv6 = self.case.family == Family::Ipv6;
        let kind = match change {
            RouteChange::Blackhole => return,
            RouteChange::Removed => RejectWith::NetUnreachable,
            // ip6_pkt_discard() knows one answer: no route.
            RouteChange::Unreachable if ipv6 => RejectWith::NetUnreachable,
            RouteChange::Unreachable => RejectWith::HostUnreachable,
            RouteChange::Prohibit => RejectWith::AdminProhibited,
        };
        if ipv6 || self.take_token(node, packet) {
            self.icmp_send(node, packet, kind);
        }
    }

    fn take_token(&mut self, node: NodeId, packet: &Packet) -> bool {
        let now = self.jiffies();
        let second = self.clock.ticks(1_000_000_000);
        let burst = if Fact::ErrorBurst.holds(self.kernel.version) {
            5
        } else {
            1
        };
        let most = second * burst;
        let tokens = self.nodes[node]
            .tokens
            .entry(packet.src.0)
            .or_insert(Tokens {
                left: most,
                last: now,
            });
        tokens.left = (tokens.left + (now - tokens.last)).min(most);
        tokens.last = now;
        let enough = tokens.left >= second;
        if enough {
            tokens.left -= second;
        }
        enough
    }
}
