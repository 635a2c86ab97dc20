//! What a lab has: nodes, addresses, namespaces, ports of the wire, and packet
//! filters.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Lab, Running, is_of};
use crate::error::LabError;
use crate::filter::Filter;
use crate::host::Host;
use crate::namespace::Namespace;
use crate::plan::WIRE;
use halfopen_net::{Family, NodeKind};

/// An interface in the wire's namespace: the wire's end of a node's cable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// Its name in the wire's namespace: what
    /// [`Hook::Port`](crate::Hook::Port) takes.
    pub name: String,
    /// Its interface index there. A port that comes back after a reboot has
    /// another one.
    pub ifindex: u32,
    /// The cable, by the names at its ends: `client-server`.
    pub cable: String,
    /// The node at this end: frames that enter the wire here were sent by it.
    pub node: String,
    /// The node at the cable's other end.
    pub peer_node: String,
}

impl Lab {
    /// The node's address in this family, of its first interface.
    ///
    /// Addresses are 10.77.SEGMENT.NODE/24 and fd77:SEGMENT::NODE/64, both counted
    /// from 1: segments by the order of their first cables, nodes by the order in
    /// which they were added.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node, or family, that the lab does not have.
    pub fn address(&self, node: &str, family: Family) -> Result<IpAddr, LabError> {
        let of_family = self
            .addresses(node)?
            .into_iter()
            .find(|a| is_of(*a, family));
        of_family.ok_or_else(|| LabError::Unknown {
            kind: "address",
            name: format!("{node} {family:?}"),
            known: self.families.iter().map(|f| format!("{f:?}")).collect(),
        })
    }

    /// All of the node's addresses, interface by interface. A switch has none.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn addresses(&self, node: &str) -> Result<Vec<IpAddr>, LabError> {
        let plan = &self.topology.nodes[self.topology.node(node)?];
        let interfaces = plan.interfaces.iter();
        Ok(interfaces
            .flat_map(|i| i.addresses.iter().map(|(a, _)| *a))
            .collect())
    }

    /// The node's interfaces and their MAC addresses, in the order in which its
    /// cables were added: `eth0`, `eth1`, ...
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn interfaces(&self, node: &str) -> Result<Vec<(String, [u8; 6])>, LabError> {
        let index = self.topology.node(node)?;
        let interfaces = self.topology.nodes[index].interfaces.iter().enumerate();
        Ok(interfaces
            .map(|(i, plan)| (plan.name.clone(), self.mac(index, i)))
            .collect())
    }

    /// The names and kinds of the nodes, in the order in which they were added.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, NodeKind)> {
        self.topology
            .nodes
            .iter()
            .map(|n| (n.name.as_str(), n.kind))
    }

    /// A handle to a host or a router.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have, or a switch.
    pub fn host(&self, node: &str) -> Result<Host, LabError> {
        let host = &self.nodes[self.topology.node(node)?].host;
        let host = host.as_ref().ok_or_else(|| LabError::Unknown {
            kind: "host",
            name: node.to_owned(),
            known: self.nodes().map(|(name, _)| name.to_owned()).collect(),
        })?;
        Ok(Host::new(Arc::clone(host)))
    }

    /// Runs `f` on the calling thread inside the node's namespace: sockets opened
    /// by `f` stay in it, processes and threads started by `f` begin in it. See
    /// [`Namespace::enter`].
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have,
    /// [`LabError::Down`] for one that is down.
    pub fn enter<R>(&self, node: &str, f: impl FnOnce() -> R) -> Result<R, LabError> {
        self.namespace(node)?.enter(f)
    }

    /// The node's namespace; by the name [`WIRE`] the wire's.
    ///
    /// # Errors
    /// As [`Lab::enter`].
    pub fn namespace(&self, node: &str) -> Result<&Namespace, LabError> {
        if node == WIRE {
            return Ok(&self.wire);
        }
        Ok(&self.running(self.topology.node(node)?)?.ns)
    }

    /// The wire: the namespace in the middle of every cable.
    pub fn wire(&self) -> &Namespace {
        &self.wire
    }

    /// The ports of the wire that exist now. A crash deletes the ports of its
    /// node, and [`Lab::host_up`] creates new ones.
    pub fn ports(&self) -> Vec<Port> {
        let mut ports = Vec::new();
        for (cable, state) in self.cables.iter().enumerate() {
            for (side, port) in state.ports.iter().enumerate() {
                let Some(ifindex) = port.ifindex else {
                    continue;
                };
                ports.push(Port {
                    name: port.name.clone(),
                    ifindex,
                    cable: self.topology.cable_name(cable),
                    node: self.topology.end(cable, side).0.name.clone(),
                    peer_node: self.topology.end(cable, 1 - side).0.name.clone(),
                });
            }
        }
        ports
    }

    /// The packet filter (nftables) of a node, or by the name [`WIRE`] of the wire;
    /// opened when it is first asked for. The wire's has a hook for each port
    /// ([`Lab::ports`]), a node's has input, forward and output.
    ///
    /// # Errors
    /// As [`Lab::enter`]; [`LabError::Unsupported`] when the kernel has no
    /// nftables.
    pub fn filter_of(&mut self, node: &str) -> Result<&mut Filter, LabError> {
        if node == WIRE {
            return Ok(&mut self.wire_filter);
        }
        let index = self.topology.node(node)?;
        self.running(index)?;
        let note = self.filter_note(node);
        match &mut self.nodes[index].running {
            Some(Running {
                filter: Some(filter),
                ..
            }) => Ok(filter),
            Some(Running { filter, ns, .. }) => {
                let filter = filter.insert(Filter::open(ns)?);
                filter.set_note(note);
                Ok(filter)
            }
            None => Err(LabError::Down {
                node: node.to_owned(),
            }),
        }
    }
}
