//! Cases that were made up for a rule, or by `ci/oracle`, and measured in virtual time.

use std::time::Duration;

use super::wheel::Phase;
use super::{KernelFacts, Version, predict};
use halfopen_scenario::case::{Case, SignKind};

fn errno(name: &str) -> SignKind {
    SignKind::Errno(name.into())
}

/// Whether the sign, and its time within what was predicted, are what was measured.
fn foresaw(case: &Case, kernel: Version, sign: &str, seen: Duration) {
    let said = predict(case, &KernelFacts::new(kernel, 250)).expect("it is predictable");
    assert_eq!(said.sign, errno(sign));
    let intervals: Vec<_> = said.intervals().collect();
    let within = intervals.iter().any(|span| span.contains(seen));
    assert!(within, "{intervals:?}");
}

/// The one case of a scenario file.
fn written(text: &str) -> Case {
    let parsed = halfopen_scenario::parse("written", text).expect("it is a scenario");
    parsed.cases.into_iter().next().expect("it has a case")
}

/// Measured in virtual time: a server whose beats nobody acknowledges says FIN
/// after 4.0 s on 6.1 and 5.10; on 6.12 and 7.3 the FIN waits behind the first beat.
#[test]
fn before_6_10_a_fin_leaves_though_the_window_is_full() {
    let case = written(
        "version: 1
detectors:
  heart: { heartbeat: { every: 1030ms, timeout: 4326ms, answered: false, from: both, on_silence: half_close } }
scenarios:
  fin:
    about: It goes through.
    client: { detector: heart, steps: [connect, { exchange: hello }, { wait_for: lost }, { write: world }, read] }
    server: { detector: heart, steps: [listen, accept, echo] }
    faults:
      - { at: 2369ms, drop: { from: client, to: server }, name: lost }
    watch: [client]
    give_up: 1800s
",
    );
    let sign = |version| {
        let said = predict(&case, &KernelFacts::new(version, 250)).expect("it is predictable");
        said.sign
    };
    assert_eq!(sign(Version(6, 1)), SignKind::Eof);
    assert_eq!(sign(Version(6, 12)), SignKind::HeartbeatLost);
}

/// Measured in virtual time on 6.12 and 7.3, behind a line of 100 ms: 31.960 s
/// after the fault. What the peer sends again, since no acknowledgment comes, is
/// received each time.
#[test]
fn what_the_peer_sends_again_puts_keepalive_off() {
    let case = written(
        "version: 1
detectors:
  patient: { keepalive: { idle: 4s, interval: 2s, count: 4 } }
scenarios:
  deaf:
    about: The answer comes, its acknowledgment does not.
    client: { detector: patient, steps: [connect, { exchange: hello }, read] }
    server: [listen, accept, echo]
    faults:
      - { at: 0s, impair: { cable: client, direction: both, delay: 100ms } }
      - { at: 423ms, drop: { from: client, to: server }, name: fault }
    watch: [client]
    give_up: 1000s
",
    );
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250)).expect("it is predictable");
    assert_eq!(said.sign, errno("ETIMEDOUT"));
    assert!(said.earliest > Duration::from_secs(20), "{said:?}");
}

/// Measured in virtual time on 5.10 to 7.3: a server that hears nothing any more
/// finds its router's address gone 8.2 s after its first packet, and neither its beat
/// (26 s after the fault) nor its RST (69 s) leaves.
#[test]
fn a_deaf_server_forgets_its_router_before_it_resets() {
    let text = |every: &str, timeout: &str| {
        format!(
            "version: 1
detectors:
  heart: {{ heartbeat: {{ every: {every}, timeout: {timeout}, answered: true, from: server, on_silence: reset }} }}
scenarios:
  deaf:
    about: The server hears nothing.
    network: routed
    client: {{ detector: heart, steps: [connect, {{ exchange: hello }}, read] }}
    server: {{ detector: heart, steps: [listen, accept, echo] }}
    faults:
      - {{ at: 788ms, cut: {{ cable: server, carrier: kept, direction: to }}, name: fault }}
    watch: [client]
    give_up: 200s
"
        )
    };
    let sign = |every, timeout| {
        let case = written(&text(every, timeout));
        predict(&case, &KernelFacts::new(Version(6, 12), 250)).map(|said| said.sign)
    };
    assert_eq!(sign("27132ms", "42962ms"), Ok(SignKind::Unnoticed));
    assert_eq!(sign("2s", "3s"), Ok(errno("ECONNRESET")));
    assert!(sign("2s", "6200ms").is_err());
}

