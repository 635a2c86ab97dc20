//! The fate of a packet on its path, by the faults that are in force.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::conntrack::Conntrack;
use super::delays::{Kind, Progress};
use super::filters::matches;
use crate::abort::facts::Fate;
use crate::errno;
use halfopen_scenario::case::{
    CableRef, Carrier, Case, Direction, EventAction, Family, Impairment, NeighbourChange, NodeKind,
    PacketRule, Place, RouteChange,
};

/// A fault in force.
#[derive(Debug, Clone)]
pub(super) struct Active<'a> {
    pub name: &'a str,
    pub what: &'a EventAction,
    /// The number of packets it still drops.
    pub left: Option<u32>,
}

/// The state of the network under the faults in force.
#[derive(Debug, Clone)]
pub(super) struct Paths<'a> {
    pub case: &'a Case,
    pub active: Vec<Active<'a>>,
    /// Nodes without power.
    down: BTreeSet<&'a str>,
    /// Hosts that came back with another MAC, which no neighbour entry has yet.
    replaced: BTreeSet<&'a str>,
    /// Nodes whose neighbour entries were flushed.
    flushed: BTreeSet<&'a str>,
    /// Nodes that were rebooted and have not resolved any address yet.
    pub restarted: BTreeSet<&'a str>,
    /// Pairs of nodes of which the first has resolved the second's address.
    pub resolved: BTreeSet<(&'a str, &'a str)>,
    /// Hosts whose address moved, and whether the new owner announced it.
    moved: BTreeMap<&'a str, bool>,
    /// Connection tracking of a router.
    pub conntrack: Option<Conntrack<'a>>,
}

impl<'a> Paths<'a> {
    pub fn new(case: &'a Case) -> Self {
        Paths {
            case,
            active: Vec::new(),
            down: BTreeSet::new(),
            replaced: BTreeSet::new(),
            flushed: BTreeSet::new(),
            restarted: BTreeSet::new(),
            resolved: BTreeSet::new(),
            moved: BTreeMap::new(),
            conntrack: Conntrack::of(case),
        }
    }

    /// A fault of the network takes effect.
    pub fn add(&mut self, name: &'a str, what: &'a EventAction) {
        let left = match what {
            EventAction::Drop(rule) | EventAction::Reject { rule, .. } => rule.count,
            _ => None,
        };
        match what {
            EventAction::Neighbour { host, change } => {
                if *change == NeighbourChange::Flushed {
                    self.flushed.insert(host);
                }
            }
            EventAction::Move {
                from, announced, ..
            } => {
                self.moved.insert(from, *announced);
            }
            _ => self.active.push(Active { name, what, left }),
        }
    }

    /// Undoes the fault of this name, or all.
    pub fn heal(&mut self, name: Option<&str>) {
        self.active
            .retain(|a| name.is_some_and(|name| a.name != name));
    }

    pub fn power_off(&mut self, node: &'a str) {
        self.down.insert(node);
    }

    pub fn power_on(&mut self, node: &'a str, same_mac: bool) {
        self.down.remove(node);
        self.restarted.insert(node);
        if !same_mac {
            self.replaced.insert(node);
        }
    }

    pub fn is_down(&self, node: &str) -> bool {
        self.down.contains(node)
    }

    /// The fate of a packet of this kind and of its answer.
    pub fn exchange_fate(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
        answer: Kind,
    ) -> Result<Fate, String> {
        let there = self.one_way(from, to, kind)?;
        if there != Fate::Arrives {
            return Ok(there);
        }
        // The answer uses what routers learned from the packet.
        Ok(match self.one_way_fate(to, from, answer, true)? {
            Fate::Arrives => Fate::Arrives,
            _ => Fate::Unanswered,
        })
    }

    /// Whether a filter in force drops only a number of these packets.
    pub fn is_counted(&self, from: &str, to: &str, kind: Kind) -> bool {
        self.active.iter().any(|a| match a.what {
            EventAction::Drop(rule) => {
                a.left.is_some_and(|left| left > 0) && matches(rule, from, to, kind)
            }
            _ => false,
        })
    }

    /// Counts a packet that a filter with a limit dropped.
    pub fn count_packet(&mut self, from: &str, to: &str, kind: Kind) {
        for a in &mut self.active {
            if let (EventAction::Drop(rule), Some(left)) = (a.what, a.left.as_mut())
                && matches(rule, from, to, kind)
            {
                *left = left.saturating_sub(1);
            }
        }
    }

    /// The fate of one packet.
    pub fn one_way(&self, from: &str, to: &str, kind: Kind) -> Result<Fate, String> {
        self.one_way_fate(from, to, kind, false)
    }

