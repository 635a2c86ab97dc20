//! The types of a plan, and looking things up in it by name.

use std::net::IpAddr;

use crate::error::LabError;
use halfopen_net::{NodeKind, OnForgotten};

/// The name by which the wire is addressed where a node's name is expected. No
/// node may have it.
pub const WIRE: &str = "wire";

/// A checked network with everything computed.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub nodes: Vec<NodePlan>,
    pub cables: Vec<CablePlan>,
}

/// A node and what is planned for it.
#[derive(Debug, Clone)]
pub(crate) struct NodePlan {
    pub name: String,
    pub kind: NodeKind,
    pub interfaces: Vec<InterfacePlan>,
    pub routes: Vec<RoutePlan>,
    /// Its connection tracking, when it is a NAT router.
    pub nat: Option<NatPlan>,
}

impl NodePlan {
    /// Whether it has IP addresses: a switch has none.
    pub fn has_addresses(&self) -> bool {
        self.kind != NodeKind::Switch
    }
}

/// The connection tracking of a NAT router.
#[derive(Debug, Clone)]
pub(crate) struct NatPlan {
    /// Indexes of its interfaces that lead inside.
    pub inside: Vec<u32>,
    /// Seconds after which it forgets a connection without packets.
    pub idle_s: u64,
    /// What it does with packets of connections that it does not know.
    pub on_forgotten: OnForgotten,
    /// Seconds after which it forgets connections in other states, by sysctl.
    pub timeouts_s: Vec<(String, u64)>,
    /// Its addresses outside, and the host inside to which connections to each are
    /// translated.
    pub services: Vec<(IpAddr, IpAddr)>,
}

/// One end of a cable, in its node.
#[derive(Debug, Clone)]
pub(crate) struct InterfacePlan {
    /// `eth0`, `eth1`, ... in the order of the plan's cables.
    pub name: String,
    /// 2 for `eth0`: every node has a namespace of its own, where `lo` is 1.
    pub ifindex: u32,
    pub cable: usize,
    /// Which of the cable's two ends this is.
    pub side: usize,
    pub segment: u8,
    /// Address and prefix length. None for switches.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// A static route by way of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoutePlan {
    /// Network address and prefix length; length 0 is the default route.
    pub destination: (IpAddr, u8),
    pub via: IpAddr,
}

/// A cable by the indexes of node and interface at its ends.
#[derive(Debug, Clone)]
pub(crate) struct CablePlan {
    pub ends: [EndPlan; 2],
}

/// One end of a cable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndPlan {
    pub node: usize,
    pub interface: usize,
}

impl Topology {
    /// The node's index.
    pub fn node(&self, name: &str) -> Result<usize, LabError> {
        self.nodes
            .iter()
            .position(|n| n.name == name)
            .ok_or_else(|| LabError::Unknown {
                kind: "node",
                name: name.to_owned(),
                known: self.nodes.iter().map(|n| n.name.clone()).collect(),
            })
    }

    /// The cable at `near`, and which of its ends that is. Without `far`,
    /// `near` must have one cable.
    pub fn cable(&self, near: &str, far: Option<&str>) -> Result<(usize, usize), LabError> {
        let near_index = self.node(near)?;
        let far_index = far.map(|far| self.node(far)).transpose()?;
        let found: Vec<(usize, usize)> = self.nodes[near_index]
            .interfaces
            .iter()
            .map(|i| (i.cable, i.side))
            .filter(|(cable, side)| {
                far_index.is_none_or(|far| self.cables[*cable].ends[1 - side].node == far)
            })
            .collect();
        match (&found[..], far) {
            ([one], _) => Ok(*one),
            ([], None) => Err(LabError::Plan(format!("{near} has no cable"))),
            ([], Some(far)) => Err(LabError::Unknown {
                kind: "cable",
                name: format!("{near}-{far}"),
                known: (0..self.cables.len()).map(|c| self.cable_name(c)).collect(),
            }),
            (_, None) => Err(LabError::Plan(format!(
                "{near} has several cables: name the node at the other end, too"
            ))),
            // Parallel cables: the first, as the plan has them in order.
            ([first, ..], Some(_)) => Ok(*first),
        }
    }

    /// `client-server`: the names at both ends, in the plan's order.
    pub fn cable_name(&self, cable: usize) -> String {
        let [a, b] = &self.cables[cable].ends;
        format!("{}-{}", self.nodes[a.node].name, self.nodes[b.node].name)
    }

    /// What is at this end of this cable.
    pub fn end(&self, cable: usize, side: usize) -> (&NodePlan, &InterfacePlan) {
        let end = self.cables[cable].ends[side];
        let node = &self.nodes[end.node];
        (node, &node.interfaces[end.interface])
    }
}
