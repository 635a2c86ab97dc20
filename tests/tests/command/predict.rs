//! `halfopen predict`: quick questions in flags, answered without running anything.

use serde_json::Value;

use crate::place::{Place, assert_said};

fn predict(words: &str) -> halfopen_tests::program::Ran {
    Place::empty().halfopen(&format!("predict {words}"))
}

#[test]
fn a_question_in_flags() {
    assert_said(
        "predict-question",
        &predict("--keepalive 60s,20s,3 --fault crash --in-flight none --kernel 6.1"),
    );
    assert_said(
        "predict-question-sending",
        &predict("--fault silence --in-flight after --retries2 8 --kernel 6.12 --hz 1000"),
    );
    assert_said(
        "predict-question-narrow",
        &predict("--fault host-unreachable --in-flight after --kernel 6.12"),
    );
}

#[test]
fn json_says_what_decides_and_since_when() {
    let ran = predict("--keepalive 60s,20s,3 --kernel 6.1 --format json");
    let said: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    assert_eq!(said["cases"][0]["prediction"]["errno"], "ETIMEDOUT");
    assert_eq!(said["rules"]["keepalive"]["since"], "2.6", "{ran}");
    assert_eq!(
        said["rules"]["keepalive"]["function"],
        "tcp_keepalive_timer()"
    );
    for rule in said["cases"][0]["prediction"]["rules"]
        .as_array()
        .unwrap_or_else(|| panic!("{ran}"))
    {
        assert!(said["rules"][rule.as_str().unwrap_or_default()].is_object());
    }
}

/// The signs as they were seen in a guest (6.12, IPv4), with keepalive at
/// 60 s, 20 s, 3: while idle, and for data that is written after and before.
#[test]
fn every_fault_and_what_is_under_way() {
    let signs = [
        ("crash", ["ETIMEDOUT", "EHOSTUNREACH", "EHOSTUNREACH"]),
        ("silence", ["ETIMEDOUT", "ETIMEDOUT", "ETIMEDOUT"]),
        ("reboot", ["ECONNRESET", "ECONNRESET", "ECONNRESET"]),
        ("kill", ["EOF", "EOF", "EOF"]),
        ("own-qdisc", ["unnoticed", "ETIMEDOUT", "ETIMEDOUT"]),
        ("own-firewall", ["ETIMEDOUT", "ETIMEDOUT", "ETIMEDOUT"]),
        ("own-route", ["ETIMEDOUT", "ETIMEDOUT", "ENETUNREACH"]),
        (
            "net-unreachable",
            ["ETIMEDOUT", "ENETUNREACH", "ENETUNREACH"],
        ),
        (
            "host-unreachable",
            ["ETIMEDOUT", "EHOSTUNREACH", "EHOSTUNREACH"],
        ),
        ("reset", ["ECONNRESET", "ECONNRESET", "ECONNRESET"]),
    ];
    for (fault, signs) in signs {
        for (flying, sign) in ["none", "after", "before"].into_iter().zip(signs) {
            let asked = format!("--fault {fault} --in-flight {flying}");
            let ran = predict(&format!("--keepalive 60s,20s,3 --kernel 6.12 {asked}"));
            assert_eq!(ran.code, Some(0), "{asked}: {ran}");
            let line = ran.stdout.lines().nth(3).unwrap_or_default().trim();
            assert_eq!(line.split(' ').next(), Some(sign), "{asked}: {ran}");
        }
    }
}

#[test]
fn what_makes_no_question() {
    for (words, says) in [
        ("--keepalive 60s,20s", "IDLE,INTERVAL,COUNT"),
        ("--keepalive 60s,20s,3 host-crash", "no file and no filter"),
        ("--fault crash --kernel 4.19", "5.10 and later"),
        ("--fault crash --kernel new", "no version"),
        (
            "--fault crash --network }x",
            "write a time such as 60s or a name",
        ),
        (
            "--fault crash --network moon",
            "--network moon: unknown network `moon`; expected one of: link, lan, routed",
        ),
        (
            "--keepalive 60s,20s,300",
            "--keepalive 60s,20s,300: 300 is out of range",
        ),
        (
            "--user-timeout 30 --idle 3",
            "--user-timeout 30: the duration `30` has no unit; write `30s`",
        ),
        (
            "--idle 30h",
            "--idle 30h: this happens 1d6h after the start, when the case has given up",
        ),
        ("--fault crash --hz 1", "24..=10000"),
    ] {
        let ran = predict(words);
        assert_eq!(ran.code, Some(2), "{words}: {ran}");
        assert!(ran.stderr.contains(says), "{words}: {ran}");
    }
}

#[test]
fn mistakes_name_the_flag_and_no_yaml() {
    assert_said(
        "predict-wrong-keepalive",
        &predict("--keepalive 60,20,3 --fault crash"),
    );
}
