//! A lab that is up: its hosts, addresses, ports and sysctls.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::builder::LabBuilder;
use super::error::LabError;
use super::filter::{Filter, PortRef, Tracking};
use super::impair::Impaired;
use super::namespace::Namespace;
use super::netlink::{Netlink, Socket};
use super::pinned::{self, Entry, Values};
use super::sysctl;
use super::topology::{Topology, WIRE};
use halfopen_net::{Family, NodeKind};
use netlink_packet_route::route::RouteMessage;

/// A throwaway network of hosts, routers, switches and cables.
///
/// Every node is a network namespace. Every cable passes the wire, one more
/// namespace that no node sees into, where faults and captures happen.
/// Nothing of it is visible outside this process, and all of it is gone when
/// the lab is dropped and the last process and socket in it have ended.
///
/// Its functions block and cannot be used on a thread of a tokio runtime
/// ([`LabError::InsideRuntime`]).
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use crate::Lab;
/// use halfopen_net::Family;
/// use std::net::{TcpListener, TcpStream};
///
/// let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
/// let server = (lab.address("server", Family::Ipv4)?, 7000);
/// let listener = lab.enter("server", || TcpListener::bind(server))??;
/// let client = lab.enter("client", || TcpStream::connect(server))??;
/// let mut processes = Some(listener);
/// lab.crash("server", &mut || drop(processes.take()))?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
pub struct Lab {
    pub(super) topology: Topology,
    pub(super) families: Vec<Family>,
    pub(super) wire: Namespace,
    pub(super) wire_socket: Socket,
    pub(super) joint: Filter,
    pub(super) nodes: Vec<NodeState>,
    pub(super) cables: Vec<CableState>,
    /// What makes cables bad.
    pub(super) impaired: Impaired,
    /// Next unused interface index in the wire. Indexes are never used twice,
    /// so that a capture can tell a port from the one it replaces.
    pub(super) next_port: u32,
    /// Last: the sockets above belong to its runtime.
    pub(super) netlink: Netlink,
}

/// A node, apart from its plan.
pub(super) struct NodeState {
    /// None: crashed.
    pub running: Option<Running>,
    /// What the lab's user set, on top of the pinned ones.
    pub wanted: BTreeMap<String, String>,
    /// All values that were written.
    pub pinned: Values,
    /// Counts the machines that took this node's place; part of its MACs.
    pub generation: u8,
    /// Nothing passes any of its cables.
    pub silenced: bool,
    /// Routes that refuse or swallow, put in by faults.
    pub refusals: Vec<RouteMessage>,
    /// Neighbours that were pinned: interface index and address.
    pub neighbours: Vec<(u32, IpAddr)>,
}

/// What a node has while it is up.
pub(super) struct Running {
    pub ns: Namespace,
    pub socket: Socket,
    pub filter: Option<Filter>,
    /// The connections a router knows of.
    pub tracking: Option<Tracking>,
}

/// A cable: its two ports in the wire, in the plan's order.
pub(super) struct CableState {
    pub ports: [PortState; 2],
}

/// One port of the wire.
pub(super) struct PortState {
    pub name: String,
    /// None: its node is down.
    pub ifindex: Option<u32>,
    /// What comes in here vanishes, because the cable is cut.
    pub cut: bool,
    /// Set down, so that its node has no carrier.
    pub down: bool,
}

impl PortState {
    pub fn port_ref(&self) -> Option<PortRef> {
        Some(PortRef {
            name: self.name.clone(),
            ifindex: self.ifindex?,
        })
    }
}

/// An interface in the wire: one end of the wire's half of a cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in the wire's namespace.
    pub name: String,
    /// Its index there. A port that comes back after a reboot has another one.
    pub ifindex: u32,
    /// The cable, by the names at its ends: `client-server`.
    pub cable: String,
    /// The node that this port leads to: what comes in here was sent by it.
    pub node: String,
    /// The node at the cable's other end.
    pub peer_node: String,
}

impl Lab {
    /// Describes a lab.
    pub fn builder() -> LabBuilder {
        LabBuilder::new()
    }

    /// The node's address in this family, of its first interface.
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

    /// All of the node's addresses, interface by interface.
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

    /// The node's interfaces, in the order of the plan's cables, and their MACs.
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

