//! Describing a lab in code.

use std::collections::BTreeMap;

use super::error::LabError;
use super::live::Lab;
use super::topology::Topology;
use halfopen_net::{Family, Nat, Network, Node, NodeKind};

/// Collects the plan of a [`Lab`]. Nothing is checked or built before
/// [`LabBuilder::build`].
#[derive(Debug, Clone)]
pub struct LabBuilder {
    network: Network,
    families: Vec<Family>,
    sysctls: Vec<(String, String, String)>,
}

impl LabBuilder {
    pub(crate) fn new() -> Self {
        let network = Network {
            name: "lab".into(),
            nodes: Vec::new(),
            cables: Vec::new(),
            nats: Vec::new(),
        };
        LabBuilder::from_plan(&network)
    }

    /// Starts from a plan.
    pub fn from_plan(network: &Network) -> Self {
        LabBuilder {
            network: network.clone(),
            families: vec![Family::Ipv4],
            sysctls: Vec::new(),
        }
    }

    /// Adds a host.
    #[must_use]
    pub fn host(self, name: &str) -> Self {
        self.node(name, NodeKind::Host)
    }

    /// Adds a router: forwards IPv4 and IPv6 between its cables.
    #[must_use]
    pub fn router(self, name: &str) -> Self {
        self.node(name, NodeKind::Router)
    }

    /// Adds a switch: a learning bridge without spanning tree.
    #[must_use]
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

    /// Adds a cable between two nodes. A node's first cable is at `eth0`.
    #[must_use]
    pub fn cable(mut self, a: &str, b: &str) -> Self {
        self.network.cables.push((a.to_owned(), b.to_owned()));
        self
    }

    /// Lets a router keep state of connections from its inside.
    #[must_use]
    pub fn nat(mut self, nat: Nat) -> Self {
        self.network.nats.push(nat);
        self
    }

    /// The address families to configure; IPv4 unless given. The others are
    /// silent: without IPv6 not even neighbour discovery is on the wire.
    #[must_use]
    pub fn families(mut self, families: &[Family]) -> Self {
        self.families = families.to_vec();
        self.families.sort_unstable();
        self.families.dedup();
        self
    }

    /// Sets a sysctl on a host, on top of the pinned ones ([`super::pinned`]),
    /// before any socket of the host exists.
    #[must_use]
    pub fn sysctl(mut self, host: &str, key: &str, value: &str) -> Self {
        self.sysctls
            .push((host.to_owned(), key.to_owned(), value.to_owned()));
        self
    }

    /// Builds the network. When it returns, a packet sent at once arrives.
    ///
    /// # Errors
    /// When the plan makes no sense, when the kernel lacks something, or
    /// without root or a user namespace.
    pub fn build(self) -> Result<Lab, LabError> {
        if self.families.is_empty() {
            return Err(LabError::Plan("no address family".into()));
        }
        let topology = Topology::of(&self.network, &self.families)?;
        let mut sysctls = vec![BTreeMap::new(); topology.nodes.len()];
        for (host, key, value) in self.sysctls {
            super::sysctl::path(&key)?;
            sysctls[topology.node(&host)?].insert(key, value);
        }
        Lab::construct(topology, self.families, sysctls)
    }
}
