//! Whole cases: the catalogue's rows that stand for a rule, by their words.

use std::time::Duration;

use super::{KernelFacts, Prediction, RuleId, Version, predict};
use crate::scenario::case::{Action, Case, Event, Happening, SignKind};

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

/// What the program decides and not the kernel, or more connections than one.
fn beyond_the_rules(case: &Case) -> bool {
    let more = |action: &Action| match action {
        Action::Multiplex { .. } => true,
        Action::Connect { count, .. } => *count > 1,
        _ => false,
    };
    // The age of a neighbour entry is random, and much of a bad line is chance.
    let impairs = |e: &Event| matches!(e.happening, Happening::Impair(_));
    if case.scenario.starts_with("vip-moves-unannounced") || case.events.iter().any(impairs) {
        return true;
    }
    case.lanes.iter().any(|lane| {
        lane.detector.heartbeat.is_some() || lane.steps.iter().any(|step| more(&step.action))
    })
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
