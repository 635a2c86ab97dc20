//! Routers with connection tracking.

use std::collections::{BTreeMap, BTreeSet};
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
    /// After how long without a packet it forgets a connection in another state;
    /// whole seconds. Those that are not here have Linux's defaults, but
    /// [`FlowState::MaxRetrans`] and [`FlowState::Unacknowledged`] have `idle`.
    #[cfg_attr(feature = "serde", serde(default))]
    pub timeouts: BTreeMap<FlowState, Duration>,
    /// The host inside to which connections from outside to the router's own address
    /// are translated (DNAT), in both families, as a load balancer or kube-proxy does
    /// for a service's address. None: nothing can be opened from outside.
    #[cfg_attr(feature = "serde", serde(default))]
    pub service: Option<String>,
}

/// A state in which connection tracking has a TCP connection, besides established
/// (enum tcp_conntrack, and the two for data that nobody acknowledges).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum FlowState {
    /// The first SYN was seen.
    SynSent,
    /// The answer to it was seen.
    SynRecv,
    /// One end has sent a FIN.
    FinWait,
    /// That FIN was acknowledged: the connection is half-closed.
    CloseWait,
    /// The other end has sent its FIN.
    LastAck,
    /// Both FINs were acknowledged.
    TimeWait,
    /// An RST was seen.
    Close,
    /// Data was sent again nf_conntrack_tcp_max_retrans times.
    MaxRetrans,
    /// Data waits for its acknowledgment.
    Unacknowledged,
}

impl FlowState {
    /// All of them, by the names of their sysctls: nf_conntrack_tcp_timeout_NAME.
    pub const ALL: [(&'static str, FlowState); 9] = [
        ("syn_sent", FlowState::SynSent),
        ("syn_recv", FlowState::SynRecv),
        ("fin_wait", FlowState::FinWait),
        ("close_wait", FlowState::CloseWait),
        ("last_ack", FlowState::LastAck),
        ("time_wait", FlowState::TimeWait),
        ("close", FlowState::Close),
        ("max_retrans", FlowState::MaxRetrans),
        ("unacknowledged", FlowState::Unacknowledged),
    ];

    /// The sysctl of its timeout, in seconds.
    pub fn sysctl(self) -> String {
        let name = Self::ALL.iter().find(|(_, state)| *state == self);
        let name = name.map_or("", |(name, _)| *name);
        format!("net.netfilter.nf_conntrack_tcp_timeout_{name}")
    }
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
