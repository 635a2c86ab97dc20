//! What the capture saw on the cables.

use indexmap::IndexMap;

/// The packets of a case.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WireRecord {
    /// Counts by kind, of packets as they left their host.
    pub counts: WireCounts,
    /// Every packet, in order of time.
    pub packets: Vec<Packet>,
    /// Packets that the capture lost; when not 0, the counts are too low.
    pub lost_by_capture: u64,
}

/// Counts of packets, as they left their host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[allow(missing_docs)]
pub struct WireCounts {
    pub syn: u32,
    pub syn_ack: u32,
    pub fin: u32,
    pub rst: u32,
    pub data: u32,
    pub psh: u32,
    pub pure_ack: u32,
    pub keepalive_probes: u32,
    pub window_probes: u32,
    pub retransmissions: u32,
    pub arp: u32,
    pub ndp: u32,
    /// By kind: `host-unreachable`.
    pub icmp: IndexMap<String, u32>,
}

/// One packet as it left its host.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Packet {
    /// When it entered the wire.
    pub sent_ns: i64,
    /// When it left the wire towards the next node; None: it was lost on the cable.
    pub delivered_ns: Option<i64>,
    /// The cable it passed, `client-server`.
    pub cable: String,
    /// The node that put it on the cable.
    pub from: String,
    /// Source, `address:port`.
    pub src: String,
    /// Destination.
    pub dst: String,
    /// Its kind: `SYN`, `keepalive-probe`, `data`, `ack`, `arp-request`, `icmp host-unreachable`, ...
    pub kind: String,
    /// TCP flags as letters: `S`, `SA`, `PA`, `F`, `R`, `RA`; empty if not TCP.
    pub flags: String,
    /// TCP sequence number, relative to its connection's first one.
    pub seq: Option<u32>,
    /// TCP acknowledgment number, relative.
    pub ack: Option<u32>,
    /// Bytes of payload.
    pub len: u32,
    /// Bytes of the Ethernet frame, with its header and without its checksum.
    #[cfg_attr(feature = "serde", serde(default))]
    pub frame: u32,
    /// TCP window, as announced (unscaled).
    pub window: Option<u16>,
    /// Whether all or part of its payload was sent before.
    pub retransmission: bool,
}