/// Measured in virtual time on 6.12 and 7.3: a keepalive probe draws the router's RST at
/// once, on the tick of its timer, however far the server behind it is.
#[test]
fn who_answers_a_probe_decides_how_long_the_answer_takes() {
    let case = written(
        "version: 1
detectors:
  alive: { keepalive: { idle: 30s, interval: 4s, count: 1 } }
scenarios:
  forgotten:
    about: The router has forgotten.
    network: routed
    nat: { inside: client, idle: 20s, on_forgotten: reset }
    client: { detector: alive, steps: [connect, { exchange: hello }, read] }
    server: [listen, accept, echo]
    faults:
      - { at: 0s, impair: { cable: server, direction: both, delay: 1ms } }
      - { at: 600ms, reboot: { host: server, down_for: 5s }, name: fault }
    watch: [client]
    give_up: 200s
",
    );
    let facts = KernelFacts {
        phase: Phase::Known {
            jiffies: 1_000_000,
            into_tick: Duration::ZERO,
        },
        ..KernelFacts::new(Version(6, 12), 250)
    };
    let said = predict(&case, &facts).expect("it is predictable");
    assert_eq!(said.sign, errno("ECONNRESET"));
    assert_eq!(said.earliest.as_micros() % 4_000, 0, "{said:?}");
}

/// A connection over a cable whose client writes when the server's host has crashed,
/// or been replaced by one with another MAC.
fn crash(idle: &str, limit: &str, fault: &str) -> Case {
    written(&format!(
        "version: 1
detectors:
  limited: {{ {limit} }}
scenarios:
  silent:
    about: The connection was silent before.
    client: {{ detector: limited, steps: [connect, {{ exchange: hello }}, {{ wait_for: down }}, {{ write: world }}, read] }}
    server: [listen, accept, echo]
    faults:
      - {{ at: {idle}, netstat: , name: begun }}
      - {{ after: begun, by: 1ms, {fault}, name: fault }}
      - {{ after: begun, by: 2ms, netstat: , name: down }}
    watch: [client]
    give_up: 200s
"
    ))
}

/// Measured in virtual time on 5.10, 6.12 and 7.3, where an entry that was silent for a
/// minute is stale: 20.1 s. After a second of silence it is trusted for too long: 80 of 80
/// ended in ETIMEDOUT.
#[test]
fn a_neighbour_entry_ages_from_its_last_confirmation() {
    let sign = |idle, limit| {
        let case = crash(idle, limit, "crash: server");
        predict(&case, &KernelFacts::new(Version(6, 12), 250))
    };
    let said = sign("60s", "user_timeout: 17s").expect("it is predictable");
    assert_eq!(said.sign, errno("EHOSTUNREACH"));
    let measured = Duration::from_millis(20_100);
    assert!(
        said.intervals().any(|span| span.contains(measured)),
        "{said:?}"
    );
    let said = sign("1s", "user_timeout: 30s").expect("it is predictable");
    assert_eq!(said.sign, errno("ETIMEDOUT"));
    assert!(sign("14s", "user_timeout: 17s").is_err());
}

/// Measured in virtual time on 5.10, 6.12 and 7.3: of 240 cases 107 ended after 54.3 s and
/// 133 after 107.5 s.
#[test]
fn the_new_owner_of_an_address_answers_one_of_two_tries() {
    let fault = "reboot: { host: server, down_for: 5s, mac: new }";
    let case = crash("1s", "", fault);
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250));
    let said = said.expect("it is predictable");
    assert_eq!(said.sign, errno("ECONNRESET"));
    assert_eq!(said.branches.len(), 2, "{said:?}");
    for (span, ms) in said.branches.iter().zip([54_300, 107_500]) {
        assert!(span.contains(Duration::from_millis(ms)), "{said:?}");
        assert!(span.width() < Duration::from_secs(3), "{said:?}");
    }
}

/// Measured in virtual time on 6.12 and 7.3: the first try is lost, the next one arrives,
/// and the kernel of the peer that is stopped answers probes.
#[test]
fn a_filter_that_has_taken_its_packet_takes_no_probe() {
    let case = written(
        "version: 1
detectors:
  alive: { keepalive: { idle: 2s, interval: 1s, count: 3 } }
scenarios:
  stopped:
    about: One packet is lost.
    client: { detector: alive, steps: [connect, { exchange: hello }, { wait_for: lost }, { write: world }, read] }
    server: [listen, accept, echo]
    faults:
      - { at: 300ms, drop: { from: client, to: server, count: 1 }, name: lost }
      - { after: lost, by: 1ms, freeze: server, name: fault }
    watch: [client]
    give_up: 60s
",
    );
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250)).expect("it is predictable");
    assert_eq!(said.sign, SignKind::Unnoticed);
}

