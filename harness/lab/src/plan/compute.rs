//! Computes a plan from a network: segments, addresses, routes.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::nat;
use super::topology::{CablePlan, EndPlan, InterfacePlan, NodePlan, RoutePlan, Topology, WIRE};
use crate::error::LabError;
use halfopen_net::{Family, Network, NodeKind};

impl Topology {
    /// Checks `network` and computes everything, for these families.
    pub fn of(network: &Network, families: &[Family]) -> Result<Self, LabError> {
        check_names(network)?;
        let mut nodes: Vec<NodePlan> = network
            .nodes
            .iter()
            .map(|n| NodePlan {
                name: n.name.clone(),
                kind: n.kind,
                interfaces: Vec::new(),
                routes: Vec::new(),
                nat: None,
            })
            .collect();
        let mut cables = Vec::new();
        for (cable, (a, b)) in network.cables.iter().enumerate() {
            let mut ends = [EndPlan {
                node: 0,
                interface: 0,
            }; 2];
            for (side, name) in [a, b].into_iter().enumerate() {
                let node = nodes
                    .iter()
                    .position(|n| n.name == *name)
                    .ok_or_else(|| unknown_node(network, name))?;
                let interface = nodes[node].interfaces.len();
                nodes[node].interfaces.push(InterfacePlan {
                    name: format!("eth{interface}"),
                    ifindex: interface as u32 + 2,
                    cable,
                    side,
                    segment: 0,
                    addresses: Vec::new(),
                });
                ends[side] = EndPlan { node, interface };
            }
            cables.push(CablePlan { ends });
        }
        let mut topology = Topology { nodes, cables };
        topology.find_segments()?;
        topology.give_addresses(families);
        topology.find_routes(families);
        nat::plan_routers(network, &mut topology.nodes)?;
        Ok(topology)
    }

    /// Computes the segments (broadcast domains): a cable joins its two ends, a
    /// switch joins all of its interfaces. Segments are numbered from 1, by the
    /// order of their first cables.
    fn find_segments(&mut self) -> Result<(), LabError> {
        // Union-find over cables; a switch unites the cables it is at.
        let mut root: Vec<usize> = (0..self.cables.len()).collect();
        fn find(root: &[usize], mut of: usize) -> usize {
            while root[of] != of {
                of = root[of];
            }
            of
        }
        for switch in self.nodes.iter().filter(|n| n.kind == NodeKind::Switch) {
            for pair in switch.interfaces.windows(2) {
                let (a, b) = (find(&root, pair[0].cable), find(&root, pair[1].cable));
                if a == b {
                    return Err(LabError::Plan(format!(
                        "the cables at switch {} form a loop, where frames would circle for ever",
                        switch.name
                    )));
                }
                root[a.max(b)] = a.min(b);
            }
        }
        let mut numbers = BTreeMap::new();
        for cable in 0..self.cables.len() {
            let next = numbers.len() + 1;
            let number = *numbers.entry(find(&root, cable)).or_insert(next);
            for end in self.cables[cable].ends {
                self.nodes[end.node].interfaces[end.interface].segment = u8::try_from(number)
                    .map_err(|_| LabError::Plan("more than 255 segments".into()))?;
            }
        }
        for node in self.nodes.iter().filter(|n| n.has_addresses()) {
            for (i, a) in node.interfaces.iter().enumerate() {
                if node.interfaces[..i].iter().any(|b| b.segment == a.segment) {
                    return Err(LabError::Plan(format!(
                        "{} has two cables into the same segment",
                        node.name
                    )));
                }
            }
        }
        Ok(())
    }

    fn give_addresses(&mut self, families: &[Family]) {
        for (number, node) in (1u8..).zip(self.nodes.iter_mut()) {
            if !node.has_addresses() {
                continue;
            }
            for interface in &mut node.interfaces {
                interface.addresses = families
                    .iter()
                    .map(|f| address(*f, interface.segment, number))
                    .collect();
            }
        }
    }

