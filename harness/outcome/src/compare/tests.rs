use std::time::Duration;

use super::*;
use crate::baseline::{Baseline, CaseResult, Observation, SavedRun, Setting};
use crate::comparison::Comparison;
use crate::testing::{cases, saved_run};
use halfopen_scenario::case::{Sign, SignKind};

const CRASH: &str = "host-crash-while-writing/detector=none,network=lan";
const KEEPALIVE: &str = "host-crash-while-writing/detector=keepalive-2-1-3,network=lan";

fn observation<'a>(run: &'a mut SavedRun, id: &str) -> &'a mut Observation {
    let entry = run.cases.get_mut(id).expect("the fixture has it");
    match &mut entry.result {
        CaseResult::Ran(ran) => ran,
        other => panic!("{other:?}"),
    }
}

fn compared(old: &SavedRun, new: &SavedRun, id: &str) -> ComparedCase {
    let all = runs(old, new);
    let one = all.into_iter().find(|c| c.id == id);
    one.unwrap_or_else(|| panic!("no {id}"))
}

fn changed(
    change: impl Fn(&mut Observation),
    setting: impl Fn(&mut Setting),
) -> Vec<(String, String, String)> {
    let (mut old, mut new) = (saved_run(), saved_run());
    setting(&mut old.setting);
    setting(&mut new.setting);
    change(observation(&mut new, CRASH));
    let case = compared(&old, &new, CRASH);
    let differences = case.differences.into_iter();
    differences.map(|d| (d.what, d.old, d.new)).collect()
}

fn real_time(_: &mut Setting) {}

fn in_virtual_time(setting: &mut Setting) {
    setting.clock = "virtual".into();
}

fn one(what: &str, old: &str, new: &str) -> Vec<(String, String, String)> {
    vec![(what.into(), old.into(), new.into())]
}

#[test]
fn the_same_is_unchanged() {
    let all = runs(&saved_run(), &saved_run());
    let expected = |c: &ComparedCase| match c.id.as_str() {
        "keepalive-defaults" => ChangeKind::NotRun,
        _ => ChangeKind::Unchanged,
    };
    for case in &all {
        assert_eq!(case.kind, expected(case), "{}", case.id);
    }
    assert!(!Totals::of(&all).any_change());
    assert!(settings(&saved_run().setting, &saved_run().setting).is_empty());
}

#[test]
fn each_field_that_differs_is_named() {
    let errno = |ran: &mut Observation| ran.sign.sign = SignKind::Errno("EHOSTUNREACH".into());
    assert_eq!(
        changed(errno, real_time),
        one("sign", "ETIMEDOUT", "EHOSTUNREACH")
    );
    let call = |ran: &mut Observation| ran.sign.call = Some("write".into());
    assert_eq!(changed(call, real_time), one("call", "read", "write"));
    let lane = |ran: &mut Observation| ran.sign.lane = Some("server".into());
    assert_eq!(changed(lane, real_time), one("lane", "client", "server"));
    let states = |ran: &mut Observation| ran.states = vec!["client CLOSE_WAIT".into()];
    assert_eq!(
        changed(states, real_time),
        one("states", "-", "client CLOSE_WAIT")
    );
    let after = |ms| {
        move |ran: &mut Observation| {
            let at = Duration::from_millis(ms);
            ran.sign.after = Some((at, at));
        }
    };
    assert_eq!(
        changed(after(5_000), real_time),
        one("after", "3.052s", "5s")
    );
    assert!(
        changed(after(3_300), real_time).is_empty(),
        "the tolerance of real time"
    );
    assert_eq!(
        changed(after(3_300), in_virtual_time),
        one("after", "3.052s", "3.3s")
    );
}