    /// The same; `is_reply`: routers have just forwarded its counterpart.
    fn one_way_fate(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
        is_reply: bool,
    ) -> Result<Fate, String> {
        let fate = self.fate_of(from, to, kind, is_reply)?;
        // NDP is IPv6: a filter by addresses also drops what confirms a neighbour, unless
        // that comes from a link-local address.
        let entry_fails =
            fate == Fate::Lost && self.drops_ndp(from, to, |rule| rule.from.is_none());
        Ok(if entry_fails {
            Fate::NeighbourDead
        } else {
            fate
        })
    }

    /// Whether a filter on the path drops the NDP messages between neighbours.
    pub fn drops_ndp(&self, from: &str, to: &str, also: fn(&PacketRule) -> bool) -> bool {
        let plain = |rule: &PacketRule| {
            also(rule)
                && rule.flags.is_empty()
                && rule.without.is_empty()
                && rule.sport.is_none()
                && rule.dport.is_none()
                && rule.place != Place::Sender
        };
        self.case.family == Family::Ipv6
            && self.are_neighbours(from, to)
            && self.active.iter().any(|a| match a.what {
                EventAction::Drop(rule) => plain(rule) && matches(rule, from, to, Kind::Data),
                _ => false,
            })
    }

    /// Whether the host has only a link-local address left, and the next hop is a router.
    pub fn connects_from_link_local(&self, host: &str, to: &str) -> bool {
        let lost =
            |a: &Active<'_>| matches!(a.what, EventAction::AddressRemoved { host: h } if h == host);
        self.is_ipv6() && !self.are_neighbours(host, to) && self.active.iter().any(lost)
    }

    pub fn is_ipv6(&self) -> bool {
        self.case.family == Family::Ipv6
    }

    /// Whether there is no router between them.
    fn are_neighbours(&self, from: &str, to: &str) -> bool {
        let path = self.path(from, to).unwrap_or_default();
        !path
            .iter()
            .any(|node| self.kind_of(node) == Some(NodeKind::Router))
    }

    fn fate_of(&self, from: &str, to: &str, kind: Kind, is_reply: bool) -> Result<Fate, String> {
        let mut passed = None;
        loop {
            match self.advance(from, to, kind, (is_reply, passed))? {
                Progress::Ends { fate, .. } => return Ok(fate),
                Progress::InCable { hop, .. } => passed = Some(hop),
            }
        }
    }

    /// Advances a packet that has left the cable with delay `passed` of its path, until it
    /// ends or enters the next cable with delay.
    pub fn advance(
        &self,
        from: &str,
        to: &str,
        kind: Kind,
        (is_reply, passed): (bool, Option<usize>),
    ) -> Result<Progress, String> {
        let Some(path) = self.path(from, to) else {
            return Err(format!("there is no way from {from} to {to}"));
        };
        let ends = |fate, at| Ok(Progress::Ends { fate, at });
        if passed.is_none() {
            if self.down.contains(from) {
                return ends(Fate::NeighbourDead, 0);
            }
            if let Some(fate) = self.own_host(from, to) {
                return ends(fate, 0);
            }
            if let Some(fate) = self.filtered(from, to, kind, Place::Sender)? {
                return ends(fate, 0);
            }
        }
        // The node that resolves the next hop's address: hosts and routers.
        let mut resolver = from;
        let mut return_dead = false;
        for (at, hop) in path.windows(2).enumerate() {
            let (a, b) = (hop[0], hop[1]);
            let ahead = passed.is_none_or(|passed| at > passed);
            if resolver == a
                && let Some(fate) = self.leg_fate(from, to, &path[at..])
            {
                if fate == Fate::ReturnDead {
                    return_dead = true;
                } else if ahead {
                    return ends(fate, at);
                }
            }
            if passed == Some(at) && self.is_gone(b, to) {
                return ends(Fate::NeighbourDead, at);
            }
            if ahead {
                if passed.is_some() && self.hop_is_dead(a, b, to).is_some() {
                    return ends(Fate::NeighbourDead, at);
                }
                if let Some(fate) = self.filtered_on_the_wire(from, to, kind, a, b)? {
                    return ends(without_reply(fate, return_dead), at);
                }
                if let Some(delay) = self.delay(a, b)? {
                    return Ok(Progress::InCable { hop: at, delay });
                }
            }
            let ahead = passed.is_none_or(|passed| at >= passed);
            match self.kind_of(b) {
                Some(NodeKind::Router) => {
                    resolver = b;
                    if !ahead {
                        continue;
                    }
                    let conntrack = self.conntrack.as_ref();
                    let forgets = || conntrack.and_then(|m| m.fate(b, from, kind, is_reply));
                    // After its entry is gone, what comes from the outside is for the
                    // router itself; else a fault's rules and routes apply before its own.
                    let own = conntrack.is_some_and(|m| m.delivers_locally(from));
                    if let Some(fate) = forgets().filter(|_| own) {
                        return ends(without_reply(fate, return_dead), at + 1);
                    }
                    if let Some(fate) = self.at_router(b, from, to, kind)? {
                        return ends(without_reply(fate, return_dead), at + 1);
                    }
                    if let Some(fate) = forgets() {
                        return ends(without_reply(fate, return_dead), at + 1);
                    }
                }
                Some(NodeKind::Switch) => {}
                Some(NodeKind::Host) | None => {
                    if let Some(announced) = self.moved.get(b) {
                        let known = *announced || self.flushed.contains(resolver);
                        return ends(self.at_new_owner(known, kind)?, at + 1);
                    }
                    if self.replaced.contains(b) && !self.flushed.contains(resolver) {
                        return ends(Fate::NeighbourDead, at + 1);
                    }
                }
            }
        }
        if let Some(fate) = self.filtered(from, to, kind, Place::Receiver)? {
            return ends(fate, path.len() - 1);
        }
        ends(without_reply(Fate::Arrives, return_dead), path.len() - 1)
    }

