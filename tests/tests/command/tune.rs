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