#[test]
fn packets_are_counted_where_counting_means_something() {
    let again = |n| {
        move |ran: &mut Observation| {
            let wire = ran.wire.as_mut().expect("nothing was lost");
            wire.insert("retransmissions".into(), n);
        }
    };
    assert!(changed(again(2), real_time).is_empty(), "a busy machine's");
    assert_eq!(
        changed(again(2), in_virtual_time),
        one("retransmissions", "1", "2")
    );
    assert!(
        changed(again(0), real_time).is_empty(),
        "a loss probe more or less"
    );
    let reset = |ran: &mut Observation| {
        let wire = ran.wire.as_mut().expect("nothing was lost");
        wire.insert("rst".into(), 2);
    };
    assert_eq!(changed(reset, real_time), one("rst", "0", "2"));
    let probes = |ran: &mut Observation| {
        let wire = ran.wire.as_mut().expect("nothing was lost");
        wire.insert("keepalive-probes".into(), 9);
    };
    assert_eq!(
        changed(probes, real_time),
        one("keepalive-probes", "0", "9")
    );
    let lost = |ran: &mut Observation| ran.wire = None;
    assert!(
        changed(lost, in_virtual_time).is_empty(),
        "not known is not 0"
    );
}

#[test]
fn new_gone_not_run_and_failed() {
    let (mut old, mut new) = (saved_run(), saved_run());
    old.cases.remove(CRASH);
    new.cases.remove(KEEPALIVE);
    let idle = new.cases.get_mut("idle-client").expect("it has it");
    idle.result = CaseResult::NotRun("no such sysctl".into());
    let broken = old.cases.get_mut("lab-broken").expect("it has it");
    broken.result = idle.result.clone();
    let what = |id: &str| compared(&old, &new, id).kind;
    assert_eq!(what(CRASH), ChangeKind::New);
    assert_eq!(what(KEEPALIVE), ChangeKind::Gone);
    assert_eq!(what("idle-client"), ChangeKind::NotRun);
    assert_eq!(what("lab-broken"), ChangeKind::New, "not run before");
    let failed = compared(
        &saved_run(),
        &{
            let mut run = saved_run();
            run.cases.get_mut(CRASH).expect("it has it").result =
                CaseResult::Failed("no room".into());
            run
        },
        CRASH,
    );
    assert_eq!(failed.kind, ChangeKind::Changed);
    assert_eq!(failed.differences[0].new, "failed: no room");
}

#[test]
fn a_known_difference_is_no_change_unless_it_is_another_one() {
    let with = |shows: Option<&str>, seen: &str| {
        let (mut old, mut new) = (saved_run(), saved_run());
        let errno = |name: &str| SignKind::Errno(name.into());
        let shows = shows.map(|name| Sign {
            sign: errno(name),
            call: None,
            lane: None,
            after: None,
            known: None,
            first_byte: None,
        });
        old.cases.get_mut(CRASH).expect("it has it").known = Some(Known {
            reason: "mended in 6.13".into(),
            bug: Some("#12".into()),
            shows,
        });
        observation(&mut new, CRASH).sign.sign = errno(seen);
        let case = compared(&old, &new, CRASH);
        (case.kind, case.is_resolved())
    };
    assert_eq!(with(None, "EPIPE"), (ChangeKind::Known, false));
    assert_eq!(with(Some("EPIPE"), "EPIPE"), (ChangeKind::Known, false));
    assert_eq!(
        with(Some("EPIPE"), "ECONNRESET"),
        (ChangeKind::Changed, false)
    );
    assert_eq!(with(None, "ETIMEDOUT"), (ChangeKind::Unchanged, true));
}

fn cause(setting: impl Fn(&mut Setting), after: Duration) -> String {
    let (old, mut new) = (saved_run(), saved_run());
    setting(&mut new.setting);
    observation(&mut new, CRASH).sign.after = Some((after, after));
    let (old, new) = (Baseline { runs: vec![old] }, Baseline { runs: vec![new] });
    let all = Comparison::all(&old, &new, &cases());
    let case = all[0].cases.iter().find(|c| c.id == CRASH);
    case.and_then(|c| c.cause.clone()).unwrap_or_default()
}

