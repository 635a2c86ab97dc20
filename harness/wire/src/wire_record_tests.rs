//! Tests of the record of the wire: every packet is counted once, on every topology.

use crate::crafted::{MS, Seg, Traffic, arp};

fn c(letters: &str, seq: u32, ack: u32) -> Seg {
    Seg::new("10.0.0.1:4000", "10.0.1.2:7", letters, 100 + seq, 900 + ack)
}

fn s(letters: &str, seq: u32, ack: u32) -> Seg {
    Seg::new("10.0.1.2:7", "10.0.0.1:4000", letters, 900 + seq, 100 + ack)
}

fn routed() -> Traffic {
    Traffic::new(
        &[("client", "router"), ("router", "server")],
        &[
            ("10.0.0.1", "client"),
            ("10.0.0.254", "router"),
            ("10.0.1.254", "router"),
            ("10.0.1.2", "server"),
        ],
    )
}

/// Over both cables, a millisecond apart; the router decrements the TTL.
fn over_router(traffic: &mut Traffic, ms: i64, from: &str, to: &str, mut segment: Seg) {
    traffic.passes(ms, from, "router", &segment.build());
    segment.ttl -= 1;
    traffic.passes(ms + 1, "router", to, &segment.build());
}

#[test]
fn a_routed_packet_is_shown_twice_and_counted_once() {
    let mut traffic = routed();
    over_router(&mut traffic, 0, "client", "server", c("S", 0, 0));
    over_router(&mut traffic, 10, "server", "client", s("SA", 0, 1));
    over_router(&mut traffic, 20, "client", "server", c("A", 1, 1));
    over_router(
        &mut traffic,
        30,
        "client",
        "server",
        c("PA", 1, 1).len(9).id(1),
    );
    over_router(
        &mut traffic,
        300,
        "client",
        "server",
        c("PA", 1, 1).len(9).id(2),
    );
    assert_eq!(
        traffic.told(),
        [
            "client SYN 0,-",
            "router SYN 0,-",
            "server SYN+ACK 0,1",
            "router SYN+ACK 0,1",
            "client ack 1,1",
            "router ack 1,1",
            "client data 1,1 len 9",
            "router data 1,1 len 9",
            "client data 1,1 len 9 *",
            "router data 1,1 len 9 *",
        ]
    );
    let counts = traffic.record().counts;
    assert_eq!((counts.syn, counts.syn_ack, counts.pure_ack), (1, 1, 1));
    assert_eq!((counts.data, counts.retransmissions), (2, 1));
    let cables: Vec<_> = traffic
        .record()
        .packets
        .into_iter()
        .map(|p| p.cable)
        .collect();
    assert_eq!(cables[..2], ["client-router", "router-server"]);
}

/// The same without a map from addresses to nodes, and without an IP id by which a
/// retransmission differs from its original.
#[test]
fn a_routed_packet_is_recognized_by_its_way() {
    let mut traffic = Traffic::new(&[("client", "router"), ("router", "server")], &[]);
    over_router(&mut traffic, 0, "client", "server", c("PA", 1, 1).len(9));
    over_router(&mut traffic, 300, "client", "server", c("PA", 1, 1).len(9));
    let counts = traffic.record().counts;
    assert_eq!((counts.data, counts.retransmissions), (2, 1));
    assert!(!traffic.told()[1].contains('*') && traffic.told()[3].contains('*'));
}

#[test]
fn a_packet_lost_behind_the_router_did_not_arrive() {
    let mut traffic = routed();
    over_router(&mut traffic, 0, "client", "server", c("A", 1, 1));
    over_router(&mut traffic, 1, "server", "client", s("A", 1, 1).window(0));
    // The server's window opens; that segment is lost on the router's cable to the
    // client.
    let open = s("A", 1, 1).window(500).id(5);
    traffic.passes(10, "server", "router", &open.build());
    traffic.enters(11, "router", "client", &Seg { ttl: 63, ..open }.build());
    over_router(&mut traffic, 100, "client", "server", c("A", 0, 1).id(8));
    assert_eq!(traffic.told()[4..6], ["server ack 0,0", "router ack 0,0 !"]);
    assert_eq!(traffic.record().counts.window_probes, 1);
}