    /// Whether nobody receives what leaves a cable at this node.
    fn is_gone(&self, node: &str, to: &str) -> bool {
        let gone = |active: &Active<'_>| match active.what {
            EventAction::Interface { host, .. } => host == node,
            EventAction::AddressRemoved { host } => host == to && node == to,
            _ => false,
        };
        self.down.contains(node) || self.active.iter().any(gone)
    }

    /// The fate of a packet between the first node of a path and the next node with an
    /// address, by the cables alone.
    pub fn leg_fate(&self, from: &str, to: &str, path: &[&'a str]) -> Option<Fate> {
        let resolver = path[0];
        let of = self.next_addressed(&path[1..]);
        let end = path.iter().position(|node| *node == of).unwrap_or(0);
        let hops = || path[..=end].windows(2);
        let lost = hops().find_map(|hop| self.hop_is_dead(hop[0], hop[1], to));
        let no_return = hops().any(|hop| self.hop_is_dead(hop[1], hop[0], "").is_some());
        let resolved = self.resolved.contains(&(resolver, of));
        // A node that is asked for the first time answers to the requester's own address.
        let no_return = no_return || self.drops_ndp(to, from, |rule| rule.to.is_none());
        let no_return = no_return || !resolved && self.drops_ndp(to, from, |_| true);
        if lost.is_none() && !no_return {
            return None;
        }
        let no_carrier = hops()
            .next()
            .is_some_and(|hop| self.hop_is_dead(hop[0], hop[1], to) == Some(Carrier::Lost));
        let unknown = self.flushed.contains(resolver) || !resolved;
        Some(if no_carrier && resolver == from {
            Fate::NoCarrier
        } else if unknown || no_carrier {
            Fate::Unresolved {
                by_own_host: resolver == from,
            }
        } else if lost.is_some() {
            Fate::NeighbourDead
        } else {
            Fate::ReturnDead
        })
    }

    /// The first of these nodes with an address.
    pub fn next_addressed(&self, path: &[&'a str]) -> &'a str {
        let has = |node: &&&str| self.kind_of(node) != Some(NodeKind::Switch);
        path.iter().find(has).copied().unwrap_or_default()
    }

    /// Whether any node between them has resolved the next one.
    pub fn are_resolved(&self, from: &str, to: &str) -> bool {
        let mut resolution_delay = self.path(from, to).unwrap_or_default();
        resolution_delay.retain(|node| self.kind_of(node) != Some(NodeKind::Switch));
        let known = |pair: &[&'a str]| self.resolved.contains(&(pair[0], pair[1]));
        let again = |node: &&str| self.restarted.contains(node);
        resolution_delay.windows(2).any(known) && !resolution_delay.iter().any(again)
    }

    /// Packets were delivered both ways: every node between them has resolved the next one.
    pub fn set_resolved(&mut self, from: &str, to: &str) {
        let Some(path) = self.path(from, to) else {
            return;
        };
        let resolution_delay: Vec<&'a str> = path
            .into_iter()
            .filter(|node| self.kind_of(node) != Some(NodeKind::Switch))
            .collect();
        for node in &resolution_delay {
            self.restarted.remove(node);
        }
        for pair in resolution_delay.windows(2) {
            self.resolved.insert((pair[0], pair[1]));
            self.resolved.insert((pair[1], pair[0]));
        }
    }

    /// The fate of a packet for an address that has moved: its new owner knows no such
    /// connection; the old one drops what is not for it.
    fn at_new_owner(&self, known: bool, kind: Kind) -> Result<Fate, String> {
        match (known, kind) {
            (_, Kind::Syn | Kind::SynAck) => {
                Err("a new connection to an address that moved".into())
            }
            (true, Kind::Rst) => Ok(Fate::Lost),
            (true, _) => Ok(Fate::Reset),
            (false, _) => Ok(Fate::NeighbourDead),
        }
    }

    /// The effect of the sender's own routes, addresses and interfaces.
    fn own_host(&self, host: &str, to: &str) -> Option<Fate> {
        let route = |change| {
            let now = errno::of_route(change);
            Fate::OwnHost {
                soft: Some(now),
                now,
            }
        };
        // The route is removed with the address; but the route to a router in IPv6 is the
        // router's own.
        let needs_address = self.case.family == Family::Ipv4 || self.are_neighbours(host, to);
        if needs_address && self.moved.contains_key(host) {
            return Some(route(RouteChange::Removed));
        }
        for a in &self.active {
            match a.what {
                EventAction::Route {
                    host: h,
                    change,
                    to: target,
                } if h == host && target.as_ref().is_none_or(|t| t == to) => {
                    return Some(route(*change));
                }
                EventAction::AddressRemoved { host: h } if h == host && needs_address => {
                    return Some(route(RouteChange::Removed));
                }
                EventAction::Interface { host: h, .. } if h == host => {
                    return Some(route(RouteChange::Removed));
                }
                _ => {}
            }
        }
        None
    }

    /// Whether a frame from `a` cannot reach `b`, and what `a` sees of it.
    fn hop_is_dead(&self, a: &str, b: &str, to: &str) -> Option<Carrier> {
        if self.down.contains(b) {
            return Some(Carrier::Kept);
        }
        self.active.iter().find_map(|active| match active.what {
            EventAction::Cut {
                cable,
                direction,
                carrier,
            } => {
                let from_near = cable.near == a && cable.far.as_ref().is_none_or(|f| f == b);
                let to_near = cable.near == b && cable.far.as_ref().is_none_or(|f| f == a);
                let cut = match direction {
                    Direction::Both => from_near || to_near,
                    Direction::From => from_near,
                    Direction::To => to_near,
                };
                let seen = if from_near { *carrier } else { Carrier::Kept };
                cut.then_some(seen)
            }
            EventAction::Interface { host, .. } if host == b => Some(Carrier::Kept),
            EventAction::AddressRemoved { host } if host == to && b == to => Some(Carrier::Kept),
            _ => None,
        })
    }

    /// The impairments of what goes from `a` to `b`.
    pub fn impaired(&self, a: &str, b: &str) -> impl Iterator<Item = &'a Impairment> {
        let of_hop = move |cable: &CableRef, direction: Direction| {
            let from_near = cable.near == a && cable.far.as_ref().is_none_or(|f| f == b);
            let to_near = cable.near == b && cable.far.as_ref().is_none_or(|f| f == a);
            match direction {
                Direction::Both => from_near || to_near,
                Direction::From => from_near,
                Direction::To => to_near,
            }
        };
        self.active
            .iter()
            .filter_map(move |active| match active.what {
                EventAction::Impair(i) if of_hop(&i.cable, i.direction) => Some(&i.line),
                _ => None,
            })
    }

    pub fn kind_of(&self, node: &str) -> Option<NodeKind> {
        let nodes = &self.case.network.nodes;
        nodes.iter().find(|n| n.name == node).map(|n| n.kind)
    }

    /// The nodes from one host to another, both included: the shortest path.
    pub fn path(&self, from: &str, to: &str) -> Option<Vec<&'a str>> {
        let mut before: BTreeMap<&str, &str> = BTreeMap::new();
        let cables = &self.case.network.cables;
        let from = self
            .case
            .network
            .nodes
            .iter()
            .find(|n| n.name == from)?
            .name
            .as_str();
        let mut next = VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            if at == to {
                let mut path = vec![at];
                let mut at = at;
                while at != from {
                    at = before[at];
                    path.push(at);
                }
                path.reverse();
                return Some(path);
            }
            for (a, b) in cables {
                for (near, far) in [(a, b), (b, a)] {
                    if near == at && far != from && !before.contains_key(far.as_str()) {
                        before.insert(far, at);
                        next.push_back(far);
                    }
                }
            }
        }
        None
    }
}

/// The fate of a packet if its sender receives no answer.
fn without_reply(fate: Fate, return_dead: bool) -> Fate {
    match fate {
        Fate::Arrives if return_dead => Fate::ReturnDead,
        Fate::Reset | Fate::Refused { .. } if return_dead => Fate::NeighbourDead,
        fate => fate,
    }
}
