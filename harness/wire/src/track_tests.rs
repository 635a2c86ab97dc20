//! Tests of the names of segments.

use crate::crafted::{Seg, Traffic};

/// Initial sequence numbers that wrap within the test.
const C0: u32 = 0xffff_fffe;
const S0: u32 = 7_000;

fn c(letters: &str, seq: u32, ack: u32) -> Seg {
    Seg::new(
        "10.0.0.1:4000",
        "10.0.0.2:7",
        letters,
        C0.wrapping_add(seq),
        if letters.contains('A') { S0 + ack } else { 0 },
    )
}

fn s(letters: &str, seq: u32, ack: u32) -> Seg {
    Seg::new(
        "10.0.0.2:7",
        "10.0.0.1:4000",
        letters,
        S0 + seq,
        C0.wrapping_add(ack),
    )
}

fn connected() -> Traffic {
    let mut traffic = Traffic::direct();
    traffic.client(0, c("S", 0, 0));
    traffic.server(1, s("SA", 0, 1));
    traffic.client(2, c("A", 1, 1));
    traffic
}

fn lost(traffic: &mut Traffic, at_ms: i64, segment: Seg) {
    traffic.enters(at_ms, "client", "server", &segment.build());
}

const HANDSHAKE: [&str; 3] = ["client SYN 0,-", "server SYN+ACK 0,1", "client ack 1,1"];

fn after_handshake(traffic: &Traffic) -> Vec<String> {
    let told = traffic.told();
    assert_eq!(told[..3], HANDSHAKE);
    told[3..].to_vec()
}

#[test]
fn exchange_and_close() {
    let mut traffic = connected();
    traffic.client(3, c("PA", 1, 1).len(5));
    traffic.server(4, s("A", 1, 6));
    traffic.server(5, s("PA", 1, 6).len(5));
    traffic.client(6, c("A", 6, 6));
    traffic.client(7, c("FA", 6, 6));
    traffic.server(8, s("FA", 6, 7));
    traffic.client(9, c("A", 7, 7));
    assert_eq!(
        after_handshake(&traffic),
        [
            "client data 1,1 len 5",
            "server ack 1,6",
            "server data 1,6 len 5",
            "client ack 6,6",
            "client FIN 6,6",
            "server FIN 6,7",
            "client ack 7,7",
        ]
    );
    let counts = traffic.record().counts;
    assert_eq!((counts.syn, counts.syn_ack, counts.fin), (1, 1, 2));
    assert_eq!((counts.data, counts.psh, counts.pure_ack), (2, 2, 4));
    assert_eq!(counts.retransmissions, 0);
}

#[test]
fn keepalive_probe_and_its_answer() {
    let mut traffic = connected();
    traffic.client(3, c("PA", 1, 1).len(5));
    traffic.server(4, s("A", 1, 6));
    traffic.client(1_000, c("A", 5, 1).id(2));
    traffic.server(1_001, s("A", 1, 6).id(3));
    lost(&mut traffic, 2_000, c("A", 5, 1).id(4));
    lost(&mut traffic, 3_000, c("A", 5, 1).id(5));
    assert_eq!(
        after_handshake(&traffic)[2..],
        [
            "client keepalive-probe 5,1",
            "server keepalive-ack 1,6",
            "client keepalive-probe 5,1 !",
            "client keepalive-probe 5,1 !",
        ]
    );
    let counts = traffic.record().counts;
    assert_eq!((counts.keepalive_probes, counts.pure_ack), (3, 3));
    assert_eq!(counts.retransmissions, 0);
}

#[test]
fn keepalive_probe_of_an_idle_connection_has_the_syns_number() {
    let mut traffic = connected();
    traffic.client(1_000, c("A", 0, 1));
    assert_eq!(after_handshake(&traffic), ["client keepalive-probe 0,1"]);
}

#[test]
fn a_probe_with_a_byte_of_garbage_is_no_retransmission_of_that_byte() {
    let mut traffic = connected();
    traffic.client(3, c("A", 1, 1).len(1));
    traffic.client(300, c("A", 1, 1).len(1).id(1));
    traffic.server(301, s("A", 1, 2));
    traffic.client(1_000, c("A", 1, 1).len(1).id(2));
    assert_eq!(
        after_handshake(&traffic),
        [
            "client data 1,1 len 1",
            "client data 1,1 len 1 *",
            "server ack 1,2",
            "client keepalive-probe 1,1 len 1 *",
        ]
    );
    assert_eq!(traffic.record().counts.data, 2);
}

