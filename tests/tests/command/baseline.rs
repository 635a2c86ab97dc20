//! Baselines: saved, compared with, and refused.

use serde_json::Value;

use crate::place::{Place, QUICK, assert_said};

/// A dead peer that is noticed after one second, or two.
const SILENCE: &str = "\
version: 1
scenarios:
  silence:
    about: SYNs get lost.
    sysctls: { client: { net.ipv4.tcp_syn_retries: 1, net.ipv4.tcp_syn_linear_timeouts: 0 } }
    expect: { errno: ETIMEDOUT, call: connect, after: 3s }
    server: [listen, accept]
    client: [{ wait_for: drop }, connect]
    faults:
      - { at: 50ms, drop: { to: server, flags: [SYN] } }
    give_up: 9s
";

/// A comparison as JSON.
fn compared(place: &Place, words: &str, code: i32) -> Value {
    let ran = place.halfopen(&format!("{words} --format json"));
    assert_eq!(ran.code, Some(code), "{ran}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"))
}

fn read(place: &Place, name: &str) -> String {
    let file = place.path().join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

#[test]
fn saved_and_run_again_nothing_has_changed() {
    let place = Place::with(QUICK);
    let ran = place.halfopen("run --save base.yaml");
    assert_eq!(ran.code, Some(0), "{ran}");
    let saved = read(&place, "base.yaml");
    for word in ["version: 1", "kernel: ", "hz: ", "killed:", "eof: true"] {
        assert!(saved.contains(word), "{word}: {saved}");
    }
    assert_said(
        "baseline-unchanged",
        &place.halfopen("run --against base.yaml"),
    );
    let json = compared(&place, "run --against base.yaml", 0);
    assert_eq!(json["changed"], false);
    assert_eq!(json["runs"][0]["totals"]["unchanged"], 3, "{json}");

    let again = place.halfopen("run --save base.yaml");
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(read(&place, "base.yaml"), saved, "to the letter");
}

#[test]
fn a_sysctl_that_changes_a_case_is_named_as_its_cause() {
    let place = Place::with(SILENCE);
    assert_eq!(place.halfopen("run --save base.yaml").code, Some(0));
    let words = "run --against base.yaml --sysctl client:net.ipv4.tcp_syn_retries=2";
    let ran = place.halfopen(words);
    assert_eq!(ran.code, Some(1), "{ran}");
    for part in [
        "1 case changed",
        "Another environment",
        "net.ipv4.tcp_syn_retries on client  6 -> 2",
        "likely cause: net.ipv4.tcp_syn_retries on client, 1 -> 2",
        "connect() = -1 ETIMEDOUT",
        "0 unchanged, 1 changed",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    let ran = place.halfopen(&format!("{words} --format markdown --save other.yaml"));
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(
        ran.stdout.contains("| `silence` | changed | after 3."),
        "{ran}"
    );
    let json = compared(&place, "diff base.yaml other.yaml", 1);
    let case = &json["runs"][0]["cases"][0];
    let field = &case["differences"][0];
    assert_eq!(
        (&case["what"], &field["what"]),
        (&"changed".into(), &"after".into())
    );
    let cause = case["cause"].as_str().unwrap_or_default();
    assert!(
        cause.starts_with("net.ipv4.tcp_syn_retries on client, 1 -> 2"),
        "{cause}"
    );
}

#[test]
fn new_gone_and_not_picked() {
    let place = Place::with(QUICK);
    assert_eq!(place.halfopen("run --save base.yaml").code, Some(0));
    place.write("scenarios.yaml", &QUICK.replace("  killed:", "  slain:"));
    assert_said(
        "baseline-new-and-gone",
        &place.halfopen("run --against base.yaml"),
    );
    let ran = place.halfopen("run refused --against base.yaml");
    assert_eq!(ran.code, Some(0), "what is not picked is not gone: {ran}");
    assert!(ran.stdout.contains("2 unchanged, 0 changed"), "{ran}");
}

#[test]
fn known_difference_is_no_failure_until_it_is_none() {
    let place = Place::with(QUICK);
    assert_eq!(place.halfopen("run killed --save base.yaml").code, Some(0));
    let saved = read(&place, "base.yaml");
    let other = saved.replace(
        "      sign: { eof: true",
        "      known: { reason: \"the server was not to die: it may\", bug: \"#12\" }\n      sign: { errno: ECONNRESET",
    );
    assert_ne!(saved, other);
    place.write("known.yaml", &other);
    assert_said(
        "baseline-known",
        &place.halfopen("run killed --against known.yaml"),
    );
    let ran = place.halfopen("run killed --save known.yaml");
    assert!(ran.stderr.contains("known to differ: killed"), "{ran}");
    assert_eq!(read(&place, "known.yaml"), other);

    let mended = other.replace("errno: ECONNRESET", "eof: true");
    place.write("known.yaml", &mended);
    assert_said(
        "baseline-mended",
        &place.halfopen("run killed --against known.yaml"),
    );
    let ran = place.halfopen("run killed --save known.yaml");
    assert!(ran.stderr.contains("no longer differs"), "{ran}");
    assert_eq!(read(&place, "known.yaml"), saved);
}

#[test]
fn known_difference_of_a_scenario() {
    let known =
        "expect: { eof: true, call: read, after: 0s, known: { reason: to be seen, bug: \"#12\" } }";
    let text = QUICK.replace("expect: { eof: true, call: read, after: 0s }", known);
    assert_ne!(text, QUICK);
    let place = Place::with(&text);
    assert_said("known-no-longer", &place.halfopen("run killed"));
    let place = Place::with(&text.replace("eof: true", "errno: ECONNRESET"));
    let ran = place.halfopen("run killed");
    assert_said("known-in-a-scenario", &ran);
    assert_eq!(ran.code, Some(0), "{ran}");
    let other = text
        .replace("eof: true", "errno: ECONNRESET")
        .replace("bug: \"#12\"", "shows: { errno: EPIPE }");
    let ran = Place::with(&other).halfopen("run killed");
    assert_eq!(
        ran.code,
        Some(1),
        "it shows something else than what is known: {ran}"
    );
}

#[test]
fn wrong_files_are_told_before_anything_is_run() {
    let place = Place::with(QUICK);
    place.write("newer.yaml", "version: 2\nseries: []\n");
    assert_said(
        "baseline-newer",
        &place.halfopen("run --against newer.yaml"),
    );
    assert_said(
        "baseline-is-scenarios",
        &place.halfopen("run --save scenarios.yaml"),
    );
    assert_said(
        "baseline-missing",
        &place.halfopen("diff missing.yaml newer.yaml"),
    );
    assert_said(
        "baseline-nowhere",
        &place.halfopen("run --save no/such/base.yaml"),
    );
    place.write("empty.yaml", "version: 1\nruns: []\n");
    assert_eq!(place.halfopen("diff empty.yaml empty.yaml").code, Some(0));
    let wrong = place.halfopen("diff empty.yaml empty.yaml --scenarios missing.yaml");
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert_eq!(
        read(&place, "scenarios.yaml"),
        QUICK,
        "nothing was overwritten"
    );
}
