//! Decodes frames: reads the headers, and interprets nothing. `crossing`, `track` and
//! `wire_record` use the result.

use std::net::{Ipv4Addr, SocketAddr};

use etherparse::{
    EtherType, LaxIpSlice, LaxNetSlice, LaxSlicedPacket, TcpOptionElement, TcpSlice, TransportSlice,
};

use super::icmp::{v4_name, v6_name};
use super::packet::{Decoded, Icmp, Ip, Kind, Quoted, Tcp, TcpFlags};

/// Decodes a frame. `bytes` may be truncated (see [`super::frame::SNAP`]) and may
/// be padded; `wire_len` is the frame's full length.
pub fn decode(bytes: &[u8], wire_len: u32) -> Decoded {
    let other = Decoded {
        ip: None,
        kind: Kind::Other,
    };
    let Ok(packet) = LaxSlicedPacket::from_ethernet(bytes) else {
        return other;
    };
    // With an IP length of 0 the frame's length is used: GSO above 64 KiB (BIG TCP)
    // leaves the field empty.
    let l3_len = wire_len.saturating_sub(ETHERNET);
    let (ip, ip_payload_len) = match &packet.net {
        Some(LaxNetSlice::Arp(arp)) => {
            return Decoded {
                ip: None,
                kind: arp_kind(arp).unwrap_or(Kind::Other),
            };
        }
        Some(LaxNetSlice::Ipv4(v4)) => {
            let header = v4.header();
            let ip = Ip {
                src: header.source_addr().into(),
                dst: header.destination_addr().into(),
                id: Some(header.identification()),
                protocol: v4.payload_ip_number().0,
            };
            let total = match header.total_len() {
                0 => l3_len,
                n => u32::from(n),
            };
            (ip, total.saturating_sub(u32::from(header.ihl()) * 4))
        }
        Some(LaxNetSlice::Ipv6(v6)) => {
            let header = v6.header();
            let ip = Ip {
                src: header.source_addr().into(),
                dst: header.destination_addr().into(),
                id: None,
                protocol: v6.payload().ip_number.0,
            };
            let after = match header.payload_length() {
                0 => l3_len.saturating_sub(40),
                n => u32::from(n),
            };
            (
                ip,
                after.saturating_sub(v6.extensions().slice().len() as u32),
            )
        }
        None => return other,
    };
    let kind = match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Kind::Tcp(tcp_segment(&ip, tcp, ip_payload_len)),
        Some(TransportSlice::Icmpv4(icmp)) => Kind::Icmp(Icmp {
            version: 4,
            icmp_type: icmp.type_u8(),
            code: icmp.code_u8(),
            name: v4_name(icmp.type_u8(), icmp.code_u8()),
            quoted: matches!(icmp.type_u8(), 3 | 4 | 5 | 11 | 12)
                .then(|| icmp.slice().get(8..).and_then(quoted))
                .flatten(),
        }),
        Some(TransportSlice::Icmpv6(icmp)) => icmpv6(icmp),
        _ => Kind::Other,
    };
    Decoded { ip: Some(ip), kind }
}

const ETHERNET: u32 = 14;

fn arp_kind(arp: &etherparse::ArpPacketSlice<'_>) -> Option<Kind> {
    if arp.proto_addr_type() != EtherType::IPV4 {
        return None;
    }
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).map(Ipv4Addr::from).ok();
    Some(Kind::Arp {
        request: match arp.operation().0 {
            1 => true,
            2 => false,
            _ => return None,
        },
        sender: address(arp.sender_protocol_addr())?,
        target: address(arp.target_protocol_addr())?,
    })
}

fn tcp_segment(ip: &Ip, tcp: &TcpSlice<'_>, ip_payload_len: u32) -> Tcp {
    let timestamp = tcp.options_iterator().find_map(|option| match option {
        Ok(TcpOptionElement::Timestamp(sender, _)) => Some(sender),
        _ => None,
    });
    Tcp {
        src: SocketAddr::new(ip.src, tcp.source_port()),
        dst: SocketAddr::new(ip.dst, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        // Byte 13: the slice holds a whole header of at least 20.
        flags: TcpFlags(tcp.slice().get(13).copied().unwrap_or(0)),
        window: tcp.window_size(),
        payload_len: ip_payload_len.saturating_sub(u32::from(tcp.data_offset()) * 4),
        timestamp,
    }
}

fn icmpv6(icmp: &etherparse::Icmpv6Slice<'_>) -> Kind {
    let (kind, code) = (icmp.type_u8(), icmp.code_u8());
    match kind {
        // Multicast listeners (RFC 2710, RFC 3810) and routers (RFC 4861): sent by every
        // interface that comes up.
        130..=134 | 143 => Kind::Other,
        135 | 136 => match icmp
            .slice()
            .get(8..24)
            .map(<[u8; 16]>::try_from)
            .and_then(Result::ok)
        {
            Some(target) => Kind::Ndp {
                solicitation: kind == 135,
                target: target.into(),
            },
            None => Kind::Other,
        },
        _ => Kind::Icmp(Icmp {
            version: 6,
            icmp_type: kind,
            code,
            name: v6_name(kind, code),
            // Types below 128 are errors, RFC 4443 2.1.
            quoted: (kind < 128)
                .then(|| icmp.slice().get(8..).and_then(quoted))
                .flatten(),
        }),
    }
}

/// The start of a packet. An error has to quote only 8 bytes beyond the IP header
/// (RFC 792): the ports, not the whole TCP header.
fn quoted(bytes: &[u8]) -> Option<Quoted> {
    let (ip, _) = LaxIpSlice::from_slice(bytes).ok()?;
    let protocol = ip.payload_ip_number().0;
    let payload = ip.payload().payload;
    let ports = match (protocol, payload) {
        (6 | 17, [s1, s2, d1, d2, ..]) => Some((
            u16::from_be_bytes([*s1, *s2]),
            u16::from_be_bytes([*d1, *d2]),
        )),
        _ => None,
    };
    Some(Quoted {
        src: ip.source_addr(),
        dst: ip.destination_addr(),
        protocol,
        ports,
    })
}

/// A frame's bytes without its TCP or UDP checksum: equal on both ports of a cable,
/// even if the checksum was filled in between them.
pub(super) fn identity(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let (l4, protocol) = match (bytes.get(12..14), bytes.get(14)) {
        (Some([0x08, 0x00]), Some(first)) => (14 + usize::from(first & 0x0f) * 4, bytes.get(23)),
        (Some([0x86, 0xdd]), Some(_)) => (54, bytes.get(20)),
        _ => return out,
    };
    let checksum = match protocol {
        Some(6) => l4 + 16,
        Some(17) => l4 + 6,
        _ => return out,
    };
    if let Some(field) = out.get_mut(checksum..checksum + 2) {
        field.fill(0);
    }
    out
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