#[test]
fn window_probes_while_the_peers_window_is_closed() {
    let mut traffic = connected();
    traffic.client(3, c("A", 1, 1).len(100));
    traffic.server(4, s("A", 1, 101).window(0));
    traffic.client(200, c("A", 100, 1).id(1));
    traffic.server(201, s("A", 1, 101).window(0).id(1));
    // It opens, but the client does not receive that.
    traffic.enters(
        300,
        "server",
        "client",
        &s("A", 1, 101).window(500).id(2).build(),
    );
    lost(&mut traffic, 600, c("A", 100, 1).id(2));
    traffic.server(700, s("A", 1, 101).window(500).id(3));
    traffic.client(1_700, c("A", 100, 1).id(3));
    let told = after_handshake(&traffic);
    let probes: Vec<&str> = told
        .iter()
        .filter(|line| line.contains("probe"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        probes,
        [
            "client window-probe 100,1",
            "client window-probe 100,1 !",
            "client keepalive-probe 100,1",
        ]
    );
    assert_eq!(traffic.record().counts.window_probes, 2);
}

#[test]
fn retransmissions_of_data_syn_and_fin() {
    let mut traffic = Traffic::direct();
    lost(&mut traffic, 0, c("S", 0, 0));
    traffic.client(1_000, c("S", 0, 0).id(1));
    traffic.server(1_001, s("SA", 0, 1));
    traffic.server(2_001, s("SA", 0, 1).id(1));
    traffic.client(2_002, c("A", 1, 1));
    lost(&mut traffic, 2_003, c("PA", 1, 1).len(10));
    lost(&mut traffic, 2_203, c("PA", 1, 1).len(10).id(1));
    // Partly new.
    lost(&mut traffic, 2_603, c("PA", 6, 1).len(10).id(2));
    lost(&mut traffic, 3_000, c("FPA", 16, 1).len(4).id(3));
    lost(&mut traffic, 3_400, c("FPA", 16, 1).len(4).id(4));
    assert_eq!(
        traffic.told(),
        [
            "client SYN 0,- !",
            "client SYN 0,- *",
            "server SYN+ACK 0,1",
            "server SYN+ACK 0,1 *",
            "client ack 1,1",
            "client data 1,1 len 10 !",
            "client data 1,1 len 10 * !",
            "client data 6,1 len 10 * !",
            "client FIN 16,1 len 4 !",
            "client FIN 16,1 len 4 * !",
        ]
    );
    let counts = traffic.record().counts;
    assert_eq!((counts.syn, counts.syn_ack), (2, 2));
    assert_eq!((counts.data, counts.fin, counts.psh), (5, 2, 5));
    assert_eq!(counts.retransmissions, 5);
}

#[test]
fn refused_connection() {
    let mut traffic = Traffic::direct();
    traffic.client(0, c("S", 0, 0));
    let mut reset = s("RA", 0, 1);
    reset.seq = 0;
    traffic.server(1, reset);
    assert_eq!(traffic.told(), ["client SYN 0,-", "server RST+ACK 0,1"]);
    assert_eq!(traffic.record().counts.rst, 1);
}

#[test]
fn reset_by_a_rebooted_peer_keeps_the_numbers() {
    let mut traffic = connected();
    traffic.client(3, c("PA", 1, 1).len(5));
    let mut reset = s("R", 1, 0);
    reset.ack = 0;
    traffic.server(4, reset);
    assert_eq!(
        after_handshake(&traffic),
        ["client data 1,1 len 5", "server RST 1,-"]
    );
}

/// RFC 9293 figure 9: the client crashed, came back, and uses its old port;
/// the server is still in the old connection.
#[test]
fn half_open_connection_is_discovered() {
    let mut traffic = connected();
    traffic.client(3, c("PA", 1, 1).len(5));
    traffic.server(4, s("A", 1, 6));
    const NEW: u32 = 90_000;
    let new = |letters: &str, seq: u32| {
        let mut segment = c(letters, 0, 0);
        segment.seq = NEW + seq;
        segment
    };
    traffic.client(5_000, new("S", 0));
    traffic.server(5_001, s("A", 1, 6).id(9));
    // It answers with what the server acknowledged.
    let mut reset = c("R", 6, 0);
    reset.ack = 0;
    traffic.client(5_002, reset);
    traffic.client(6_000, new("S", 0).id(1));
    let mut answer = s("SA", 0, 0);
    (answer.seq, answer.ack) = (55_000, NEW + 1);
    traffic.server(6_001, answer);
    let mut last = new("A", 1);
    last.ack = 55_001;
    traffic.client(6_002, last);
    assert_eq!(
        after_handshake(&traffic)[2..],
        [
            "client SYN 0,-",
            "server ack 1,6",
            "client RST 6,-",
            "client SYN 0,- *",
            "server SYN+ACK 0,1",
            "client ack 1,1",
        ]
    );
}

#[test]
fn a_reused_port_is_a_new_connection() {
    let mut traffic = connected();
    for (ms, seq) in [(5_000, 400), (5_001, 401)] {
        let mut segment = c(if seq == 400 { "S" } else { "A" }, 0, 0);
        (segment.seq, segment.ack) = (seq, 10_001);
        if seq == 401 {
            let mut answer = s("SA", 0, 0);
            (answer.seq, answer.ack) = (10_000, 401);
            traffic.server(5_000, answer);
        }
        traffic.client(ms, segment);
    }
    assert_eq!(after_handshake(&traffic), HANDSHAKE);
    assert_eq!(traffic.record().counts.retransmissions, 0);
}

#[test]
fn seen_from_the_middle() {
    let mut traffic = Traffic::direct();
    traffic.client(0, c("PA", 500, 900).len(5));
    traffic.server(1, s("A", 900, 505));
    traffic.client(1_000, c("A", 504, 900));
    assert_eq!(
        traffic.told(),
        [
            "client data 0,0 len 5",
            "server ack 0,5",
            "client keepalive-probe 4,0"
        ]
    );
}

/// Two CPUs send segments in the other order: nothing was retransmitted.
#[test]
fn reordered_segments_are_no_retransmissions() {
    let mut traffic = connected();
    traffic.client(3, c("A", 1, 1).len(10));
    traffic.client(4, c("A", 41, 1).len(10));
    traffic.client(5, c("A", 21, 1).len(10));
    traffic.client(6, c("A", 11, 1).len(10));
    traffic.client(7, c("A", 31, 1).len(10));
    traffic.client(8, c("A", 31, 1).len(10).id(1));
    traffic.client(9, c("A", 46, 1).len(10));
    let again: Vec<bool> = after_handshake(&traffic)
        .iter()
        .map(|line| line.ends_with('*'))
        .collect();
    assert_eq!(again, [false, false, false, false, false, true, true]);
}
