//! Whole cases: the catalogue's rows that stand for a rule, by their words.

use std::time::Duration;

use super::wheel::Phase;
use super::{KernelFacts, Prediction, RuleId, Version, predict};
use crate::scenario::case::{Action, Case, Event, Happening, Impairment, Lane, SignKind};

const CATALOGUE: &str = include_str!("../../../scenarios.yaml");

fn cases() -> Vec<Case> {
    let parsed = crate::scenario::parse("scenarios.yaml", CATALOGUE);
    parsed.expect("the catalogue that ships is right").cases
}

fn at_hz(hz: u32, id: &str) -> Prediction {
    let cases = cases();
    let case = cases
        .iter()
        .find(|c| c.id == id)
        .expect("the case is there");
    predict(case, &KernelFacts::new(Version(6, 12), hz)).expect("it is predictable")
}

fn errno(name: &str) -> SignKind {
    SignKind::Errno(name.into())
}

/// What chance decides, or more connections than one.
fn beyond_the_rules(case: &Case) -> bool {
    let more = |action: &Action| matches!(action, Action::Connect { count, .. } if *count > 1);
    // How entries age under other sysctls nobody has told the rules, and much of a bad line is chance;
    // how long programs take to begin is the machine's.
    let chance = |e: &Event| match &e.happening {
        Happening::Restart { .. } => true,
        Happening::Impair(impair) => {
            let line = &impair.line;
            let only_longer = Impairment {
                delay: line.delay,
                ..Impairment::default()
            };
            *line != only_longer
        }
        _ => false,
    };
    if case.scenario == "vip-moves-unannounced-until-arp-ages" || case.events.iter().any(chance) {
        return true;
    }
    // A FIN and data are sent again at once when the cable is mended.
    if case.scenario == "heartbeat-late-seen-by-the-client" && !case.id.ends_with("reset") {
        return true;
    }
    let steps = |lane: &Lane| lane.steps.iter().any(|step| more(&step.action));
    case.lanes.iter().any(steps)
}

/// Every case of the catalogue is decided by the rules, and as the catalogue
/// expects; it leaves out what chance decides.
#[test]
fn the_whole_catalogue_on_every_kernel() {
    for (version, hz) in [
        (Version(5, 10), 250),
        (Version(6, 1), 1000),
        (Version(6, 18), 250),
    ] {
        for case in cases() {
            let said = predict(&case, &KernelFacts::new(version, hz));
            if beyond_the_rules(&case) {
                assert!(said.is_err(), "{} is none of the kernel's", case.id);
                continue;
            }
            let said = said.unwrap_or_else(|e| panic!("{}: {e}", case.id));
            if let Some(expect) = &case.expect {
                assert_eq!(said.sign, expect.sign, "{} on {version}", case.id);
            }
        }
    }
}

/// Measured in virtual time on 6.12, behind a line of 80 ms each way.
#[test]
fn a_long_line_moves_timers_by_what_tcp_has_measured_of_it() {
    let crash = |detector| {
        at_hz(
            250,
            &format!("crash-behind-a-long-line/detector={detector}"),
        )
    };
    for (detector, ms) in [
        ("none", 7_748),
        ("keepalive-1-1-2", 2_821),
        ("user-timeout-2s", 3_797),
    ] {
        let said = crash(detector);
        let measured = Duration::from_millis(ms);
        let inside = said.intervals().any(|span| span.contains(measured));
        assert!(inside, "{detector}: {said:?}");
        assert!(said.latest - said.earliest < Duration::from_millis(400));
    }
    assert!(crash("none").rules.contains(&RuleId::RoundTrip));
}

#[test]
fn what_programs_see_without_a_timer_of_the_kernel() {
    let read = at_hz(250, "process-killed-client-polls-both");
    assert_eq!(read.sign, SignKind::PollHangup);
    let limit = at_hz(250, "host-crash-client-reads-with-a-limit/detector=poll-1s");
    assert_eq!(limit.sign, SignKind::Timeout);
    assert_eq!(limit.earliest, Duration::from_secs(1));
}

/// RFC 6069 in IPv4: the same silence takes half as long with ICMP errors.
#[test]
fn icmp_errors_end_it_sooner_in_ipv4() {
    let id = |family| {
        format!(
            "router-answers-unreachable/icmp=host-unreachable,errno=EHOSTUNREACH,family={family}"
        )
    };
    let (v4, v6) = (at_hz(250, &id("ipv4")), at_hz(250, &id("ipv6")));
    assert_eq!(
        (&v4.sign, &v6.sign),
        (&errno("EHOSTUNREACH"), &errno("EHOSTUNREACH"))
    );
    assert!(v4.latest < Duration::from_secs(2) && v6.earliest > Duration::from_secs(3));
}

#[test]
fn reasons_can_be_followed() {
    let said = at_hz(250, "keepalive-default-values/detector=keepalive-60-20-3");
    assert!(
        said.because.starts_with("idle 60 s + 3 x 20 s = 120 s"),
        "{}",
        said.because
    );
    assert!(!said.rules.is_empty());
}

