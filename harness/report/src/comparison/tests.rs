use super::*;
use crate::ladder;
use halfopen_outcome::baseline::Baseline;
use halfopen_outcome::testing;
use halfopen_outcome::testing::{cases, saved_run};
use halfopen_scenario::case::{Known, SignKind};

/// One case with each kind of change.
fn comparisons() -> Vec<Comparison> {
    let (mut old, mut new) = (saved_run(), saved_run());
    new.setting.kernel = "6.13.1".into();
    let set = [("net.ipv4.tcp_retries2".to_owned(), "8".to_owned())];
    new.setting.overrides.insert("client".into(), set.into());
    let crash = "host-crash-while-writing/detector=none,network=lan";
    if let Some(CaseResult::Ran(ran)) = new.cases.get_mut(crash).map(|e| &mut e.result) {
        let at = std::time::Duration::from_millis(108_123);
        ran.sign.after = Some((at, at));
        if let Some(wire) = &mut ran.wire {
            wire.insert("rst".into(), 1);
        }
    }
    let known = |reason: &str| Known {
        reason: reason.into(),
        bug: Some("#12".into()),
        shows: None,
    };
    let user_timeout = "host-crash-while-writing/detector=user-timeout-3s,network=lan";
    if let Some(entry) = old.cases.get_mut(user_timeout) {
        entry.known = Some(known("a driver answers for it"));
    }
    if let Some(CaseResult::Ran(ran)) = new.cases.get_mut(user_timeout).map(|e| &mut e.result) {
        ran.sign.sign = SignKind::Errno("EPIPE".into());
    }
    if let Some(entry) = old.cases.get_mut("idle-client") {
        entry.known = Some(known("it was noticed"));
    }
    old.cases.remove("lab-broken");
    new.cases
        .remove("host-crash-while-writing/detector=keepalive-2-1-3,network=lan");
    let (old, new) = (Baseline { runs: vec![old] }, Baseline { runs: vec![new] });
    Comparison::all(&old, &new, &cases())
}

#[test]
fn for_people() {
    let evidence = |_: &Setting, id: &str| {
        let all = testing::all();
        let case = all.iter().find(|case| case.id == id)?;
        Some(ladder::render(case, &ladder::EVIDENCE))
    };
    insta::assert_snapshot!(text::render(&comparisons(), &evidence));
}

#[test]
fn for_a_pull_request() {
    insta::assert_snapshot!(markdown::render(&comparisons()));
}

#[test]
fn for_programs() {
    let mut bytes = Vec::new();
    json::write(
        &comparisons(),
        &[],
        crate::json::Layout::Indented,
        &mut bytes,
    )
    .expect("memory takes everything");
    insta::assert_snapshot!(String::from_utf8_lossy(&bytes));
}