/// A router 20 ms away: when a packet comes there is not when it left, and the story
/// once never ended.
#[test]
fn an_entry_of_a_far_router_ages_by_what_comes_there() {
    let case = written(
        "version: 1
detectors:
  limited: { user_timeout: 5350ms }
scenarios:
  far:
    about: The server is gone, and the router's entry is stale by and by.
    network: routed
    family: ipv6
    client: { detector: limited, steps: [connect, { exchange: hello }, { wait_for: fault }, { sleep: 37420ms }, { write: world }, read] }
    server: [listen, accept, echo]
    faults:
      - { at: 0s, impair: { cable: client, direction: both, delay: 20ms } }
      - { at: 403ms, crash: server, name: fault }
    watch: [client]
    give_up: 100s
",
    );
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250)).expect("it is predictable");
    assert_eq!(said.sign, errno("ETIMEDOUT"));
}

/// Measured in virtual time on 5.10 to 7.3: 47.2 s after the fault. The only probe was
/// lost, and counts, although the path is back.
#[test]
fn a_lost_probe_counts_after_the_heal() {
    let case = written(
        "version: 1
detectors:
  once: { keepalive: { idle: 2s, interval: 46s, count: 1 } }
scenarios:
  healed:
    about: One probe meets the outage.
    client: { detector: once, steps: [connect, { exchange: hello }, read] }
    server: [listen, accept, echo]
    faults:
      - { at: 1903ms, cut: { cable: client, carrier: kept, direction: from }, name: fault }
      - { after: fault, by: 877ms, heal: all }
    watch: [client]
    give_up: 303s
",
    );
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250)).expect("it is predictable");
    assert_eq!(said.sign, errno("ETIMEDOUT"));
    let seen = Duration::from_millis(47_200);
    assert!((said.earliest..=said.latest).contains(&seen), "{said:?}");
}

/// Measured on 7.3: 25.256 s. tcp_rto_max_ms is kept in ticks: 1658 ms are 415 of 4 ms, and
/// fifteen retries stand for 22.92 s.
#[test]
fn the_longest_timeout_is_kept_in_ticks() {
    let case = written(
        "version: 1
scenarios:
  ticks:
    about: The longest distance of two retransmissions is no multiple of a tick.
    network: lan
    sysctls: { client: { net.ipv4.tcp_rto_max_ms: 1658 } }
    client: [connect, { exchange: hello }, { wait_for: fault }, { sleep: 277ms }, { write: { bytes: 697 } }, read]
    server: [listen, accept, echo]
    faults: [{ at: 2039ms, interface: { host: server, change: down }, name: fault }]
    watch: [client]
    give_up: 2646s
",
    );
    let before = predict(&case, &KernelFacts::new(Version(6, 12), 250));
    let why = before.expect_err("it cannot be run there").to_string();
    assert!(
        why.ends_with("Linux 6.12 has no net.ipv4.tcp_rto_max_ms, which came with 6.15"),
        "{why}"
    );
    foresaw(
        &case,
        Version(7, 3),
        "ETIMEDOUT",
        Duration::from_millis(25_256),
    );
}

/// Measured on 6.12 and 7.3: 4 m 47 s. The client hears nothing any more, so the RST of
/// the router, which has forgotten the connection before the third probe, does not reach it.
#[test]
fn a_routers_rst_does_not_reach_who_is_deaf() {
    let case = written(
        "version: 1
detectors:
  probes: { keepalive: { idle: 254s, interval: 11s, count: 3, by: sysctl } }
scenarios:
  deaf:
    about: The router forgets, and answers probes of a client that cannot hear it.
    network: routed
    family: ipv6
    nat: { inside: client, idle: 167s, on_forgotten: reset }
    client: { detector: probes, steps: [connect, { exchange: hello }, read] }
    server: [listen, accept, echo]
    faults:
      - { at: 0s, impair: { cable: client, direction: both, delay: 100ms } }
      - { at: 2360ms, cut: { cable: client, carrier: kept, direction: to }, name: fault }
    watch: [client]
    give_up: 10590s
",
    );
    foresaw(&case, Version(6, 12), "ETIMEDOUT", Duration::from_secs(287));
}

/// Measured on 6.12 and 7.3: 8.85 s. The server, which hears nothing more, gives its first
/// unacknowledged beat up.
#[test]
fn a_deaf_server_gives_its_beat_up_before_it_finds_silence() {
    let case = written(
        "version: 1
detectors:
  hearts: { heartbeat: { every: 8184ms, timeout: 45502ms, answered: true, from: both, on_silence: close }, keepalive: { idle: 2023s, interval: 17s, count: 4 } }
  beats: { heartbeat: { every: 8184ms, timeout: 45502ms, answered: true, from: both, on_silence: close } }
scenarios:
  deaf:
    about: One retry, and nobody is heard.
    network: routed
    sysctls: { server: { net.ipv4.tcp_retries2: 1 } }
    server: { detector: hearts, steps: [listen, accept, { exchange: hello }, read] }
    client: { detector: beats, steps: [connect, echo] }
    faults: [{ at: 175ms, cut: { cable: server, carrier: kept, direction: to }, name: fault }]
    watch: [server]
    give_up: 1800s
",
    );
    foresaw(
        &case,
        Version(6, 12),
        "ETIMEDOUT",
        Duration::from_millis(8_850),
    );
}

