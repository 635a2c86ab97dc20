//! What an event acts on: impaired cables and the packets of a rule.

use halfopen_net::{CableRef, Direction, ImpairBy, Impairment};
use serde::{Deserialize, Serialize};

/// An impairment of a cable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impair {
    /// The cable.
    pub cable: CableRef,
    /// Which way it is impaired.
    pub direction: Direction,
    /// What it does to packets.
    pub line: Impairment,
    /// Which mechanism does it.
    pub by: ImpairBy,
}

/// Which packets are caught, where, and by which mechanism.
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
    /// Only this number of packets; None: all.
    pub count: Option<u32>,
    /// Only this share of the packets, 0 to 1; None: all.
    pub probability: Option<f64>,
}

/// Where a packet is caught. The place changes what TCP does: TCP learns of
/// a drop on its own host and retries the transmission.
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

/// The mechanism that catches packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// nftables.
    #[default]
    Nft,
    /// clsact with a classic-BPF filter.
    Tc,
}
