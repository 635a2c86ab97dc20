//! `halfopen impact`: by the rules alone, and what it refuses. What it measures
//! is tested with the guests (tests/virtual_time).

use halfopen_tests::program::{Ran, command, halfopen};
use halfopen_tests::root;
use serde_json::Value;

use crate::place::{Place, assert_said};

fn place() -> Place {
    let place = Place::empty();
    let file = root().join("fixtures/impact.yaml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    place.write("scenarios.yaml", &text);
    place
}

#[test]
fn the_rules_say_what_changes_and_why() {
    let place = place();
    let words = "impact --sysctl net.ipv4.tcp_retries2=8 --predict --kernel 6.12";
    assert_said("impact-predicted", &place.halfopen(words));
    assert_said(
        "impact-predicted-markdown",
        &place.halfopen(&format!("{words} --format markdown")),
    );
    let on_server = place.halfopen(&format!("{words} --host server"));
    assert_eq!(on_server.code, Some(0), "{on_server}");
}

#[test]
fn two_files_of_sysctl_conf() {
    let place = place();
    place.write(
        "old.conf",
        "net.ipv4.tcp_keepalive_time = 7200\nvm.swappiness = 10\n",
    );
    place.write(
        "new.conf",
        "# what we want\n-net/ipv4/tcp_keepalive_time = 600\nnet.core.netdev_max_backlog=5000\n\
         net.ipv4.conf.eth0.rp_filter = 1\nnet.ipv4.tcp_rto_max_ms = 20000\n",
    );
    let words = "impact --from old.conf --to new.conf --predict --kernel 6.12";
    assert_said("impact-two-files", &place.halfopen(words));
    let json = place.halfopen(&format!("{words} --format json"));
    let json: Value = serde_json::from_str(&json.stdout).unwrap_or_else(|e| panic!("{e}\n{json}"));
    assert_eq!(json["ignored"].as_array().map(Vec::len), Some(4), "{json}");
    assert_eq!(json["runs"][0]["totals"]["changed"], 2, "{json}");
    let newer = place.halfopen(&words.replace("6.12", "7.1"));
    assert!(
        newer
            .stdout
            .contains("net.ipv4.tcp_rto_max_ms on every host      120000 -> 20000"),
        "{newer}"
    );
}

/// A configuration that outlived its kernel: the rest of it is what counts.
#[test]
fn a_key_that_is_gone_is_named_and_passed_over() {
    let place = place();
    for dash in ["", "-"] {
        let conf = format!("net.ipv4.tcp_retries2 = 8\n{dash}net.ipv4.tcp_tw_recycle = 0\n");
        place.write("old.conf", &conf);
        let ran = place.halfopen("impact --to old.conf --predict --kernel 6.12");
        assert_eq!(ran.code, Some(1), "the rest changes something: {ran}");
        assert_said("impact-gone-key", &ran);
    }
    place.write("only.conf", "net.ipv4.tcp_tw_recycle = 0\n");
    let ran = place.halfopen("impact --to only.conf --kernel 6.12");
    assert!(ran.stdout.contains("no kernel has it since 4.12"), "{ran}");
}

#[test]
fn this_machines_own_values_are_only_read() {
    let ran = place().halfopen("impact --sysctl-from-host --predict killed");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("1 unchanged, 0 changed"), "{ran}");
}

#[test]
fn words_that_are_wrong() {
    let place = place();
    place.write(
        "bad.conf",
        "net.ipv4.tcp_retries2 8\nnet.ipv4.conf.*.rp_filter = 1\n",
    );
    assert_said("impact-bad-conf", &place.halfopen("impact --to bad.conf"));
    assert_said(
        "impact-no-conf",
        &place.halfopen("impact --to missing.conf"),
    );
    let set = |what: &str| place.halfopen(&format!("impact --predict --sysctl {what}"));
    assert_said(
        "impact-host-in-sysctl",
        &set("client:net.ipv4.tcp_retries2=8"),
    );
    assert_said("impact-no-value", &set("net.ipv4.tcp_retries2"));
    assert_said(
        "impact-no-such-host",
        &set("net.ipv4.tcp_retries2=8 --host clinet"),
    );
    for refused in ["net.ipv4.tcp_retries2=x", "net.ipv4.tcp_retries2=300"] {
        let ran = set(refused);
        assert_eq!(ran.code, Some(2), "{refused}: {ran}");
        assert!(ran.stderr.contains("from 0 to 255") || ran.stderr.contains("out of range"));
    }
    let twice = set("net.ipv4.tcp_retries2=8 --sysctl net.ipv4.tcp_retries2=9");
    assert_eq!(twice.code, Some(2), "{twice}");
    assert_eq!(place.halfopen("impact").code, Some(2), "no change at all");
    let both = set("net.ipv4.tcp_retries2=8 --to bad.conf");
    assert_eq!(both.code, Some(2), "{both}");
}

#[test]
fn without_a_kernel_or_qemu_there_is_a_cure() {
    let place = place();
    let without = |name: &str, value: &std::path::Path| {
        let words = ["impact", "killed", "--sysctl", "net.ipv4.tcp_retries2=8"];
        let output = command(&halfopen(), place.path())
            .args(words)
            .env(name, value)
            .output()
            .unwrap_or_else(|e| panic!("{e}"));
        Ran::of(&output)
    };
    let ran = without("PATH", place.path());
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("cure"), "{ran}");
}
