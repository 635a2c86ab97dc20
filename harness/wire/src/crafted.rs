//! Builds frames for tests that need no privilege.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, PacketBuilder};

use super::frame::{Frame, SNAP};
use super::packet::TcpFlags;
use super::port::PortInfo;
use super::record::{Packet, WireRecord};
use super::wire_record::wire_record;

pub(super) const MS: i64 = 1_000_000;

/// A segment to build.
#[derive(Debug, Clone)]
pub(super) struct Seg {
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
    pub(super) flags: u8,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) len: usize,
    pub(super) window: u16,
    pub(super) id: u16,
    pub(super) ttl: u8,
}

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse()
        .expect("the test's author can spell an address")
}

impl Seg {
    /// `letters` as in a record: `SA`.
    pub(super) fn new(src: &str, dst: &str, letters: &str, seq: u32, ack: u32) -> Seg {
        let flags = letters.chars().fold(0, |bits, letter| {
            bits | match letter {
                'F' => TcpFlags::FIN,
                'S' => TcpFlags::SYN,
                'R' => TcpFlags::RST,
                'P' => TcpFlags::PSH,
                'A' => TcpFlags::ACK,
                other => panic!("no flag {other}"),
            }
        });
        Seg {
            src: addr(src),
            dst: addr(dst),
            flags,
            seq,
            ack,
            len: 0,
            window: 500,
            id: 0,
            ttl: 64,
        }
    }

    pub(super) fn len(self, len: usize) -> Seg {
        Seg { len, ..self }
    }

    pub(super) fn window(self, window: u16) -> Seg {
        Seg { window, ..self }
    }

    pub(super) fn id(self, id: u16) -> Seg {
        Seg { id, ..self }
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let link = PacketBuilder::ethernet2([2; 6], [3; 6]);
        let ip = match (self.src.ip(), self.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut header = etherparse::Ipv4Header::new(
                    0,
                    self.ttl,
                    etherparse::IpNumber::TCP,
                    src.octets(),
                    dst.octets(),
                )
                .expect("short");
                header.identification = self.id;
                link.ip(etherparse::IpHeaders::Ipv4(header, Default::default()))
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => link.ipv6(src.octets(), dst.octets(), self.ttl),
            _ => panic!("two families"),
        };
        let mut header =
            etherparse::TcpHeader::new(self.src.port(), self.dst.port(), self.seq, self.window);
        let flag = |bit| self.flags & bit != 0;
        header.fin = flag(TcpFlags::FIN);
        header.syn = flag(TcpFlags::SYN);
        header.rst = flag(TcpFlags::RST);
        header.psh = flag(TcpFlags::PSH);
        header.ack = flag(TcpFlags::ACK);
        header.acknowledgment_number = self.ack;
        let packet = ip.tcp_header(header);
        let mut bytes = Vec::new();
        packet
            .write(&mut bytes, &vec![b'x'; self.len])
            .expect("memory takes it");
        bytes
    }
}

/// An ARP frame between two IPv4 addresses.
pub(super) fn arp(request: bool, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let packet = etherparse::ArpPacket::new(
        etherparse::ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        etherparse::ArpOperation(if request { 1 } else { 2 }),
        &[2; 6],
        &sender,
        &[0; 6],
        &target,
    )
    .expect("lengths agree");
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2; 6], [0xff; 6])
        .arp(packet)
        .write(&mut bytes)
        .expect("memory takes it");
    bytes
}

/// Frames as a capture would return them.
pub(super) struct Traffic {
    ports: Vec<PortInfo>,
    node_of: BTreeMap<IpAddr, String>,
    frames: Vec<Frame>,
}

impl Traffic {
    /// Cables by their ends; the ports are numbered from 1, left end first.
    pub(super) fn new(cables: &[(&str, &str)], addresses: &[(&str, &str)]) -> Traffic {
        let mut ports = Vec::new();
        for (left, right) in cables {
            for (node, other) in [(left, right), (right, left)] {
                ports.push(PortInfo {
                    ifindex: ports.len() as u32 + 1,
                    cable: format!("{left}-{right}"),
                    node: node.to_string(),
                    other: other.to_string(),
                });
            }
        }
        Traffic {
            ports,
            node_of: addresses
                .iter()
                .map(|(ip, node)| (ip.parse().expect("an address"), node.to_string()))
                .collect(),
            frames: Vec::new(),
        }
    }

    /// client 10.0.0.1 and server 10.0.0.2 on one cable.
    pub(super) fn direct() -> Traffic {
        Traffic::new(
            &[("client", "server")],
            &[("10.0.0.1", "client"), ("10.0.0.2", "server")],
        )
    }

    pub(super) fn seen(&mut self, at_ns: i64, ifindex: u32, outgoing: bool, bytes: &[u8]) {
        self.frames.push(Frame {
            at_ns,
            ifindex,
            outgoing,
            bytes: bytes[..bytes.len().min(SNAP)].to_vec(),
            wire_len: bytes.len() as u32,
            rest: None,
        });
    }

    /// A frame from one end of a cable to the other in 10 us.
    pub(super) fn passes(&mut self, at_ms: i64, from: &str, to: &str, bytes: &[u8]) {
        self.enters(at_ms, from, to, bytes);
        let port = self.port(to, from);
        self.seen(at_ms * MS + 10_000, port, true, bytes);
    }

    /// A frame that a cable loses.
    pub(super) fn enters(&mut self, at_ms: i64, from: &str, to: &str, bytes: &[u8]) {
        let port = self.port(from, to);
        self.seen(at_ms * MS, port, false, bytes);
    }

    /// Over the only cable between client and server.
    pub(super) fn client(&mut self, at_ms: i64, segment: Seg) {
        self.passes(at_ms, "client", "server", &segment.build());
    }

    pub(super) fn server(&mut self, at_ms: i64, segment: Seg) {
        self.passes(at_ms, "server", "client", &segment.build());
    }

    fn port(&self, node: &str, other: &str) -> u32 {
        self.ports
            .iter()
            .find(|p| p.node == node && p.other == other)
            .expect("the traffic has that cable")
            .ifindex
    }

    pub(super) fn record(&self) -> WireRecord {
        wire_record(&self.frames, &self.ports, &self.node_of, 0, 0)
    }

    /// The packets, one a line: `from kind seq,ack len flags`, with `*`
    /// for a retransmission and `!` for one that its cable lost.
    pub(super) fn told(&self) -> Vec<String> {
        self.record().packets.iter().map(line).collect()
    }
}

fn line(packet: &Packet) -> String {
    let number = |n: Option<u32>| n.map_or("-".to_owned(), |n| n.to_string());
    format!(
        "{} {} {},{}{}{}{}",
        packet.from,
        packet.kind,
        number(packet.seq),
        number(packet.ack),
        match packet.len {
            0 => String::new(),
            n => format!(" len {n}"),
        },
        if packet.retransmission { " *" } else { "" },
        if packet.delivered_ns.is_none() {
            " !"
        } else {
            ""
        },
    )
}
