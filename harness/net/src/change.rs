//! Changes to a node of a lab: its routes, interfaces and neighbour entries, and the
//! error that a rejected packet is answered with.

/// The error that a rejected packet is answered with (nft(8), reject statement).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
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

/// A change of a route (ip-route(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum RouteChange {
    /// The route is deleted.
    Removed,
    /// A route of type `unreachable`: EHOSTUNREACH for the node's own sockets, ICMP host
    /// unreachable for packets that it forwards.
    Unreachable,
    /// A route of type `prohibit`: EACCES for the node's own sockets, ICMP
    /// administratively prohibited for packets that it forwards.
    Prohibit,
    /// A route of type `blackhole`: EINVAL for the node's own sockets; packets that it
    /// forwards are dropped without an answer.
    Blackhole,
}

/// A change of a node's interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum InterfaceChange {
    /// They are set down.
    Down,
    /// They are deleted.
    Deleted,
}

/// A change of a node's neighbour entries (ip-neighbour(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum NeighbourChange {
    /// They are deleted: the next packet waits for an address resolution.
    Flushed,
    /// They are permanent (NUD_PERMANENT): never resolved or probed again.
    Pinned,
}
