//! Nodes, cables, segments and routes, computed from a case's network as a lab plans them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::NodeId;
use super::conntrack::Tracking;
use super::frame::{Addr, Mac};
use super::neighbour::Neighbour;
use crate::sysctls::Sysctls;
use halfopen_scenario::case::{Case, NodeKind, RouteChange};

/// An end of a cable at a node.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub cable: usize,
    pub side: usize,
    /// The broadcast domain it is in.
    pub segment: usize,
    /// It exists and is up.
    pub up: bool,
    /// The far end is up, as the host has noticed.
    pub carrier: bool,
    /// The addresses that it has now.
    pub addresses: BTreeSet<Addr>,
}

/// Where a destination is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RouteTo {
    /// The segment of an interface.
    Connected(usize),
    /// A remote segment.
    Segment(usize),
    /// Everything else.
    Default,
}

/// A host, router or switch.
pub(crate) struct Node {
    pub kind: NodeKind,
    /// It has power.
    pub on: bool,
    pub generation: u8,
    pub interfaces: Vec<Interface>,
    /// The next hop of each planned route.
    pub routes: BTreeMap<RouteTo, Addr>,
    /// Planned routes that are gone.
    pub removed: BTreeSet<RouteTo>,
    /// Routes of a type that refuses, to a node or to everything.
    pub errors: Vec<(Option<NodeId>, RouteChange)>,
    pub neighbours: Vec<Neighbour>,
    /// A switch's forwarding database.
    pub learned: BTreeMap<Mac, usize>,
    pub tracking: Option<Tracking>,
    pub sysctls: Sysctls,
    /// Tokens for ICMP errors of routes, by destination.
    pub tokens: BTreeMap<Addr, super::icmp::Tokens>,
    /// The next ephemeral port.
    pub port: u16,
}

/// A cable, by the nodes and interfaces at its ends.
#[derive(Debug, Clone)]
pub(crate) struct Cable {
    pub ends: [(NodeId, usize); 2],
    /// Nothing enters at this end.
    pub cut: [bool; 2],
    /// A rate's queue: when the last packet that entered at this end has left.
    pub busy_until: [u64; 2],
}

impl Node {
    pub fn has_addresses(&self) -> bool {
        self.kind != NodeKind::Switch
    }

    pub fn mac(&self, id: NodeId, interface: usize) -> Mac {
        Mac(id, interface, self.generation)
    }
}

/// The nodes and cables of a case.
pub(crate) fn build(case: &Case, sysctls: impl Fn(&str) -> Sysctls) -> (Vec<Node>, Vec<Cable>) {
    let network = &case.network;
    let mut nodes: Vec<Node> = network
        .nodes
        .iter()
        .map(|node| Node {
            kind: node.kind,
            on: true,
            generation: 0,
            interfaces: Vec::new(),
            routes: BTreeMap::new(),
            removed: BTreeSet::new(),
            errors: Vec::new(),
            neighbours: Vec::new(),
            learned: BTreeMap::new(),
            tracking: Tracking::of(case, &node.name),
            sysctls: sysctls(&node.name),
            tokens: BTreeMap::new(),
            port: 40_000,
        })
        .collect();
    let index = |name: &str| network.nodes.iter().position(|n| n.name == name);
    let mut cables = Vec::new();
    for (cable, (a, b)) in network.cables.iter().enumerate() {
        let mut ends = [(0, 0); 2];
        for (side, name) in [a, b].into_iter().enumerate() {
            let node = index(name).unwrap_or(0);
            ends[side] = (node, nodes[node].interfaces.len());
            nodes[node].interfaces.push(Interface {
                cable,
                side,
                segment: 0,
                up: true,
                carrier: true,
                addresses: BTreeSet::new(),
            });
        }
        cables.push(Cable {
            ends,
            cut: [false; 2],
            busy_until: [0; 2],
        });
    }
    find_segments(&mut nodes, &cables);
    for (id, node) in nodes.iter_mut().enumerate() {
        if node.has_addresses() {
            for (number, interface) in node.interfaces.iter_mut().enumerate() {
                interface.addresses.insert(Addr::Of(id, number));
            }
        }
    }
    find_routes(&mut nodes);
    (nodes, cables)
}

/// A cable joins the segments of its two ends, a switch those of all of its cables.
fn find_segments(nodes: &mut [Node], cables: &[Cable]) {
    let mut next = 1;
    for first in 0..cables.len() {
        let (node, interface) = cables[first].ends[0];
        if nodes[node].interfaces[interface].segment != 0 {
            continue;
        }
        let mut wanted = vec![first];
        while let Some(cable) = wanted.pop() {
            for (node, interface) in cables[cable].ends {
                nodes[node].interfaces[interface].segment = next;
                if nodes[node].kind == NodeKind::Switch {
                    let others = nodes[node].interfaces.iter();
                    wanted.extend(others.filter(|i| i.segment == 0).map(|i| i.cable));
                }
            }
        }
        next += 1;
    }
}

/// The shortest paths through routers; a host next to one router has a default route.
fn find_routes(nodes: &mut [Node]) {
    for from in 0..nodes.len() {
        if !nodes[from].has_addresses() {
            continue;
        }
        let mut first_hop: BTreeMap<usize, Option<(NodeId, usize)>> = BTreeMap::new();
        let mut queue = VecDeque::new();
        for interface in &nodes[from].interfaces {
            first_hop.insert(interface.segment, None);
            queue.push_back(interface.segment);
        }
        while let Some(segment) = queue.pop_front() {
            for (router, node) in nodes.iter().enumerate() {
                let here = node.interfaces.iter().position(|i| i.segment == segment);
                let Some(here) = here.filter(|_| router != from && node.kind == NodeKind::Router)
                else {
                    continue;
                };
                let hop = first_hop[&segment].unwrap_or((router, here));
                for beyond in node.interfaces.iter().map(|i| i.segment) {
                    first_hop.entry(beyond).or_insert_with(|| {
                        queue.push_back(beyond);
                        Some(hop)
                    });
                }
            }
        }
        let remote: Vec<(usize, (NodeId, usize))> = first_hop
            .into_iter()
            .filter_map(|(segment, hop)| Some((segment, hop?)))
            .collect();
        let one = remote.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let by_default = nodes[from].kind == NodeKind::Host && one;
        let mut routes = BTreeMap::new();
        for (segment, (router, interface)) in remote {
            let to = if by_default {
                RouteTo::Default
            } else {
                RouteTo::Segment(segment)
            };
            routes.insert(to, Addr::Of(router, interface));
        }
        nodes[from].routes = routes;
    }
}