    /// Computes the shortest paths through the routers, by breadth-first search
    /// from every node. A host next to exactly one router gets a default route
    /// instead.
    fn find_routes(&mut self, families: &[Family]) {
        for from in 0..self.nodes.len() {
            if !self.nodes[from].has_addresses() {
                continue;
            }
            // Segment -> the router that leads there (its index, and the segment
            // that it shares with `from`); None for a segment that `from` is in.
            let mut first_hop: BTreeMap<u8, Option<(usize, u8)>> = BTreeMap::new();
            let mut queue = VecDeque::new();
            for interface in &self.nodes[from].interfaces {
                first_hop.insert(interface.segment, None);
                queue.push_back(interface.segment);
            }
            while let Some(segment) = queue.pop_front() {
                for (router, node) in self.nodes.iter().enumerate() {
                    let here = node.interfaces.iter().any(|i| i.segment == segment);
                    if router == from || node.kind != NodeKind::Router || !here {
                        continue;
                    }
                    let hop = first_hop[&segment].unwrap_or((router, segment));
                    for beyond in node.interfaces.iter().map(|i| i.segment) {
                        first_hop.entry(beyond).or_insert_with(|| {
                            queue.push_back(beyond);
                            Some(hop)
                        });
                    }
                }
            }
            let mut remote: Vec<(u8, (usize, u8))> = first_hop
                .into_iter()
                .filter_map(|(s, hop)| Some((s, hop?)))
                .collect();
            let one_router = remote.windows(2).all(|pair| pair[0].1 == pair[1].1);
            let by_default = self.nodes[from].kind == NodeKind::Host && one_router;
            if by_default {
                remote.truncate(1);
            }
            let mut routes = Vec::new();
            for family in families {
                for (segment, (router, shared)) in &remote {
                    let (via, _) = address(*family, *shared, *router as u8 + 1);
                    let (network, length) = address(*family, *segment, 0);
                    let destination = match (by_default, family) {
                        (false, _) => (network, length),
                        (true, Family::Ipv4) => (Ipv4Addr::UNSPECIFIED.into(), 0),
                        (true, Family::Ipv6) => (Ipv6Addr::UNSPECIFIED.into(), 0),
                    };
                    routes.push(RoutePlan { destination, via });
                }
            }
            self.nodes[from].routes = routes;
        }
    }
}

/// 10.77.SEGMENT.NODE/24 or fd77:SEGMENT::NODE/64; with node 0 the network's
/// address.
fn address(family: Family, segment: u8, node: u8) -> (IpAddr, u8) {
    match family {
        Family::Ipv4 => (Ipv4Addr::new(10, 77, segment, node).into(), 24),
        Family::Ipv6 => {
            let (segment, node) = (u16::from(segment), u16::from(node));
            (
                Ipv6Addr::new(0xfd77, segment, 0, 0, 0, 0, 0, node).into(),
                64,
            )
        }
    }
}

fn check_names(network: &Network) -> Result<(), LabError> {
    // A node's number is the last byte of its addresses; 255 is broadcast.
    if network.nodes.len() > 254 || network.cables.len() > 255 {
        return Err(LabError::Plan("more than 254 nodes or 255 cables".into()));
    }
    for (i, node) in network.nodes.iter().enumerate() {
        if node.name.is_empty() || node.name == WIRE {
            return Err(LabError::Plan(format!(
                "a node may not be called `{}`",
                node.name
            )));
        }
        if network.nodes[..i]
            .iter()
            .any(|other| other.name == node.name)
        {
            return Err(LabError::Plan(format!(
                "two nodes are called {}",
                node.name
            )));
        }
    }
    match network.cables.iter().find(|(a, b)| a == b) {
        Some((a, _)) => Err(LabError::Plan(format!("a cable leads from {a} to itself"))),
        None => Ok(()),
    }
}

fn unknown_node(network: &Network, name: &str) -> LabError {
    LabError::Unknown {
        kind: "node",
        name: name.to_owned(),
        known: network.nodes.iter().map(|n| n.name.clone()).collect(),
    }
}
