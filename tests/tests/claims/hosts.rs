//! H1, F2, R1, K0: a host crashes, comes back, or is cut off (UNP 5.14, 5.15).

use halfopen_outcome::record::CallResult;

use crate::see::{about, claim, run};

#[test]
fn crash_is_silent() {
    claim(|| {
        for (id, dead) in [
            (
                "host-crash-client-silent/network=link,family=ipv4",
                "server",
            ),
            ("keepalive-by-the-server/detector=none", "client"),
        ] {
            let seen = run(id);
            let asked = seen.fault("crash").asked_ns;
            let said = seen
                .packets()
                .filter(|p| p.from == dead && p.delivered_ns > Some(asked));
            assert_eq!(said.count(), 0, "{seen}");
            assert!(
                !seen.flags().iter().any(|(_, f)| f.contains(['F', 'R'])),
                "{seen}"
            );
            assert!(seen.states("after crash", dead).is_empty(), "{seen}");
        }
    });
}

#[test]
fn h1_kernel_retransmits_ever_more_slowly() {
    claim(|| {
        let seen = run("host-crash-while-writing/detector=none,network=link,family=ipv4");
        let writes = seen.calls("client", "write");
        assert_eq!(
            writes[1].result,
            CallResult::Value(5),
            "the write succeeds{seen}"
        );

        let crashed = seen.fault("crash").effective_ns;
        let data: Vec<_> = seen.kind("data").filter(|p| p.sent_ns > crashed).collect();
        assert!(
            data.iter().all(|p| p.delivered_ns.is_none() && p.len == 5),
            "{seen}"
        );
        assert!(
            !data[0].retransmission && data[1..].iter().all(|p| p.retransmission),
            "{seen}"
        );
        // A tail loss probe, then the timeouts until (2^3 - 1) x 200 ms have
        // passed since the first of them (retransmits_timed_out()).
        assert_eq!(seen.0.wire.counts.retransmissions, 4, "{seen}");
        let sent: Vec<f64> = data.iter().map(|p| p.sent_ns as f64).collect();
        let gaps: Vec<f64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for pair in gaps[1..].windows(2) {
            let growth = pair[1] / pair[0];
            assert!((1.8..2.2).contains(&growth), "{gaps:?}{seen}");
        }
    });
}

#[test]
fn f2_half_open_client_is_established_with_nobody() {
    claim(|| {
        let seen = run("host-crash-client-silent/network=routed,family=ipv6");
        assert_eq!(seen.states("end", "client"), ["ESTABLISHED"], "{seen}");
        assert!(seen.states("end", "server").is_empty(), "{seen}");
        assert_eq!(
            seen.last_call("client"),
            ("read", &CallResult::Blocked),
            "{seen}"
        );
    });
}

#[test]
fn f2_sender_fills_its_buffer_and_blocks() {
    claim(|| {
        let seen = run("host-crash-client-sends-much");
        assert_eq!(
            seen.last_call("client"),
            ("write", &CallResult::Blocked),
            "{seen}"
        );
        let end = seen
            .0
            .netstat
            .last()
            .unwrap_or_else(|| panic!("no netstat{seen}"));
        let queued = end
            .sockets
            .iter()
            .find(|s| s.host == "client")
            .map(|s| s.send_q);
        // Of 20 MB: what tcp_wmem's default, doubled, has room for.
        assert!(
            queued.is_some_and(|bytes| (20_000..200_000).contains(&bytes)),
            "{queued:?}{seen}"
        );
    });
}

#[test]
fn r1_rebooted_host_is_the_same_machine() {
    claim(|| {
        let seen = run("host-reboot-then-write/network=link,family=ipv4");
        let crashed = seen.fault("reboot").effective_ns;
        let since: Vec<_> = seen.packets().filter(|p| p.sent_ns > crashed).collect();
        // The client's neighbour entry is still good: its data arrives unasked.
        let data = since
            .iter()
            .find(|p| p.from == "client")
            .unwrap_or_else(|| panic!("{seen}"));
        assert_eq!(
            (data.kind.as_str(), data.delivered_ns.is_some()),
            ("data", true),
            "{seen}"
        );
        let reset = since
            .iter()
            .find(|p| p.kind == "RST")
            .unwrap_or_else(|| panic!("{seen}"));
        assert_eq!(
            (reset.from.as_str(), reset.seq),
            ("server", data.ack),
            "{seen}"
        );
    });
}

#[test]
fn r1_replaced_host_never_gets_what_is_sent() {
    claim(|| {
        let seen = run("host-replaced/network=lan");
        let back = seen
            .0
            .endpoints
            .iter()
            .any(|e| e.lane == "server" && e.boot == 1);
        assert!(back, "the replacement listens{seen}");
        // It passes the last cable, to a MAC address that nobody has.
        let crashed = seen.fault("reboot").effective_ns;
        let data = seen
            .kind("data")
            .filter(|p| p.sent_ns > crashed && p.cable == "switch-server");
        assert!(data.count() > 2, "{seen}");
        assert_eq!(seen.kind("RST").count(), 0, "{seen}");
    });
}

#[test]
fn k0_idle_connection_carries_no_packet_at_all() {
    claim(|| {
        for id in ["network=link,carrier=kept", "network=routed,carrier=lost"] {
            let seen = run(&format!("idle-connection-outlives-the-cable/{id}"));
            let (cut, healed) = (
                seen.fault("cut").effective_ns,
                seen.fault("healed").asked_ns,
            );
            assert!(about(healed - cut, 1.7), "{seen}");
            let between = seen
                .packets()
                .filter(|p| (cut..healed).contains(&p.sent_ns));
            assert_eq!(between.count(), 0, "{seen}");
            assert_eq!(
                seen.last_call("client"),
                ("read", &CallResult::Value(10)),
                "{seen}"
            );
        }
    });
}

#[test]
fn frozen_process_has_a_kernel_that_answers() {
    claim(|| {
        let seen = run("process-frozen/detector=keepalive-1-1-2");
        let frozen = seen.fault("freeze").effective_ns;
        let answers = seen
            .kind("keepalive-ack")
            .filter(|p| p.sent_ns > frozen && p.from == "server");
        assert!(answers.count() >= 2, "{seen}");
        assert_eq!(seen.states("end", "client"), ["ESTABLISHED"], "{seen}");
    });
}
