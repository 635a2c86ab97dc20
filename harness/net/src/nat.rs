//! Routers that keep state of the connections they let through.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Network;

/// A router that knows every TCP connection that was opened through it from
/// the inside, and lets nothing else through.
///
/// Over IPv4 it translates: the outside sees the router's own address. Over
/// IPv6 it is a stateful firewall, as home routers are there (RFC 6092).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat {
    /// The router.
    pub router: String,
    /// Hosts on its inside. Whoever is behind the same cable is inside, too.
    pub inside: Vec<String>,
    /// How long it remembers a connection that carries no packet.
    pub idle: Duration,
    /// What it does with packets of a connection that it does not know.
    pub on_forgotten: OnForgotten,
}

/// What becomes of a packet in the middle of a connection that the router does
/// not know (any more).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnForgotten {
    /// It vanishes.
    #[default]
    Silence,
    /// It is answered with an RST.
    Reset,
    /// From the inside it is let through and the connection is known again
    /// (nf_conntrack_tcp_loose, Linux's default); what comes from the outside
    /// for the router's own address is answered by its own TCP, with an RST.
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

/// Whatever `start` reaches without passing `router`.
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
