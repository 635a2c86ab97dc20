//! `halfopen tune`: what it finds, what it proves, what it refuses.

use serde_json::Value;

use crate::place::{Place, assert_said};

fn tune(words: &str) -> halfopen_tests::program::Ran {
    Place::empty().halfopen(&format!("tune {words}"))
}

#[test]
fn settings_that_keep_both_promises() {
    assert_said("tune", &tune("--notice-within 30s --ride-out 10s"));
    assert_said(
        "tune-everywhere",
        &tune("--notice-within 1m --ride-out 5s --hz 250 --for all"),
    );
    assert_said(
        "tune-idle",
        &tune("--notice-within 2m --ride-out 15s --while idle --kernel 6.1 --for nginx,redis"),
    );
    assert_said(
        "tune-sending-capped",
        &tune("--notice-within 15s --ride-out 10s --while sending --kernel 6.18 --for python"),
    );
}

#[test]
fn the_proof_that_none_exist() {
    for (name, words) in [
        ("tune-none", "--notice-within 15s --ride-out 10s"),
        (
            "tune-none-idle",
            "--notice-within 12.2s --ride-out 10s --while idle",
        ),
        (
            "tune-none-sending",
            "--notice-within 10s --ride-out 10s --while sending",
        ),
        ("tune-none-at-all", "--notice-within 2s --ride-out 0s"),
    ] {
        let ran = tune(words);
        assert_eq!(ran.code, Some(1), "{ran}");
        assert_said(name, &ran);
    }
}

#[test]
fn json_has_everything() {
    let ran = tune("--notice-within 30s --ride-out 10s --format json");
    let found: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    assert_eq!(found["possible"], true);
    assert!(found["found"]["user_timeout_ms"].is_u64(), "{ran}");
    assert!(found["found"]["idle"]["noticed_ns"].as_u64() <= Some(30_000_000_000));
    assert_eq!(found["snippets"].as_object().map(|all| all.len()), Some(9));
    let ran = tune("--notice-within 5s --ride-out 10s --format json");
    assert_eq!(ran.code, Some(1), "{ran}");
    let none: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    assert_eq!(none["possible"], false);
    assert_eq!(none["impossible"]["breaks"], "ride-out");
    assert!(none["impossible"]["patient"]["idle"]["ridden_ns"].as_u64() >= Some(10_000_000_000));
}

/// A NAT gateway's 350 s: the idle time that ten minutes would allow is shortened.
#[test]
fn keepalive_comes_before_a_middlebox_forgets() {
    let idle = |words: &str| {
        let ran = tune(&format!(
            "--notice-within 10m --ride-out 10s --format json{words}"
        ));
        assert_eq!(ran.code, Some(0), "{ran}");
        let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}"));
        json["found"]["keepalive_idle_s"].as_u64().unwrap_or(0)
    };
    let without = idle("");
    let with = idle(" --middlebox-forgets 350s");
    assert!(without > 350, "{without}");
    assert!((200..350).contains(&with), "{with}");
    let ran = tune("--notice-within 10m --ride-out 10s --middlebox-forgets 5m --while sending");
    assert_eq!(ran.code, Some(2), "{ran}");
}

#[test]
fn given_settings_keep_promises_or_break_them() {
    let check = |words: &str| {
        tune(&format!(
            "--notice-within 30s --ride-out 10s --check {words}"
        ))
    };
    let kept = check("idle=10s,interval=6s,count=3 --while idle");
    assert_eq!(kept.code, Some(0), "{kept}");
    assert!(!kept.stdout.contains("BROKEN"), "{kept}");
    let broken = check("idle=10s,interval=3s,count=3 --while idle --middlebox-forgets 9s");
    assert_eq!(broken.code, Some(1), "{broken}");
    for said in [
        "kept    a vanished peer is noticed within 30 s",
        "BROKEN  an outage of 10 s is ridden out",
        "BROKEN  a probe comes before a middlebox forgets after 9 s",
    ] {
        assert!(broken.stdout.contains(said), "{said}: {broken}");
    }
    let nothing = check("user-timeout=20s --while idle --format json");
    assert_eq!(nothing.code, Some(1), "{nothing}");
    let json: Value = serde_json::from_str(&nothing.stdout).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(json["kept"]["notice_within"], false);
    assert_eq!(json["checked"]["user_timeout_ms"], 20_000);
}

#[test]
fn refuses() {
    for (name, words) in [
        ("tune-wrong-unit", "--notice-within 30 --ride-out 10s"),
        ("tune-wrong-zero", "--notice-within 0s --ride-out 10s"),
        ("tune-wrong-negative", "--notice-within 30s --ride-out=-1s"),
        ("tune-wrong-long", "--notice-within 2d --ride-out 10s"),
        (
            "tune-wrong-trip",
            "--notice-within 30s --ride-out 10s --round-trip 5s",
        ),
        (
            "tune-wrong-kernel",
            "--notice-within 30s --ride-out 10s --kernel 4.19",
        ),
        (
            "tune-wrong-name",
            "--notice-within 30s --ride-out 10s --kernel stable",
        ),
        (
            "tune-wrong-target",
            "--notice-within 30s --ride-out 10s --for cobol",
        ),
        ("tune-wrong-missing", "--notice-within 30s"),
    ] {
        let ran = tune(words);
        assert_eq!(ran.code, Some(2), "{words}: {ran}");
        assert_said(name, &ran);
    }
}

#[test]
fn verifying_needs_a_kernel() {
    let place = Place::empty();
    place.write("no-kernel", "text");
    let ran =
        place.halfopen("tune --notice-within 30s --ride-out 10s --verify --kernel ./no-kernel");
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("cure: "), "{ran}");
}
