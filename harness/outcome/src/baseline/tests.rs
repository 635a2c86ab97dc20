use std::path::Path;

use super::*;
use crate::testing::{self, saved_run};
use crate::update_baseline::Updated;

fn parsed(text: &str) -> Baseline {
    read(Path::new("b.yaml"), text).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn what_is_written_is_read_again() {
    let mut run = saved_run();
    let first = run.cases.values_mut().next().expect("there are cases");
    first.known = Some(Known {
        reason: "the driver: \"late\", says 10 %".into(),
        bug: Some("#12".into()),
        shows: Some(Sign {
            sign: SignKind::Errno("EPIPE".into()),
            call: Some("write".into()),
            lane: None,
            after: Some((Duration::from_millis(61), Duration::from_secs(7_875))),
            known: None,
            first_byte: Some((Duration::from_millis(1_340), Duration::from_millis(1_340))),
        }),
    });
    let overrides = [("net.ipv4.tcp_rmem".into(), "4096 8192 16384".into())];
    run.setting.overrides = [("client".into(), overrides.into())].into();
    let baseline = Baseline { runs: vec![run] };
    let text = baseline.to_string();
    assert_eq!(parsed(&text), baseline);
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_at_all_is_read_again() {
    let baseline = Baseline::default();
    let text = baseline.to_string();
    assert!(
        read(Path::new("b.yaml"), &text).is_ok_and(|b| b == baseline),
        "{text}"
    );
}

fn saved(old: SavedRun, new: SavedRun, picked: &dyn Fn(&str) -> bool) -> (Baseline, Updated) {
    let mut baseline = Baseline { runs: vec![old] };
    let updated = baseline
        .update(new, picked)
        .unwrap_or_else(|e| panic!("{e}"));
    (baseline, updated)
}

const CRASH: &str = "host-crash-while-writing/detector=none,network=lan";

fn later(run: &mut SavedRun, by: Duration) {
    let entry = run.cases.get_mut(CRASH).expect("the fixture has it");
    if let CaseResult::Ran(ran) = &mut entry.result {
        ran.sign.after = ran.sign.after.map(|(a, b)| (a + by, b + by));
    }
}

#[test]
fn saving_again_leaves_what_is_within_the_tolerance() {
    let mut new = saved_run();
    later(&mut new, Duration::from_millis(40));
    let (baseline, _) = saved(saved_run(), new, &|_| true);
    assert_eq!(baseline.runs, [saved_run()]);
    let mut new = saved_run();
    later(&mut new, Duration::from_secs(40));
    let (baseline, _) = saved(saved_run(), new.clone(), &|_| true);
    assert_eq!(baseline.runs, [new]);
}

#[test]
fn saving_again_keeps_a_known_difference_until_it_is_none() {
    let mut old = saved_run();
    let known = Known {
        reason: "a driver's bug".into(),
        bug: None,
        shows: None,
    };
    old.cases.get_mut(CRASH).expect("it has it").known = Some(known);
    let mut new = saved_run();
    later(&mut new, Duration::from_secs(40));
    let (baseline, updated) = saved(old.clone(), new, &|_| true);
    assert_eq!(updated.known, [CRASH]);
    assert_eq!(baseline.runs[0].cases[CRASH], old.cases[CRASH]);
    let (baseline, updated) = saved(old, saved_run(), &|_| true);
    assert_eq!(updated.resolved, [CRASH]);
    assert_eq!(baseline.runs, [saved_run()]);
}

#[test]
fn saving_a_part_leaves_the_rest() {
    let part = |run: &mut SavedRun| run.cases.retain(|id, _| id == CRASH);
    let mut new = saved_run();
    part(&mut new);
    later(&mut new, Duration::from_secs(40));
    let picked = |id: &str| id.starts_with("host-crash");
    let (baseline, _) = saved(saved_run(), new.clone(), &picked);
    let cases = &baseline.runs[0].cases;
    assert_eq!(cases[CRASH], new.cases[CRASH]);
    assert!(cases.contains_key("idle-client"));
    assert!(
        !cases.keys().any(|id| id.contains("user-timeout")),
        "picked and not there any more: {:?}",
        cases.keys()
    );
    new.setting.overrides = [("all".into(), [("k".into(), "1".into())].into())].into();
    let mixed = Baseline {
        runs: vec![saved_run()],
    }
    .update(new.clone(), &picked);
    let error = mixed.expect_err("two environments in one run");
    assert!(error.to_string().contains("k on every host"), "{error}");
    new.setting.kernel = "5.10.0".into();
    let (baseline, _) = saved(saved_run(), new, &picked);
    let kernels: Vec<_> = baseline
        .runs
        .iter()
        .map(|r| r.setting.kernel.as_str())
        .collect();
    assert_eq!(kernels, ["5.10.0", "6.12.0"], "sorted by version");
}

#[test]
fn a_disturbed_case_replaces_no_result() {
    let disturbed = SavedRun::of(
        &testing::environment(),
        &testing::cases(),
        &[testing::disturbed()],
    );
    let id = testing::disturbed().id;
    assert_eq!(
        disturbed.cases[&id].result,
        CaseResult::NotRun(DISTURBED.into())
    );
    let ran = testing::crash("none", "ETIMEDOUT", 3_000, Verdict::AsExpected);
    let ran = SavedRun::of(&testing::environment(), &testing::cases(), &[ran]);
    let (baseline, _) = saved(ran.clone(), disturbed, &|_| true);
    assert_eq!(baseline.runs, [ran]);
}
