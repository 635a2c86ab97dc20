//! Describing a lab in code.

use std::collections::BTreeMap;

use crate::error::LabError;
use crate::lab::Lab;
use crate::plan::Topology;
use crate::sysctl;
use halfopen_net::{Family, Nat, Network, Node, NodeKind};

/// Describes a [`Lab`]. Nothing is checked or built before [`LabBuilder::build`].
///
/// ```no_run
/// # fn main() -> Result<(), halfopen_lab::LabError> {
/// use halfopen_lab::{Family, Lab};
///
/// let lab = Lab::builder()
///     .host("client")
///     .router("router")
///     .host("server")
///     .cable("client", "router")
///     .cable("router", "server")
///     .families(&[Family::Ipv4, Family::Ipv6])
///     .sysctl("client", "net.ipv4.tcp_retries2", "5")
///     .build()?;
/// # drop(lab);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct LabBuilder {
    network: Network,
    families: Vec<Family>,
    sysctls: Vec<(String, String, String)>,
}

impl Lab {
    /// Begins the description of a lab without nodes.
    pub fn builder() -> LabBuilder {
        LabBuilder::from_plan(&Network {
            name: "lab".into(),
            nodes: Vec::new(),
            cables: Vec::new(),
            nats: Vec::new(),
        })
    }
}

impl LabBuilder {
    /// Begins with the nodes, cables and NAT routers of a network.
    pub fn from_plan(network: &Network) -> Self {
        LabBuilder {
            network: network.clone(),
            families: vec![Family::Ipv4],
            sysctls: Vec::new(),
        }
    }

    /// Adds a host, a node that programs run on.
    pub fn host(self, name: &str) -> Self {
        self.node(name, NodeKind::Host)
    }

    /// Adds a router, which forwards IP between its cables. Routes of all nodes are
    /// computed: shortest paths, a default route where one router is the only way.
    pub fn router(self, name: &str) -> Self {
        self.node(name, NodeKind::Router)
    }

    /// Adds a switch: a learning bridge without spanning tree, so its cables must not
    /// form a loop.
    pub fn switch(self, name: &str) -> Self {
        self.node(name, NodeKind::Switch)
    }

    fn node(mut self, name: &str, kind: NodeKind) -> Self {
        self.network.nodes.push(Node {
            name: name.to_owned(),
            kind,
        });
        self
    }

    /// Adds a cable between two nodes. A node's first cable is at its `eth0`, the next
    /// one at `eth1`.
    pub fn cable(mut self, a: &str, b: &str) -> Self {
        self.network.cables.push((a.to_owned(), b.to_owned()));
        self
    }

    /// Makes a router track connections that are opened from its inside, and
    /// translate their addresses over IPv4.
    pub fn nat(mut self, nat: Nat) -> Self {
        self.network.nats.push(nat);
        self
    }

    /// Sets the address families of all nodes; IPv4 alone unless set. A family that is
    /// not set sends nothing: without IPv6 there is no neighbour discovery on the wire
    /// either.
    pub fn families(mut self, families: &[Family]) -> Self {
        self.families = families.to_vec();
        self.families.sort_unstable();
        self.families.dedup();
        self
    }

    /// Sets a sysctl on a host by its dotted key, on top of those that every lab pins
    /// ([`Lab::pinned`]), before any socket of the host exists.
    pub fn sysctl(mut self, host: &str, key: &str, value: &str) -> Self {
        self.sysctls
            .push((host.to_owned(), key.to_owned(), value.to_owned()));
        self
    }

    /// Builds the network. A packet that is sent right after it returns arrives.
    ///
    /// # Errors
    /// [`LabError::Plan`] for a network that cannot be built (two nodes of one name, a
    /// loop of switches, a sysctl outside `net.`), [`LabError::Unknown`] for a cable,
    /// NAT router or sysctl of a node that was not added, [`LabError::Unsupported`]
    /// when the kernel lacks something, [`LabError::System`] without root or a user
    /// namespace (see [`sandbox`](mod@crate::sandbox)).
    pub fn build(self) -> Result<Lab, LabError> {
        if self.families.is_empty() {
            return Err(LabError::Plan("no address family".into()));
        }
        let topology = Topology::of(&self.network, &self.families)?;
        let mut sysctls = vec![BTreeMap::new(); topology.nodes.len()];
        for (host, key, value) in self.sysctls {
            sysctl::path(&key)?;
            sysctls[topology.node(&host)?].insert(key, value);
        }
        Lab::construct(topology, self.families, sysctls)
    }
}