fn retries2(host: &'static str, value: &'static str) -> impl Fn(&mut Setting) {
    move |setting| {
        let set = [("net.ipv4.tcp_retries2".to_owned(), value.to_owned())];
        setting.overrides.insert(host.into(), set.into());
        // It takes no part.
        let other = ("net.ipv4.tcp_fin_timeout".to_owned(), "30".to_owned());
        let all = setting.overrides.entry("server".into()).or_default();
        all.insert(other.0, other.1);
    }
}

#[test]
fn the_sysctl_that_explains_a_change_is_named_and_no_other() {
    let text = cause(retries2("client", "8"), Duration::from_secs(108));
    assert!(
        text.starts_with("net.ipv4.tcp_retries2 on client, 3 -> 8: "),
        "{text}"
    );
    assert!(!text.contains("fin_timeout"), "{text}");
    let text = cause(retries2("client", "8"), Duration::from_secs(20));
    assert!(
        text.starts_with("perhaps net.ipv4.tcp_retries2 on client"),
        "{text}"
    );
    let text = cause(retries2("router", "8"), Duration::from_secs(108));
    assert_eq!(
        text,
        "none that the kernel's rules know: they predict the same sign in both environments"
    );
    let text = cause(|_| (), Duration::from_secs(20));
    assert!(text.starts_with("the environment is the same"), "{text}");
}

#[test]
fn a_case_that_was_edited_is_its_own_cause() {
    let (mut old, mut new) = (saved_run(), saved_run());
    old.cases.get_mut(CRASH).expect("it has it").definition = "0".repeat(16);
    observation(&mut new, CRASH).sign.sign = SignKind::Eof;
    let (old, new) = (Baseline { runs: vec![old] }, Baseline { runs: vec![new] });
    let all = Comparison::all(&old, &new, &cases());
    let case = all[0].cases.iter().find(|c| c.id == CRASH);
    let text = case.and_then(|c| c.cause.clone()).unwrap_or_default();
    assert!(text.contains("the case itself"), "{text}");
}

#[test]
fn runs_are_paired_by_kernel_then_by_series() {
    let on = |kernel: &str, clock: &str| {
        let mut run = saved_run();
        run.setting.kernel = kernel.into();
        run.setting.clock = clock.into();
        run
    };
    let old = Baseline {
        runs: vec![
            on("6.1.0-50", "real"),
            on("6.12.107", "virtual"),
            on("6.12.107", "real"),
        ],
    };
    let new = Baseline {
        runs: vec![
            on("6.12.117", "real"),
            on("7.1.0", "real"),
            on("6.12.107", "virtual"),
        ],
    };
    let found: Vec<_> = pairs(&old, &new)
        .iter()
        .map(|p| {
            let kernel =
                |k: Option<&SavedRun>| k.map_or("-".to_owned(), |k| k.setting.kernel.clone());
            format!("{} {}", kernel(p.old), kernel(p.new))
        })
        .collect();
    // One run is left on either side: they are paired.
    assert_eq!(
        found,
        ["6.12.107 6.12.117", "6.1.0-50 7.1.0", "6.12.107 6.12.107"]
    );
    let new = Baseline {
        runs: vec![on("7.1.0", "real"), on("7.2.0", "real")],
    };
    assert_eq!(pairs(&old, &new).len(), 5);
}

#[test]
fn a_first_byte_that_comes_much_later_is_a_difference() {
    let with = |byte: Option<u64>| {
        let mut run = saved_run();
        let byte = byte.map(Duration::from_millis);
        observation(&mut run, CRASH).sign.first_byte = byte.map(|at| (at, at));
        run
    };
    let what = |old, new| compared(&with(old), &with(new), CRASH);
    assert_eq!(what(Some(1_340), Some(1_400)).kind, ChangeKind::Unchanged);
    let later = &what(Some(1_340), Some(6_700)).differences[0];
    assert_eq!(
        (later.what.as_str(), later.old.as_str(), later.new.as_str()),
        ("first byte", "1.34s", "6.7s")
    );
    assert_eq!(what(Some(1_340), None).differences.len(), 1);
    assert_eq!(
        what(None, Some(1_340)).kind,
        ChangeKind::Unchanged,
        "not kept then"
    );
}
