//! Packet rules of nft and tc: where they are, what they match, and their counters.

use std::collections::BTreeMap;

use super::super::{NodeId, Sim, Uncertain};
use super::frame::{Addr, Body, Discovery, Packet, Payload};
use halfopen_scenario::case::{Family, Mechanism, PacketRule, Place, RejectWith};

/// Where a packet meets rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hook {
    /// The end of a cable where it enters.
    Port(usize, usize),
    Input(NodeId),
    Forward(NodeId),
    Output(NodeId),
    /// tc at the interfaces of a node.
    Egress(NodeId),
    Ingress(NodeId),
}

/// Rules in force.
#[derive(Debug)]
pub(crate) struct ActiveRule<'a> {
    pub name: &'a str,
    rule: &'a PacketRule,
    with: Option<RejectWith>,
    /// What each hook's rule has counted (numgen).
    counted: BTreeMap<Hook, u32>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accept,
    Drop,
    Reject(RejectWith),
}

impl<'a> ActiveRule<'a> {
    pub fn new(name: &'a str, rule: &'a PacketRule, with: Option<RejectWith>) -> Self {
        ActiveRule {
            name,
            rule,
            with,
            counted: BTreeMap::new(),
        }
    }
}

impl Sim<'_> {
    /// What the rules at a hook say.
    pub(crate) fn filter(&mut self, hook: Hook, payload: &Payload) -> Verdict {
        if self.rules.is_empty() {
            return Verdict::Accept;
        }
        for index in 0..self.rules.len() {
            let rule = self.rules[index].rule;
            if !self.is_at(rule, hook) || !self.matches(rule, payload) {
                continue;
            }
            if let Some(share) = rule.probability
                && !self.chance(share)
            {
                continue;
            }
            let active = &mut self.rules[index];
            if let Some(count) = rule.count {
                let counted = active.counted.entry(hook).or_insert(0);
                *counted += 1;
                if *counted > count {
                    continue;
                }
            }
            return active.with.map_or(Verdict::Drop, Verdict::Reject);
        }
        Verdict::Accept
    }

    fn is_at(&self, rule: &PacketRule, hook: Hook) -> bool {
        let is = |name: &Option<String>, node: NodeId| {
            name.as_ref()
                .is_some_and(|name| self.node_name(node) == name)
        };
        match (&rule.place, hook) {
            (Place::Wire(node), Hook::Port(cable, side)) => {
                let near = node.as_ref().or(rule.from.as_ref()).or(rule.to.as_ref());
                let Some(near) = near else { return true };
                let ends = self.cables[cable].ends;
                let enters = self.node_name(ends[side].0) == near;
                let leaves = self.node_name(ends[1 - side].0) == near;
                if rule.from.as_ref() == Some(near) {
                    enters
                } else if rule.to.as_ref() == Some(near) {
                    leaves
                } else {
                    enters || leaves
                }
            }
            (Place::Sender, Hook::Output(node)) => {
                rule.by == Mechanism::Nft && is(&rule.from, node)
            }
            (Place::Sender, Hook::Egress(node)) => rule.by == Mechanism::Tc && is(&rule.from, node),
            (Place::Receiver, Hook::Input(node)) => rule.by == Mechanism::Nft && is(&rule.to, node),
            (Place::Receiver, Hook::Ingress(node)) => {
                rule.by == Mechanism::Tc && is(&rule.to, node)
            }
            (Place::Router(router), Hook::Forward(node)) => {
                rule.by == Mechanism::Nft && self.node_name(node) == router
            }
            (Place::Router(router), Hook::Ingress(node)) => {
                rule.by == Mechanism::Tc && self.node_name(node) == router
            }
            _ => false,
        }
    }

    fn matches(&self, rule: &PacketRule, payload: &Payload) -> bool {
        let host = |name: &Option<String>| {
            let name = name.as_ref()?;
            self.node_id(name).map(|node| Addr::Of(node, 0))
        };
        let (from, to) = (host(&rule.from), host(&rule.to));
        let only_tcp = !rule.flags.is_empty()
            || !rule.without.is_empty()
            || rule.sport.is_some()
            || rule.dport.is_some()
            || matches!(self.rule_with(rule), Some(RejectWith::TcpReset));
        match payload {
            Payload::Discovery(_) if self.case.family == Family::Ipv4 => false,
            Payload::Discovery(message) => {
                let (src, dst) = match *message {
                    Discovery::Solicit {
                        from,
                        target,
                        multicast,
                    } => (from, (!multicast).then_some(target)),
                    Discovery::Advertise { target, to, .. } => (target, Some(to)),
                };
                !only_tcp
                    && from.is_none_or(|from| from == src)
                    && to.is_none_or(|to| Some(to) == dst)
            }
            Payload::Ip(packet) => {
                from.is_none_or(|from| from == packet.src.0)
                    && to.is_none_or(|to| to == packet.dst.0)
                    && match &packet.body {
                        Body::Icmp(_) => !only_tcp,
                        Body::Tcp(_) => is_tcp_match(rule, packet),
                    }
            }
        }
    }

    fn rule_with(&self, rule: &PacketRule) -> Option<RejectWith> {
        let active = self.rules.iter().find(|a| std::ptr::eq(a.rule, rule));
        active.and_then(|active| active.with)
    }

    /// Whether something happens that has this probability.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.choose(Uncertain::Chance);
        // xorshift64*
        let mut x = self.random;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random = x;
        let high = (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64;
        high / ((1_u64 << 53) as f64) < share
    }
}

fn is_tcp_match(rule: &PacketRule, packet: &Packet) -> bool {
    let Some(segment) = packet.segment() else {
        return false;
    };
    let is_set = |flag: &String| match flag.as_str() {
        "SYN" => segment.syn,
        "ACK" => segment.ack.is_some(),
        "FIN" => segment.fin,
        "RST" => segment.rst,
        "PSH" => segment.psh,
        _ => false,
    };
    rule.flags.iter().all(is_set)
        && !rule.without.iter().any(is_set)
        && rule.sport.is_none_or(|port| port == packet.src.1)
        && rule.dport.is_none_or(|port| port == packet.dst.1)
}