#[test]
fn icmp_counts_where_it_was_made() {
    let mut traffic = routed();
    let segment = c("PA", 1, 1).len(9);
    traffic.passes(0, "client", "router", &segment.build());
    let mut error = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [3; 6])
        .ipv4([10, 0, 0, 254], [10, 0, 0, 1], 64)
        .icmpv4(etherparse::Icmpv4Type::DestinationUnreachable(
            etherparse::icmpv4::DestUnreachableHeader::Host,
        ))
        .write(&mut error, &segment.build()[14..])
        .expect("memory takes it");
    traffic.passes(1, "router", "client", &error);
    let record = traffic.record();
    assert_eq!(record.packets[1].kind, "icmp host-unreachable");
    assert_eq!(record.packets[1].src, "10.0.0.254");
    assert_eq!(record.packets[1].from, "router");
    assert_eq!(record.counts.icmp.get("host-unreachable"), Some(&1));
    assert_eq!(record.counts.data, 1);
}

/// The router hides the client behind 10.0.1.254; the connection is one.
#[test]
fn nat_changes_the_ends_and_not_the_connection() {
    let mut traffic = routed();
    let outside = |segment: Seg| Seg {
        src: "10.0.1.254:61000".parse().expect("an address"),
        ..segment
    };
    let to_outside = |segment: Seg| Seg {
        dst: "10.0.1.254:61000".parse().expect("an address"),
        ..segment
    };
    let out = |traffic: &mut Traffic, ms, segment: Seg| {
        traffic.passes(ms, "client", "router", &segment.build());
        traffic.passes(ms + 1, "router", "server", &outside(segment).build());
    };
    let back = |traffic: &mut Traffic, ms, segment: Seg| {
        traffic.passes(ms, "server", "router", &to_outside(segment.clone()).build());
        traffic.passes(ms + 1, "router", "client", &segment.build());
    };
    out(&mut traffic, 0, c("S", 0, 0));
    back(&mut traffic, 10, s("SA", 0, 1));
    out(&mut traffic, 20, c("A", 1, 1));
    out(&mut traffic, 1_000, c("A", 0, 1).id(4));
    back(&mut traffic, 1_010, s("A", 1, 1).id(5));
    let told = traffic.told();
    let origins: Vec<&String> = told.iter().step_by(2).collect();
    assert_eq!(
        origins,
        [
            "client SYN 0,-",
            "server SYN+ACK 0,1",
            "client ack 1,1",
            "client keepalive-probe 0,1",
            "server keepalive-ack 1,1",
        ]
    );
    let counts = traffic.record().counts;
    assert_eq!((counts.syn, counts.syn_ack), (1, 1));
    assert_eq!((counts.keepalive_probes, counts.pure_ack), (1, 2));
    assert_eq!(counts.retransmissions, 0);
}

#[test]
fn a_switch_floods_a_broadcast_that_counts_once() {
    let mut traffic = Traffic::new(
        &[
            ("client", "switch"),
            ("switch", "server"),
            ("switch", "other"),
        ],
        &[("10.0.0.1", "client")],
    );
    let request = arp(true, [10, 0, 0, 1], [10, 0, 0, 2]);
    for second in 0..3 {
        let ms = second * 1_000;
        traffic.passes(ms, "client", "switch", &request);
        traffic.passes(ms + 1, "switch", "server", &request);
        traffic.passes(ms + 1, "switch", "other", &request);
    }
    let record = traffic.record();
    assert_eq!(record.packets.len(), 9);
    assert_eq!(record.counts.arp, 3);
    assert_eq!(record.packets[0].kind, "arp-request");
    assert_eq!(
        (
            record.packets[0].src.as_str(),
            record.packets[0].dst.as_str()
        ),
        ("10.0.0.1", "10.0.0.2")
    );
}