    /// The names of the nodes, in the plan's order, and what they are.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, NodeKind)> {
        self.topology
            .nodes
            .iter()
            .map(|n| (n.name.as_str(), n.kind))
    }

    /// Runs `f` on the calling thread inside the node: sockets opened there
    /// stay in it, processes started there are born in it.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn enter<R>(&self, node: &str, f: impl FnOnce() -> R) -> Result<R, LabError> {
        self.namespace(node)?.enter(f)
    }

    /// The node's namespace; `wire` is the wire's.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn namespace(&self, node: &str) -> Result<&Namespace, LabError> {
        if node == WIRE {
            return Ok(&self.wire);
        }
        Ok(&self.running(self.topology.node(node)?)?.ns)
    }

    /// The namespace in the middle of every cable.
    pub fn wire(&self) -> &Namespace {
        &self.wire
    }

    /// The ports of the wire that exist now. A crash takes its host's ports
    /// away, and [`Lab::host_up`] makes new ones.
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

    /// nftables of a node, or of the wire by the name `wire`; opened when it
    /// is first asked for. The wire's holds the joints of the cables, too.
    ///
    /// # Errors
    /// For a node that the lab does not have, or that is down.
    pub fn filter_of(&mut self, node: &str) -> Result<&mut Filter, LabError> {
        if node == WIRE {
            return Ok(&mut self.joint);
        }
        let index = self.topology.node(node)?;
        self.running(index)?;
        match &mut self.nodes[index].running {
            Some(Running {
                filter: Some(filter),
                ..
            }) => Ok(filter),
            Some(Running { filter, ns, .. }) => Ok(filter.insert(Filter::open(ns)?)),
            None => Err(LabError::Down {
                node: node.to_owned(),
            }),
        }
    }

    /// Reads a sysctl of a node now. Blanks between numbers are single spaces.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] for a key that this kernel lacks.
    pub fn sysctl(&self, node: &str, key: &str) -> Result<String, LabError> {
        let index = self.topology.node(node)?;
        let first = self
            .spread(index, key)
            .into_iter()
            .next()
            .unwrap_or_default();
        sysctl::on_host(&self.running(index)?.ns, || sysctl::read(&first))
    }

    /// Sets a sysctl of a node; it is set again when the node reboots.
    ///
    /// # Errors
    /// [`LabError::Unsupported`] for a key that this kernel lacks.
    pub fn set_sysctl(&mut self, node: &str, key: &str, value: &str) -> Result<(), LabError> {
        let index = self.topology.node(node)?;
        let keys = self.spread(index, key);
        sysctl::on_host(&self.running(index)?.ns, || {
            keys.iter().try_for_each(|k| sysctl::write(k, value))
        })?;
        self.nodes[index]
            .wanted
            .insert(key.to_owned(), value.to_owned());
        self.nodes[index].pinned.push(pinned::set(key, value));
        Ok(())
    }

    /// Every sysctl that was set on the node, by the lab and by its user, and
    /// the value it has.
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have.
    pub fn pinned(&self, node: &str) -> Result<BTreeMap<String, String>, LabError> {
        let pinned = &self.nodes[self.topology.node(node)?].pinned;
        let text = |(key, value): &Entry| (key.to_string(), value.to_string());
        Ok(pinned.iter().map(text).collect())
    }

    pub(super) fn spread(&self, node: usize, key: &str) -> Vec<String> {
        let names = self.topology.nodes[node]
            .interfaces
            .iter()
            .map(|i| i.name.as_str());
        sysctl::spread(key, names)
    }

    pub(super) fn running(&self, node: usize) -> Result<&Running, LabError> {
        self.nodes[node]
            .running
            .as_ref()
            .ok_or_else(|| LabError::Down {
                node: self.topology.nodes[node].name.clone(),
            })
    }

    /// 02:68:6f:GENERATION:NODE:INTERFACE, locally administered.
    pub(super) fn mac(&self, node: usize, interface: usize) -> [u8; 6] {
        // Both fit: the topology refused more than 254 nodes, 255 cables.
        let generation = self.nodes[node].generation;
        [
            0x02,
            0x68,
            0x6f,
            generation,
            node as u8 + 1,
            interface as u8,
        ]
    }
}

/// Whether an address is of a family.
pub(super) fn is_of(address: IpAddr, family: Family) -> bool {
    match family {
        Family::Ipv4 => address.is_ipv4(),
        Family::Ipv6 => address.is_ipv6(),
    }
}
