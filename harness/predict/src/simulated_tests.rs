//! What only the simulation predicts, against what was measured in virtual time on 5.10,
//! 6.1, 6.12 and 7.3.

use std::time::Duration;

use crate::{KernelFacts, Prediction, Version, predict};
use halfopen_scenario::case::SignKind;

const KERNELS: [Version; 4] = [Version(5, 10), Version(6, 1), Version(6, 12), Version(7, 3)];

fn predicted(scenario: &str) -> Vec<Prediction> {
    let text = format!("version: 1\nscenarios:\n  it:\n    about: It.\n{scenario}");
    let parsed = halfopen_scenario::parse("test", &text).expect("a scenario");
    KERNELS
        .into_iter()
        .map(|version| {
            let facts = KernelFacts::new(version, 250);
            predict(&parsed.cases[0], &facts).expect("it is predictable")
        })
        .collect()
}

fn shows(said: &Prediction, sign: &SignKind, ms: std::ops::RangeInclusive<u64>) -> bool {
    let (first, last) = (
        Duration::from_millis(*ms.start()),
        Duration::from_millis(*ms.end()),
    );
    said.sign == *sign && said.earliest >= first && said.latest <= last
}

/// The FIN of a killed process is sent again when the path is back, as data is.
#[test]
fn a_fin_is_sent_again_after_the_heal() {
    let all = predicted(
        "    server: [listen, accept, { read: 100 }, { sleep: 1h }]
    client: [connect, { write: hello }, read]
    faults:
      - { at: 300ms, cut: server }
      - { at: 500ms, kill: server }
      - { at: 1s, heal: cut }
    give_up: 6s
",
    );
    for said in all {
        // Loss probe, first and second retransmission: 204, 412 and 836 ms after the kill.
        assert!(shows(&said, &SignKind::Eof, 1_000..=1_100), "{said:?}");
        assert!(said.because.contains("sent again"), "{}", said.because);
    }
}

/// A drop that takes one packet loses one FIN.
#[test]
fn a_fin_that_is_lost_once_arrives_later() {
    let all = predicted(
        "    server: [listen, accept, { read: 100 }, { sleep: 1h }]
    client: [connect, { write: hello }, read]
    faults:
      - { at: 300ms, drop: { from: server, flags: [FIN], count: 1 }, name: lossy }
      - { at: 500ms, kill: server }
    give_up: 6s
",
    );
    for said in all {
        assert!(shows(&said, &SignKind::Eof, 400..=420), "{said:?}");
    }
}

/// conntrack keeps a half-closed connection for 60 s, whatever the router's idle time is.
#[test]
fn a_router_forgets_a_half_closed_connection() {
    let all = predicted(
        "    network: routed
    nat: { inside: client, on_forgotten: silence }
    sysctls: { server: { net.ipv4.tcp_retries2: 3 } }
    server: [listen, accept, { read: 100 }, { sleep: 70s }, { write: answer }, { sleep: 20s }]
    client: [connect, { write: request }, half_close, { read: 100 }, { sleep: 1h }]
    watch: [client]
    give_up: 4m
    clock: virtual
",
    );
    for said in all {
        assert_eq!(said.sign, SignKind::Unnoticed, "{said:?}");
    }
}

/// Two answers to keepalive probes are lost, and the third one arrives.
#[test]
fn keepalive_outlives_a_filter_that_takes_two_packets() {
    let scenario = |count: u32| {
        format!(
            "    server: [listen, accept, echo]
    client: [connect, {{ exchange: hi }}, read]
    faults: [{{ at: 300ms, drop: {{ from: server, count: {count} }} }}]
    give_up: 20s
"
        )
    };
    let keepalive = |count| {
        let text = scenario(count);
        let text = format!(
            "version: 1
detectors:
  ka: {{ keepalive: {{ idle: 2s, interval: 1s, count: 3 }} }}
scenarios:
  it:
    about: It.
    detector: ka
    detector_on: client
{text}"
        );
        let parsed = halfopen_scenario::parse("test", &text).expect("a scenario");
        predict(&parsed.cases[0], &KernelFacts::new(Version(6, 12), 250)).expect("predictable")
    };
    assert_eq!(keepalive(2).sign, SignKind::Unnoticed);
    let dead = keepalive(3);
    assert_eq!(dead.sign, SignKind::Errno("ETIMEDOUT".into()), "{dead:?}");
}
