use std::collections::BTreeMap;

use super::*;
use crate::baseline::Setting;
use halfopen_predict::Version;
use halfopen_scenario::parse;

const FILE: &str = include_str!("../../../../fixtures/impact.yaml");

fn cases() -> Vec<Case> {
    parse("impact.yaml", FILE)
        .expect("the fixture is right")
        .cases
}

fn setting() -> Setting {
    Setting {
        kernel: "6.12.1".into(),
        hz: Some(250),
        clock: "virtual".into(),
        halfopen: "0.1.0".into(),
        sysctls: BTreeMap::new(),
        overrides: BTreeMap::new(),
    }
}

fn change(host: &str, key: &str, value: &str) -> Change {
    let set = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    Change {
        then: BTreeMap::new(),
        now: BTreeMap::from([(host.to_owned(), set)]),
    }
}

fn predicted_changes(change: &Change) -> Vec<String> {
    let facts = KernelFacts::new(Version(6, 12), 250);
    let cases: Vec<Case> = cases()
        .iter()
        .map(|c| change.extend_give_up(c, &[facts]))
        .collect();
    let comparison = change.predict(&setting(), &cases);
    let changed = comparison.cases.into_iter();
    changed
        .filter(|case| case.kind == ChangeKind::Changed)
        .map(|case| case.id)
        .collect()
}

#[test]
fn the_rules_name_the_cases_that_hang_on_a_sysctl() {
    let retries2 = change("all", "net.ipv4.tcp_retries2", "8");
    assert_eq!(predicted_changes(&retries2), ["sending", "sending-short"]);
    let keepalive = change("all", "net.ipv4.tcp_keepalive_time", "600");
    assert_eq!(
        predicted_changes(&keepalive),
        [
            "idle/detector=keepalive",
            "idle/detector=keepalive-30-by-sysctl"
        ]
    );
    let elsewhere = change("server", "net.ipv4.tcp_retries2", "8");
    assert!(predicted_changes(&elsewhere).is_empty());
    let nothing = change("all", "net.ipv4.tcp_fin_timeout", "30");
    assert!(predicted_changes(&nothing).is_empty());
}

#[test]
fn a_case_lasts_as_long_as_either_side_takes() {
    let retries2 = change("all", "net.ipv4.tcp_retries2", "8");
    let facts = KernelFacts::new(Version(6, 12), 250);
    let lasts = |id: &str| {
        let cases = cases();
        let case = cases.iter().find(|c| c.id == id).expect("it has it");
        retries2.extend_give_up(case, &[facts]).give_up.as_secs()
    };
    assert!(
        (900..1300).contains(&lasts("sending")),
        "tcp_retries2 = 15 takes 15 min"
    );
    assert!((7800..9000).contains(&lasts("idle/detector=keepalive")));
    assert_eq!(lasts("idle/detector=none"), 60, "nobody ever notices");
    assert_eq!(lasts("killed"), 3);
}

#[test]
fn variants_have_names_of_their_own() {
    let retries2 = change("client", "net.ipv4.tcp_retries2", "8");
    let cases = cases();
    let variants = retries2.variants(&cases);
    assert_eq!(variants.len(), cases.len() * 2);
    let ids: std::collections::BTreeSet<&str> = variants.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), variants.len());
    let own = |case: &Case| case.sysctls["client"]["net.ipv4.tcp_retries2"].clone();
    let short: Vec<String> = variants
        .iter()
        .filter(|c| c.scenario == "sending-short")
        .map(own)
        .collect();
    assert_eq!(short, ["5", "8"], "over the scenario's own");
}
