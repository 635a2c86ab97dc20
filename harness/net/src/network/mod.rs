//! A network: hosts, routers and switches, and the cables between them.

use std::collections::BTreeSet;

mod nat;

pub use nat::{Nat, OnForgotten};

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// A network that a lab can build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Network {
    /// `link`, `lan`, `routed`, or the name in the scenario file.
    pub name: String,
    /// Hosts, routers and switches.
    pub nodes: Vec<Node>,
    /// Cables, by the names of the nodes at their two ends.
    pub cables: Vec<(String, String)>,
    /// Which of the routers track connections, and how.
    #[cfg_attr(feature = "serde", serde(default))]
    pub nats: Vec<Nat>,
}

/// A node of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Node {
    /// Its name, unique in the network.
    pub name: String,
    /// Its kind.
    pub kind: NodeKind,
}

/// The kind of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum NodeKind {
    /// Runs programs.
    Host,
    /// Forwards IP between its cables.
    Router,
    /// A learning bridge.
    Switch,
}

impl Network {
    /// The networks that always exist: `link`, `lan`, `routed`.
    pub fn built_in() -> Vec<Self> {
        let network = |name: &str, middle: Option<(&str, NodeKind)>| {
            let host = |name: &str| Node {
                name: name.to_owned(),
                kind: NodeKind::Host,
            };
            let cable = |a: &str, b: &str| (a.to_owned(), b.to_owned());
            let mut nodes = vec![host("client"), host("server")];
            let cables = match middle {
                None => vec![cable("client", "server")],
                Some((between, kind)) => {
                    nodes.push(Node {
                        name: between.to_owned(),
                        kind,
                    });
                    vec![cable("client", between), cable(between, "server")]
                }
            };
            Network {
                name: name.to_owned(),
                nodes,
                cables,
                nats: Vec::new(),
            }
        };
        vec![
            network("link", None),
            network("lan", Some(("switch", NodeKind::Switch))),
            network("routed", Some(("router", NodeKind::Router))),
        ]
    }

    /// The names of the nodes of these kinds.
    pub fn names<'n>(&'n self, kinds: &'n [NodeKind]) -> impl Iterator<Item = &'n str> + Clone {
        self.nodes
            .iter()
            .filter(|node| kinds.contains(&node.kind))
            .map(|node| node.name.as_str())
    }

    /// The nodes at the far ends of a node's cables.
    pub fn neighbours(&self, node: &str) -> Vec<&str> {
        let mut far = Vec::new();
        for (a, b) in &self.cables {
            if node == a {
                far.push(b.as_str());
            } else if node == b {
                far.push(a.as_str());
            }
        }
        far
    }

    /// Whether two nodes are connected without passing a router.
    pub fn on_one_lan(&self, a: &str, b: &str) -> bool {
        let is_switch = |name: &str| {
            let kind = self.nodes.iter().find(|n| n.name == name);
            kind.is_some_and(|n| n.kind == NodeKind::Switch)
        };
        let mut reached = BTreeSet::from([a]);
        let mut next = vec![a];
        while let Some(at) = next.pop() {
            for far in self.neighbours(at) {
                if reached.insert(far) && is_switch(far) {
                    next.push(far);
                }
            }
        }
        reached.contains(b)
    }
}