/// Back-off: two seconds away, a retransmission at 3.3 s; and a user timeout
/// that is shorter than the outage has nothing to recover.
#[test]
fn the_first_byte_after_an_outage_waits_for_a_retransmission() {
    let lived = at_hz(250, "outage-while-sending/outage=2s,detector=none");
    let byte = lived.first_byte.expect("it gets through");
    assert_eq!(lived.sign, SignKind::Unnoticed);
    assert!(byte.earliest > Duration::from_millis(1_200), "{byte:?}");
    assert!(byte.latest < Duration::from_millis(1_400), "{byte:?}");
    let died = at_hz(
        250,
        "outage-while-sending/outage=4s,detector=user-timeout-2s",
    );
    assert_eq!((died.sign, died.first_byte), (errno("ETIMEDOUT"), None));
}

#[test]
fn a_router_that_forgets_is_the_reason() {
    let id =
        |detector| format!("nat-forgets-between-probes/on_forgotten=reset,detector={detector}");
    let finds_out = at_hz(250, &id("keepalive-3-1-3"));
    assert!(
        finds_out.because.contains("router"),
        "{}",
        finds_out.because
    );
    assert!(finds_out.rules.contains(&RuleId::RouterMemory));
    let keeps = at_hz(1000, &id("keepalive-1-1-2"));
    assert!(keeps.because.contains("router"), "{}", keeps.because);
}

/// A probe that the timer wheel may put on either side of the router's limit.
#[test]
fn a_probe_as_late_as_the_router_forgets_is_not_predicted() {
    let cases = cases();
    let id = "nat-forgets-between-probes/on_forgotten=reset,detector=keepalive-3-1-3";
    let mut case = cases
        .iter()
        .find(|c| c.id == id)
        .expect("it is there")
        .clone();
    let kernel = KernelFacts::new(Version(6, 12), 250);
    for (idle, predictable) in [(2, true), (3, true), (4, true)] {
        case.network.nats[0].idle = Duration::from_secs(idle);
        assert_eq!(predict(&case, &kernel).is_ok(), predictable, "{idle} s");
    }
    // 3 s and a granule of 256 ms.
    case.network.nats[0].idle = Duration::from_millis(3_100);
    assert!(predict(&case, &kernel).is_err());
}

/// Heartbeats: by who misses what, and how the program looks.
#[test]
fn heartbeats_count_from_the_last_beat_that_was_heard() {
    let after = |id: &str| {
        let said = at_hz(250, id);
        assert_eq!(said.sign, SignKind::HeartbeatLost, "{id}");
        assert!(said.rules.contains(&RuleId::Heartbeat), "{id}");
        (said.lane.unwrap_or_default(), said.earliest, said.latest)
    };
    let ms = Duration::from_millis;
    for (id, lane, from, to) in [
        (
            "heartbeat-one-way/detector=one-way,fault=crash",
            "server",
            800,
            805,
        ),
        (
            "heartbeat-one-way/detector=one-way-polled,fault=cut",
            "server",
            1300,
            1305,
        ),
        (
            "frozen-what-each-detector-sees/detector=answered",
            "client",
            1100,
            1105,
        ),
        (
            "frozen-what-each-detector-sees/detector=answered-three-misses",
            "client",
            1000,
            1005,
        ),
        (
            "frozen-what-each-detector-sees/detector=both-ways",
            "client",
            800,
            805,
        ),
    ] {
        let (by, earliest, latest) = after(id);
        assert_eq!(by, lane, "{id}");
        assert!(
            earliest >= ms(from) && latest <= ms(to),
            "{id}: {earliest:?} {latest:?}"
        );
    }
    // A kernel acknowledges beats for a program that is stopped.
    let id = "frozen-what-each-detector-sees/detector=one-way";
    assert_eq!(at_hz(250, id).sign, SignKind::Unnoticed);
}

/// A beat is data: with few retries the kernel is first, and so is an RST.
#[test]
fn what_the_kernel_finds_before_the_heart_does_wins() {
    let cases = cases();
    let id = "heartbeat-one-way/detector=one-way,fault=cut";
    let found = cases.iter().find(|c| c.id == id);
    let mut case = found.expect("it is there").clone();
    case.watch = vec!["client".into()];
    let sysctl = ("net.ipv4.tcp_retries2".to_owned(), "1".to_owned());
    case.sysctls.insert("client".into(), [sysctl].into());
    let said = predict(&case, &KernelFacts::new(Version(6, 12), 250)).expect("it is predictable");
    assert_eq!(said.sign, errno("ETIMEDOUT"));
    assert!(
        said.because.starts_with("a beat is data"),
        "{}",
        said.because
    );
    // A fault just when a beat is due is a race of two programs.
    case.watch = vec!["server".into()];
    if let Some(event) = case.events.first_mut() {
        event.when = crate::scenario::case::When::At(Duration::from_millis(901));
    }
    assert!(predict(&case, &KernelFacts::new(Version(6, 12), 250)).is_err());
}

/// The one case of a scenario file.
fn written(text: &str) -> Case {
    let parsed = crate::scenario::parse("written", text).expect("it is a scenario");
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
