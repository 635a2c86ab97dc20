//! What a fault acts on, and how: cables, packets, routes, interfaces,
//! neighbour entries.

use serde::{Deserialize, Serialize};

/// A cable by the node at one end (its only cable), or by both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CableRef {
    /// A node at one end.
    pub near: String,
    /// The node at the other end, when `near` has several cables.
    pub far: Option<String>,
}

/// A direction of travel on a cable, seen from its `near` end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// What comes from the near end.
    From,
    /// What goes to the near end.
    To,
}

/// What the ends see of a cut cable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// Link lights stay on: the cut is further away.
    #[default]
    Kept,
    /// The near end loses carrier.
    Lost,
}

/// Which packets, where, by what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PacketRule {
    /// Where the packet is caught.
    pub place: Place,
    /// By which mechanism.
    pub by: Mechanism,
    /// Sent by this host; None: any.
    pub from: Option<String>,
    /// Sent to this host; None: any.
    pub to: Option<String>,
    /// TCP flags that must be set (`SYN`, `ACK`, `FIN`, `RST`, `PSH`).
    pub flags: Vec<String>,
    /// TCP flags that must not be set.
    pub without: Vec<String>,
    /// TCP source port.
    pub sport: Option<u16>,
    /// TCP destination port.
    pub dport: Option<u16>,
    /// Only the first so many packets.
    pub count: Option<u32>,
    /// Only this share of the packets, 0 to 1.
    pub probability: Option<f64>,
}

/// Where a packet is caught. It changes what TCP does (the sender's own drop is retried).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the middle of the cable at this host; None: the cable of `from`, else of `to`.
    Wire(Option<String>),
    /// On the sender, as it leaves. Needs `from`.
    Sender,
    /// On the receiver, as it arrives. Needs `to`.
    Receiver,
    /// On this router, as it is forwarded.
    Router(String),
}

/// What catches packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// nftables.
    #[default]
    Nft,
    /// clsact with a classic-BPF filter.
    Tc,
}

/// What a reject answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectWith {
    /// ICMP network unreachable; ICMPv6 no route.
    NetUnreachable,
    /// ICMP host unreachable; ICMPv6 address unreachable.
    HostUnreachable,
    /// ICMP or ICMPv6 port unreachable.
    PortUnreachable,
    /// ICMP protocol unreachable (IPv4 only).
    ProtocolUnreachable,
    /// ICMP or ICMPv6 administratively prohibited.
    AdminProhibited,
    /// TCP RST.
    TcpReset,
}

/// What becomes of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteChange {
    /// It is gone.
    Removed,
    /// `unreachable`: EHOSTUNREACH.
    Unreachable,
    /// `prohibit`: EACCES.
    Prohibit,
    /// `blackhole`: EINVAL, silence for others.
    Blackhole,
}

/// What becomes of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterfaceChange {
    /// Set down.
    Down,
    /// Removed.
    Deleted,
}

/// What becomes of neighbour entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourChange {
    /// Forgotten: the next packet must ask again.
    Flushed,
    /// Permanent: never asked again.
    Pinned,
}
