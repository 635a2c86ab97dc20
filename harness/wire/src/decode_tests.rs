//! Tests of decoding.

use super::*;
use crate::crafted::{Seg, addr, arp};

fn tcp(bytes: &[u8], wire_len: u32) -> Tcp {
    match decode(bytes, wire_len).kind {
        Kind::Tcp(tcp) => tcp,
        other => panic!("no TCP: {other:?}"),
    }
}

#[test]
fn payload_length_is_the_ip_headers() {
    for (src, dst) in [
        ("10.0.0.1:4000", "10.0.0.2:7"),
        ("[fd00::1]:4000", "[fd00::2]:7"),
    ] {
        let segment = Seg::new(src, dst, "PA", 5, 6).len(1_000).window(77);
        let bytes = segment.build();
        let whole = tcp(&bytes, bytes.len() as u32);
        assert_eq!((whole.src, whole.dst), (addr(src), addr(dst)));
        assert_eq!((whole.seq, whole.ack, whole.window), (5, 6, 77));
        assert_eq!(whole.payload_len, 1_000);
        assert_eq!(whole.flags.to_string(), "PA");
        // Truncated to the snap length.
        assert_eq!(tcp(&bytes[..256], bytes.len() as u32), whole);
        // Padded to the minimum length of Ethernet.
        let mut short = Seg::new(src, dst, "A", 5, 6).build();
        short.resize(100, 0);
        assert_eq!(tcp(&short, 100).payload_len, 0);
    }
}

/// Above 64 KiB the IP header's length is 0 (BIG TCP).
#[test]
fn payload_length_of_a_frame_too_large_for_its_field() {
    let mut bytes = Seg::new("10.0.0.1:1", "10.0.0.2:2", "A", 0, 0).build();
    bytes[16..18].fill(0);
    assert_eq!(tcp(&bytes, 14 + 40 + 100_000).payload_len, 100_000);
}

#[test]
fn timestamp_option() {
    let mut header = etherparse::TcpHeader::new(1, 2, 3, 4);
    header
        .set_options(&[
            etherparse::TcpOptionElement::Noop,
            etherparse::TcpOptionElement::Timestamp(11, 22),
        ])
        .expect("they fit");
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [3; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp_header(header)
        .write(&mut bytes, b"abc")
        .expect("memory takes it");
    let tcp = tcp(&bytes, bytes.len() as u32);
    assert_eq!((tcp.timestamp, tcp.payload_len), (Some(11), 3));
}

#[test]
fn arp_is_read() {
    let kind = |request| {
        let bytes = arp(request, [10, 0, 0, 1], [10, 0, 0, 2]);
        decode(&bytes, bytes.len() as u32).kind
    };
    for request in [true, false] {
        assert_eq!(
            kind(request),
            Kind::Arp {
                request,
                sender: Ipv4Addr::new(10, 0, 0, 1),
                target: Ipv4Addr::new(10, 0, 0, 2),
            }
        );
    }
}

#[test]
fn icmp_quotes_the_packet_it_is_about() {
    let about = Seg::new("10.0.0.1:4000", "10.0.1.2:7", "A", 1, 1).build();
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [3; 6])
        .ipv4([10, 0, 0, 254], [10, 0, 0, 1], 64)
        .icmpv4_raw(3, 13, [0; 4])
        // RFC 792: the header and 8 bytes.
        .write(&mut bytes, &about[14..14 + 28])
        .expect("memory takes it");
    let Kind::Icmp(icmp) = decode(&bytes, bytes.len() as u32).kind else {
        panic!("no ICMP");
    };
    assert_eq!((icmp.version, icmp.name.as_ref()), (4, "admin-prohibited"));
    assert_eq!(
        icmp.quoted,
        Some(Quoted {
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 1, 2].into(),
            protocol: 6,
            ports: Some((4000, 7)),
        })
    );
}

fn icmpv6(kind: u8, code: u8, body: &[u8]) -> Kind {
    let mut bytes = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [3; 6])
        .ipv6([0xfd; 16], [0xfc; 16], 255)
        .icmpv6_raw(kind, code, [0; 4])
        .write(&mut bytes, body)
        .expect("memory takes it");
    decode(&bytes, bytes.len() as u32).kind
}

#[test]
fn icmpv6_errors_neighbours_and_noise() {
    let about = Seg::new("[fd00::1]:4000", "[fd00::2]:7", "A", 1, 1).build();
    let Kind::Icmp(icmp) = icmpv6(1, 3, &about[14..]) else {
        panic!("no ICMP");
    };
    assert_eq!(icmp.name, "address-unreachable");
    assert_eq!(icmp.quoted.and_then(|q| q.ports), Some((4000, 7)));
    for (kind, solicitation) in [(135, true), (136, false)] {
        assert_eq!(
            icmpv6(kind, 0, &[0xfd; 16]),
            Kind::Ndp {
                solicitation,
                target: [0xfd; 16].into()
            }
        );
    }
    // A router solicitation, an MLDv2 report.
    for noise in [133, 143] {
        assert_eq!(icmpv6(noise, 0, &[0; 8]), Kind::Other);
    }
    // A solicitation without its target.
    assert_eq!(icmpv6(135, 0, &[]), Kind::Other);
}

/// No prefix of a frame makes it panic.
#[test]
fn cut_frames_are_read_as_far_as_they_go() {
    let about = Seg::new("[fd00::1]:4000", "[fd00::2]:7", "PA", 1, 1)
        .len(9)
        .build();
    for bytes in [about, arp(true, [1; 4], [2; 4])] {
        for end in 0..bytes.len() {
            decode(&bytes[..end], bytes.len() as u32);
            identity(&bytes[..end]);
        }
    }
}
