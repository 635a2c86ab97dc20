//! Packets as their headers describe them: what `decode` returns.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A frame's packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Its IP header, if it has one.
    pub ip: Option<Ip>,
    /// What it carries.
    pub kind: Kind,
}

/// The part of an IP header that survives routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ip {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// IPv4 identification; IPv6 has none.
    pub id: Option<u16>,
    /// The protocol that it carries, by IANA's number.
    pub protocol: u8,
}

/// What a packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// ARP for IPv4, RFC 826.
    Arp {
        /// A request; else a reply.
        request: bool,
        /// The sender's address.
        sender: Ipv4Addr,
        /// The address that is asked for, or answered.
        target: Ipv4Addr,
    },
    /// A TCP segment.
    Tcp(Tcp),
    /// An ICMP or ICMPv6 message that is not neighbour discovery.
    Icmp(Icmp),
    /// Neighbour discovery, RFC 4861: a solicitation or an advertisement.
    Ndp {
        /// A solicitation; else an advertisement.
        solicitation: bool,
        /// The address whose link-layer address it is about.
        target: Ipv6Addr,
    },
    /// Anything else, and what could not be read: MLD, router solicitations,
    /// UDP, fragments.
    Other,
}

/// A TCP segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// Source.
    pub src: SocketAddr,
    /// Destination.
    pub dst: SocketAddr,
    /// Sequence number, absolute.
    pub seq: u32,
    /// Acknowledgment number, absolute; without meaning unless ACK is set.
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Bytes of payload, by the IP header's length, not the frame's.
    pub payload_len: u32,
    /// The sender's timestamp option, RFC 7323.
    pub timestamp: Option<u32>,
}

/// TCP flags, as byte 13 of the header has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 0x10;

    /// Whether any of `bits` is set.
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}

impl fmt::Display for TcpFlags {
    /// As letters: `S`, `SA`, `PA`, `FA`, `R`, `RA`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(u8, char); 8] = [
            (TcpFlags::FIN, 'F'),
            (TcpFlags::SYN, 'S'),
            (TcpFlags::RST, 'R'),
            (TcpFlags::PSH, 'P'),
            (TcpFlags::ACK, 'A'),
            (0x20, 'U'),
            (0x40, 'E'),
            (0x80, 'C'),
        ];
        LETTERS
            .iter()
            .filter(|(bit, _)| self.has(*bit))
            .try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// An ICMP or ICMPv6 message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icmp {
    /// 4 or 6.
    pub version: u8,
    /// Type.
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
    /// Its name: `host-unreachable`, `no-route`, `type-9-code-0`.
    pub name: Cow<'static, str>,
    /// The packet that an error is about.
    pub quoted: Option<Quoted>,
}

/// The packet that an ICMP error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quoted {
    /// Its source.
    pub src: IpAddr,
    /// Its destination.
    pub dst: IpAddr,
    /// Its protocol, by IANA's number.
    pub protocol: u8,
    /// Its ports, for TCP and UDP.
    pub ports: Option<(u16, u16)>,
}
