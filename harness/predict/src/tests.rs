//! Whole cases: the catalogue's rows that stand for a rule, by their words.

use std::time::Duration;

use super::{KernelFacts, Prediction, RuleId, Version, predict};
use halfopen_scenario::case::{Case, SignKind};

const CATALOGUE: &str = include_str!("../../../scenarios.yaml");

fn cases() -> Vec<Case> {
    let parsed = halfopen_scenario::parse("scenarios.yaml", CATALOGUE);
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

/// What the simulation does not contain, nor do the rules: how long a thousand programs'
/// calls take, or a restart; MTUs; what only reports needed to say: pools, proxies, two
/// threads on one socket, options that are set later, what heartbeats take for life.
const BEYOND: [&str; 15] = [
    "thousand-half-open-connections",
    "heartbeat-ghosts",
    "mtu-black-hole",
    "asked-only-while-busy/detector=server-asks-when-busy",
    "keepalive-set-later",
    "number-of-syns-of-a-socket",
    "peers-own-beats-are-no-answers",
    "pool-behind-a-nat",
    "proxy-between-two-connections",
    "publishing-counts-as-life",
    "reader-beside-a-writer",
    "reset-by-an-option",
    "shutdown-from-elsewhere",
    "silence-is-only-logged",
    "user-timeout-set-in-flight",
];

/// Every other case of the catalogue is decided, and as the catalogue expects.
#[test]
fn the_whole_catalogue_on_every_kernel() {
    for (version, hz) in [
        (Version(5, 10), 250),
        (Version(6, 1), 1000),
        (Version(6, 18), 250),
    ] {
        for case in cases() {
            let said = predict(&case, &KernelFacts::new(version, hz));
            let beyond = BEYOND.iter().any(|of| case.id.starts_with(of));
            assert_eq!(said.is_err(), beyond, "{}: {said:?}", case.id);
            let Ok(said) = said else { continue };
            if let Some(expect) = &case.expect {
                let others = said.others.iter().map(|other| &other.sign);
                let signs: Vec<_> = std::iter::once(&said.sign).chain(others).collect();
                assert!(
                    signs.contains(&&expect.sign),
                    "{} on {version}: {said:?}",
                    case.id
                );
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
fn a_probe_as_late_as_the_router_forgets_is_late_sooner_or_later() {
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
    let said = predict(&case, &kernel).expect("it is predictable");
    assert_eq!(said.sign, errno("ECONNRESET"), "{said:?}");
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
        event.when = halfopen_scenario::case::When::At(Duration::from_millis(901));
    }
    assert!(predict(&case, &KernelFacts::new(Version(6, 12), 250)).is_err());
}
