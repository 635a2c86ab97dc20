//! Wrong input: exit code 2, before anything is built.

use crate::place::{Place, QUICK, assert_said};

#[test]
fn filter_that_picks_nothing() {
    let place = Place::with(QUICK);
    assert_said("wrong-filter", &place.halfopen("run refusd"));
    assert_said("wrong-filter-far", &place.halfopen("run zzz"));
}

#[test]
fn file_that_is_not_there() {
    assert_said("missing-file", &Place::empty().halfopen("run missing.yaml"));
}

#[test]
fn broken_yaml_and_wrong_words_in_it() {
    let place = Place::with("version: 1\nscenarios:\n  broken: [\n");
    assert_said("broken-yaml", &place.halfopen("run"));
    let place = Place::with(&QUICK.replace("give_up: 3s", "give_up: 3"));
    assert_said("wrong-unit", &place.halfopen("check"));
    let place = Place::with(&QUICK.replace("kill: server", "kill: sever"));
    assert_said("wrong-lane", &place.halfopen("check"));
}

#[test]
fn sysctl_of_no_host_or_in_no_form() {
    let place = Place::with(QUICK);
    let set = |what: &str| place.halfopen(&format!("run refused --sysctl {what}"));
    assert_said("wrong-sysctl-host", &set("clinet:net.ipv4.tcp_retries2=3"));
    assert_said("wrong-sysctl-form", &set("client:net.ipv4.tcp_retries2"));
    assert_said("wrong-sysctl-key", &set("client:kernel.panic=1"));
}

/// A false green otherwise: the cases run, or are predicted, without it.
#[test]
fn sysctl_that_no_kernel_has() {
    let place = Place::with(QUICK);
    for (words, said) in [
        (
            "run --sysctl client:net.ipv4.tcp_retries=8",
            "did you mean `net.ipv4.tcp_retries1`?",
        ),
        (
            "predict --fault crash --sysctl client:net.ipv4.tcp_retries=3",
            "did you mean `net.ipv4.tcp_retries1`?",
        ),
        (
            "impact --sysctl net.ipv4.tcp_retries=8 --predict",
            "did you mean `net.ipv4.tcp_retries1`?",
        ),
        (
            "grid --sysctl all:net.ipv4.tcp_keepalive_tme=8",
            "did you mean `net.ipv4.tcp_keepalive_time`?",
        ),
        (
            "run --sysctl client:net.ipv4.tcp_tw_recycle=0",
            "no kernel has `net.ipv4.tcp_tw_recycle` since 4.12",
        ),
        (
            "predict --fault crash --sysctl client:net.ipv4.no_such_key_at_all=3",
            "no kernel has a sysctl `net.ipv4.no_such_key_at_all`",
        ),
        (
            "run --sysctl client:net.netfilter.nf_conntrack_max=9",
            "tracks no connections",
        ),
        (
            "run --sysctl client:net.tcp_sack=0",
            "`net.tcp_sack` is not the name of a sysctl",
        ),
    ] {
        let ran = place.halfopen(words);
        assert_eq!(ran.code, Some(2), "{words}: {ran}");
        assert!(ran.stderr.contains(said), "{words}: {ran}");
    }
}

#[test]
fn misspelt_command() {
    let ran = Place::empty().halfopen("rnu");
    assert_eq!(ran.code, Some(2), "{ran}");
    assert_said("wrong-command", &ran);
}

#[test]
fn unknown_command_and_option() {
    let place = Place::with(QUICK);
    for words in [
        "frobnicate",
        "run --frobnicate",
        "run --jobs 0",
        "run --ladder --format json",
        "run --ladder --against base.yaml",
    ] {
        assert_eq!(place.halfopen(words).code, Some(2), "{words}");
    }
}
