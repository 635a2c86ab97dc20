//! Routers with connection tracking.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Network;

/// A router that tracks the TCP connections that are opened through it from the inside,
/// and lets no other TCP through.
///
/// Over IPv4 it translates source addresses: the outside sees the router's own. Over
/// IPv6 it is a stateful firewall, as home routers are (RFC 6092).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Nat {
    /// The router's name.
    pub router: String,
    /// Hosts on its inside. All nodes behind the same cable of the router are inside.
    pub inside: Vec<String>,
    /// After how long without a packet it forgets a connection; whole seconds, at least
    /// one (nf_conntrack_tcp_timeout_established).
    pub idle: Duration,
    /// What it does with packets of a connection that it does not know.
    pub on_forgotten: OnForgotten,
}

/// What the router does with a packet of a connection that it does not know any more, a
/// packet without SYN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum OnForgotten {
    /// It drops the packet.
    #[default]
    Silence,
    /// It drops the packet and answers with an RST.
    Reset,
    /// It forwards a packet from the inside and tracks the connection again
    /// (nf_conntrack_tcp_loose, Linux's default). A packet from the outside is addressed
    /// to the router itself, whose own TCP answers with an RST.
    Resume,
}

impl Nat {
    /// The nodes at the far ends of the router's cables that lead inside.
    pub fn inside_neighbours<'n>(&self, network: &'n Network) -> Vec<&'n str> {
        network
            .neighbours(&self.router)
            .into_iter()
            .filter(|start| {
                let behind = behind(network, &self.router, start);
                self.inside
                    .iter()
                    .any(|host| behind.contains(host.as_str()))
            })
            .collect()
    }

    /// Whether a host is on the inside.
    pub fn is_inside(&self, network: &Network, host: &str) -> bool {
        self.inside_neighbours(network)
            .iter()
            .any(|start| behind(network, &self.router, start).contains(host))
    }
}

/// The nodes that `start` reaches without passing `router`.
fn behind<'n>(network: &'n Network, router: &str, start: &'n str) -> BTreeSet<&'n str> {
    let mut reached = BTreeSet::from([start]);
    let mut next = vec![start];
    while let Some(at) = next.pop() {
        for far in network.neighbours(at) {
            if far != router && reached.insert(far) {
                next.push(far);
            }
        }
    }
    reached
}