/// Identical requests, of which the first two are lost: the third is the one
/// that was delivered.
#[test]
fn the_lost_ones_among_equal_frames_stay_lost() {
    let mut traffic = Traffic::direct();
    let request = arp(true, [10, 0, 0, 1], [10, 0, 0, 2]);
    traffic.enters(0, "client", "server", &request);
    traffic.enters(1_000, "client", "server", &request);
    traffic.passes(2_000, "client", "server", &request);
    let delivered: Vec<Option<i64>> = traffic
        .record()
        .packets
        .iter()
        .map(|p| p.delivered_ns)
        .collect();
    assert_eq!(delivered, [None, None, Some(2_000 * MS + 10_000)]);
}

/// A reject rule on the wire answers the SYN: a frame that no node sent leaves by the
/// port where the SYN arrived.
#[test]
fn what_no_node_sent_came_from_the_wire() {
    let mut traffic = Traffic::direct();
    traffic.enters(0, "client", "server", &c("S", 0, 0).build());
    let reset = s("RA", 0, 1).build();
    traffic.seen(20_000, 1, true, &reset);
    assert_eq!(traffic.told(), ["client SYN 0,- !", "wire RST+ACK 0,1"]);
    assert_eq!(traffic.record().counts.rst, 1);
}

#[test]
fn a_segment_cut_on_the_wire_is_delivered_with_its_last_piece() {
    let mut traffic = Traffic::direct();
    traffic.enters(0, "client", "server", &c("PA", 1, 1).len(3_000).build());
    for (us, seq, len) in [(100, 1, 1_448), (200, 1_449, 1_448), (300, 2_897, 104)] {
        traffic.seen(us * 1_000, 2, true, &c("A", seq, 1).len(len).build());
    }
    let record = traffic.record();
    assert_eq!(record.packets.len(), 1);
    assert_eq!(record.packets[0].len, 3_000);
    assert_eq!(record.packets[0].delivered_ns, Some(300_000));
}

#[test]
fn a_duplicate_made_by_the_wire_is_shown_and_not_counted() {
    let mut traffic = Traffic::direct();
    let segment = c("PA", 1, 1).len(5).build();
    traffic.passes(0, "client", "server", &segment);
    traffic.seen(50_000, 2, true, &segment);
    let record = traffic.record();
    let senders: Vec<&str> = record.packets.iter().map(|p| p.from.as_str()).collect();
    assert_eq!(senders, ["client", "wire"]);
    assert!(record.packets.iter().all(|p| !p.retransmission));
    assert_eq!((record.counts.data, record.counts.retransmissions), (1, 0));
}

/// Its receiver drops it: that is a loss, and no packet made by the wire.
#[test]
fn a_flipped_bit_is_a_loss() {
    let mut traffic = Traffic::direct();
    let mut segment = c("PA", 1, 1).len(5).build();
    traffic.enters(0, "client", "server", &segment);
    segment[14 + 20 + 7] ^= 0x04;
    traffic.seen(9_000, 2, true, &segment);
    let record = traffic.record();
    assert_eq!(record.packets.len(), 1);
    assert_eq!(record.packets[0].delivered_ns, None);
}

#[test]
fn a_checksum_filled_in_on_the_way_changes_nothing() {
    let mut traffic = Traffic::direct();
    let mut segment = c("PA", 1, 1).len(5).build();
    traffic.enters(0, "client", "server", &segment);
    segment[14 + 20 + 16] ^= 0x55;
    traffic.seen(9_000, 2, true, &segment);
    assert_eq!(traffic.told(), ["client data 0,0 len 5"]);
}

#[test]
fn frames_of_unknown_ports_and_broken_frames_do_no_harm() {
    let mut traffic = Traffic::direct();
    traffic.seen(0, 99, false, &c("S", 0, 0).build());
    traffic.seen(1, 1, false, &[1, 2, 3]);
    traffic.seen(2, 1, false, &c("S", 0, 0).build()[..40]);
    let record = traffic.record();
    assert_eq!(record.counts, Default::default());
    assert!(record.packets.iter().all(|p| p.kind == "other"));
}
