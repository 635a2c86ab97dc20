//! Changes to a node of a lab: routes, interfaces, neighbour entries, and what a
//! rejected packet is answered with.

use serde::{Deserialize, Serialize};

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
