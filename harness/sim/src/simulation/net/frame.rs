//! What is on a cable: frames, IP packets, TCP segments, ICMP errors, and the messages of
//! ARP and neighbour discovery.

use super::super::clock::Ns;
use super::super::{NodeId, SockId};
use halfopen_scenario::case::RejectWith;

/// A network address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Addr {
    /// The address that was given to this interface of a node, whoever has it now.
    Of(NodeId, usize),
    /// The link-local address of an interface (IPv6).
    LinkLocal(NodeId, usize),
    /// An address that no node has, in this segment or in none.
    Nobody(Option<usize>),
}

/// An address and a port.
pub(crate) type End = (Addr, u16);

/// A MAC address; a replaced machine has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mac(pub NodeId, pub usize, pub u8);

/// A TCP segment. Sequence numbers count from each end's initial one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub seq: u64,
    pub ack: Option<u64>,
    pub len: u64,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    pub psh: bool,
    pub window: u64,
    /// TSval: when it was sent. None: no time stamps.
    pub sent: Option<Ns>,
    /// TSecr.
    pub echoed: Option<Ns>,
    pub sack: Vec<(u64, u64)>,
    /// Heartbeats and answers in it, by sequence number.
    pub marks: Vec<(u64, u8)>,
    /// All or part of it was sent before.
    pub again: bool,
    /// What it says in words: `keepalive probe`.
    pub probe: bool,
}

impl Segment {
    /// The sequence number after it.
    pub fn end(&self) -> u64 {
        self.seq + self.len + u64::from(self.syn) + u64::from(self.fin)
    }
}

/// An ICMP error and the segment that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IcmpError {
    pub kind: RejectWith,
    pub src: End,
    pub dst: End,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Tcp(Segment),
    Icmp(IcmpError),
}

/// An IP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub src: End,
    pub dst: End,
    pub body: Body,
    /// skb_set_dst_pending_confirm(): who forwards it may confirm its neighbour entry.
    pub confirms: bool,
    /// The socket that sent it, and the sequence number of its buffer, while it waits in
    /// its own host.
    pub owner: Option<(SockId, u64)>,
}

/// ARP, or neighbour discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// Who has `target`?
    Solicit {
        from: Addr,
        target: Addr,
        multicast: bool,
    },
    /// The sender has `target`.
    Advertise {
        target: Addr,
        to: Addr,
        solicited: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    Ip(Packet),
    Discovery(Discovery),
}

/// An Ethernet frame; without a destination it is for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub src: Mac,
    pub dst: Option<Mac>,
    pub payload: Payload,
}
