use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use halfopen_scenario::case::{Clock, EventAction};

fn selection<'a>(detectors: &'a [String], faults: &'a [String]) -> Selection<'a> {
    Selection {
        detectors,
        faults,
        states: &State::ALL,
        declared: None,
        limit: Duration::from_secs(45),
        virtual_time: false,
    }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

#[test]
fn every_detector_meets_every_fault_in_both_states() {
    let plan = Plan::of(&selection(&[], &[])).expect("the grid that ships");
    assert!(plan.detectors.len() >= 10, "{}", plan.detectors.len());
    assert!(plan.faults.len() >= 14, "{}", plan.faults.len());
    let all = plan.detectors.len() * plan.faults.len() * plan.states.len();
    assert_eq!((plan.cases.len(), plan.cells.len()), (all, all));
    let ids: BTreeSet<&str> = plan.cases.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), all, "each case once");
    for case in &plan.cases {
        assert_eq!(case.watch, ["client"], "{}", case.id);
        let faults = || case.events.iter().filter(|e| e.action.is_fault());
        assert!(faults().count() >= 1, "{}", case.id);
        assert_eq!(case.clock, Clock::Any, "{}", case.id);
        assert_eq!(case.give_up, Duration::from_secs(51), "{}", case.id);
    }
}

#[test]
fn cells_stand_where_their_cases_say() {
    let plan = Plan::of(&selection(&[], &[])).expect("the grid that ships");
    for (case, cell) in plan.cases.iter().zip(&plan.cells) {
        assert!(case.scenario.starts_with(plan.faults[cell.fault].name));
        assert_eq!(case.axes["detector"], plan.detectors[cell.detector].name);
        assert_eq!(case.axes["while"], plan.states[cell.state].name());
    }
}

#[test]
fn a_sysctl_belongs_to_its_detector_alone() {
    let named = names(&["none", "retries2-8"]);
    let faults = names(&["host-crash"]);
    let plan = Plan::of(&selection(&named, &faults)).expect("two detectors");
    let set: Vec<_> = plan
        .cases
        .iter()
        .map(|c| {
            let own = c.sysctls.get("client");
            own.is_some_and(|s| s.contains_key("net.ipv4.tcp_retries2"))
        })
        .collect();
    assert_eq!(set, [false, true, false, true]);
    assert!(matches!(
        plan.cases[0].events[0].action,
        EventAction::Crash { .. }
    ));
}

#[test]
fn a_misspelt_name_is_told_with_the_nearest() {
    let error = Plan::of(&selection(&names(&["keepalive-fats"]), &[])).expect_err("no such name");
    let text = error.to_string();
    assert!(text.contains("no detector `keepalive-fats`"), "{text}");
    assert!(text.contains("did you mean `keepalive-fast`?"), "{text}");
    let error = Plan::of(&selection(&[], &names(&["sunspots"]))).expect_err("no such name");
    assert!(
        error.to_string().contains("there are: process-killed"),
        "{error}"
    );
}

#[test]
fn the_file_of_a_small_grid() {
    let detectors = names(&["keepalive-fast", "retries2-8", "beats-answered"]);
    let faults = names(&["path-silent"]);
    let plan = Plan::of(&selection(&detectors, &faults)).expect("three detectors");
    insta::assert_snapshot!(plan.text);
}
