//! K1, K2, K3, K5, K8, K14: keepalive on the wire (TCPv1 23).

use halfopen_outcome::record::Packet;

use crate::see::{Seen, about, claim, run};

fn probes<'a>(seen: &'a Seen, from: &'a str) -> Vec<&'a Packet> {
    seen.kind("keepalive-probe")
        .filter(|p| p.from == from)
        .collect()
}

#[test]
fn k1_k14_probe_is_one_before_the_next_byte_and_is_answered() {
    claim(|| {
        let seen = run("keepalive-peer-alive/family=ipv4");
        let sent = seen.kind("data").find(|p| p.from == "client");
        let sent = sent.unwrap_or_else(|| panic!("{seen}"));
        let next = sent.seq.map(|seq| seq + sent.len);
        let probes = probes(&seen, "client");
        assert!((3..=4).contains(&probes.len()), "one a second{seen}");
        for probe in &probes {
            assert_eq!(probe.seq.map(|seq| seq + 1), next, "{seen}");
            assert_eq!((probe.len, probe.flags.as_str()), (0, "A"), "{seen}");
            let answer = seen
                .packets()
                .find(|p| p.sent_ns > probe.sent_ns && p.from == "server");
            let answer = answer.unwrap_or_else(|| panic!("no answer{seen}"));
            assert_eq!((answer.ack, answer.len), (next, 0), "{seen}");
        }
        assert!(
            about(probes[1].sent_ns - probes[0].sent_ns, 1.0),
            "the timer is set anew{seen}"
        );
    });
}

#[test]
fn k2_crashed_peer_gets_two_probes_and_a_reset() {
    claim(|| {
        let seen = run("keepalive-peer-crashed/network=link,family=ipv4,detector_on=client");
        assert_eq!(probes(&seen, "client").len(), 2, "{seen}");
        // tcp_send_active_reset() in tcp_keepalive_timer().
        let last = seen.packets().last().unwrap_or_else(|| panic!("{seen}"));
        assert_eq!(
            (last.from.as_str(), last.flags.as_str()),
            ("client", "RA"),
            "{seen}"
        );
    });
}

#[test]
fn k2_no_probe_is_on_the_wire_when_the_peer_does_not_resolve() {
    claim(|| {
        for (family, question) in [("ipv4", "arp-request"), ("ipv6", "neighbour-solicitation")] {
            let seen = run(&format!(
                "keepalive-peer-crashed-unresolved/family={family}"
            ));
            let crashed = seen.fault("crash").effective_ns;
            let since: Vec<_> = seen.packets().filter(|p| p.sent_ns > crashed).collect();
            let asked = since
                .iter()
                .filter(|p| p.kind == question && p.from == "client");
            assert!(asked.count() >= 3, "{seen}");
            assert!(
                since.iter().all(|p| p.flags.is_empty()),
                "no TCP at all{seen}"
            );
            assert_eq!(seen.0.wire.counts.keepalive_probes, 0, "{seen}");
        }
    });
}

#[test]
fn k3_first_probe_draws_the_reset() {
    claim(|| {
        let seen = run("keepalive-peer-rebooted/network=link,family=ipv6");
        let probes = probes(&seen, "client");
        let reset = seen.kind("RST").find_map(|p| p.delivered_ns);
        assert_eq!(probes.len(), 1, "{seen}");
        assert!(reset.is_some_and(|at| at > probes[0].sent_ns), "{seen}");
    });
}

#[test]
fn k5_probe_waits_a_full_idle_time_after_data_either_way() {
    claim(|| {
        for from in ["client", "server"] {
            let seen = run(&format!("keepalive-put-off-by-data/data_from={from}"));
            let data = seen.kind("data").last().unwrap_or_else(|| panic!("{seen}"));
            assert!(data.sent_ns > 1_400_000_000, "the data come late{seen}");
            let probe = probes(&seen, "client")[0];
            assert!(about(probe.sent_ns - data.sent_ns, 2.0), "{seen}");
        }
    });
}

#[test]
fn k8_each_end_probes_by_its_own_settings() {
    claim(|| {
        let seen = run("keepalive-on-both-ends/end=server");
        let (client, server) = (probes(&seen, "client"), probes(&seen, "server"));
        assert_eq!((client.len(), server.len()), (2, 3), "{seen}");
        // Both are cut off from the same moment on, having heard each other then.
        let heard = seen.packets().filter_map(|p| p.delivered_ns).max();
        let heard = heard.unwrap_or_else(|| panic!("{seen}"));
        assert!(about(client[0].sent_ns - heard, 1.0), "{seen}");
        assert!(about(server[0].sent_ns - heard, 2.0), "{seen}");
    });
}