/// What stays open, with its reason, instead of being predicted wrong.
#[test]
fn what_is_not_known_is_said() {
    let reason = |text: &str| {
        let said = predict(&written(text), &KernelFacts::new(Version(6, 12), 250));
        said.expect_err("it is open").to_string()
    };
    let why = reason(
        "version: 1
scenarios:
  gone:
    about: The listener goes while the client's last segment of the handshake is under way.
    client: [connect, { exchange: hello }, read]
    server: [listen, accept, echo]
    faults:
      - { at: 0s, impair: { cable: client, direction: both, delay: 300ms } }
      - { at: 1036ms, kill: server, name: fault }
    watch: [client]
    give_up: 30s
",
    );
    assert!(why.contains("stops listening while a handshake"), "{why}");
}

/// Measured on a real machine: it ended 5 to 30 ms after the fault in seven runs, and
/// before it in the eighth.
#[test]
fn a_limit_as_long_as_the_faults_delay_is_a_race() {
    let case = written(
        "version: 1
detectors:
  second: { read_timeout: 1s }
scenarios:
  race:
    about: The read begins as the fault's second does.
    client: { detector: second, steps: [connect, { write: hello, mark: connected }, { read: 100 }, read] }
    server: [listen, accept, echo]
    faults: [{ after: connected, by: 1s, freeze: server, name: fault }]
    watch: [client]
    give_up: 9s
",
    );
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250));
    let why = said.expect_err("it is a race").to_string();
    assert!(why.contains("ends by itself before the fault"), "{why}");
}

/// A case in which the client hears beats of a server, each 10 s, and waits for 30 s; the
/// fault is a second after the connection.
fn hears_beats(fault: &str, network: &str) -> Case {
    written(&format!(
        "version: 1
detectors:
  heard: {{ heartbeat: {{ every: 10s, timeout: 30s, from: server }} }}
networks:
  with-standby:
    hosts: [client, server, standby]
    switches: [switch]
    cables: [[client, switch], [server, switch], [standby, switch]]
scenarios:
  heard:
    about: Only the server beats.
    detector: heard
    detector_on: both
    network: {network}
    server: [listen, accept, echo]
    client: [connect, {{ write: hello, mark: connected }}, {{ read: 100 }}, read]
    faults: [{{ after: connected, by: 1s, {fault}, name: fault }}]
    watch: [client]
    give_up: 51s
"
    ))
}

/// Measured on 6.12 and 6.18, by the grid: 9.0 s. The client only acknowledges.
#[test]
fn an_acknowledgment_of_a_beat_may_draw_an_rst() {
    let reset = "reject: { to: server, at: router, with: tcp-reset }";
    let case = hears_beats(reset, "routed");
    foresaw(
        &case,
        Version(6, 12),
        "ECONNRESET",
        Duration::from_millis(9_005),
    );
}

/// Measured on 6.12 and 6.18, by the grid: 28.99 s. A host that has lost its address sends
/// no beat any more (ip_route_output_key_hash_rcu() wants a local source).
#[test]
fn a_server_whose_address_moved_beats_no_more() {
    let moved = "move: { from: server, to: standby, announced: true }";
    let case = hears_beats(moved, "with-standby");
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250)).expect("it is predictable");
    assert_eq!(said.sign, SignKind::HeartbeatLost);
    assert!(said.latest < Duration::from_secs(30), "{said:?}");
}

/// Measured on 6.18 in real time: 30.589 s, where a machine that is never a tick late comes
/// to 30.624 s. A hundred retransmissions, evenly spaced, may all be a little later.
#[test]
fn evenly_spaced_retransmissions_may_shift() {
    let case = written(
        "version: 1
detectors:
  limit: { user_timeout: 30s }
scenarios:
  icmp:
    about: Each try is answered by an error.
    detector: limit
    detector_on: client
    network: routed
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, { wait_for: fault }, { write: world }, read]
    faults: [{ at: 1s, reject: { to: server, at: router, with: net-unreachable }, name: fault }]
    watch: [client]
    give_up: 51s
",
    );
    foresaw(
        &case,
        Version(6, 12),
        "ENETUNREACH",
        Duration::from_millis(30_589),
    );
}
