use super::*;
use crate::environment::WheelAt;
use crate::record::Verdict;
use crate::simulated::simulated;
use crate::testing;
use halfopen_scenario::case::SignKind;

fn first_sign(ms: i64) -> FirstSign {
    FirstSign {
        endpoint: "client".into(),
        call: "read".into(),
        outcome: SignKind::Errno("ETIMEDOUT".into()),
        errno: Some("ETIMEDOUT".into()),
        since_fault_ns: Some(ms * 1_000_000),
        wire_evidence_ns: None,
    }
}

fn predicted(earliest: u64, latest: u64) -> Prediction {
    Prediction {
        sign: SignKind::Errno("ETIMEDOUT".into()),
        call: Some("read".into()),
        lane: Some("client".into()),
        earliest: Duration::from_millis(earliest),
        latest: Duration::from_millis(latest),
        branches: Vec::new(),
        first_byte: None,
        others: Vec::new(),
        share: None,
        because: String::new(),
        rules: Vec::new(),
    }
}

#[test]
fn a_late_process_is_inside_and_an_early_one_is_not() {
    let prediction = predicted(3_000, 3_100);
    let outside = |ms, delay_ms| {
        let delay = Duration::from_millis(delay_ms);
        sign_outside(&prediction, &first_sign(ms), delay, &PREDICTED_REAL_TIME).is_some()
    };
    assert!(!outside(3_050, 0) && !outside(3_140, 0));
    assert!(outside(2_900, 0) && outside(3_600, 0));
    assert!(!outside(2_980, 30));
}

#[test]
fn another_errno_is_outside_whenever_it_comes() {
    let mut reset = first_sign(3_050);
    reset.outcome = SignKind::Errno("ECONNRESET".into());
    let prediction = predicted(3_000, 3_100);
    let text = sign_outside(&prediction, &reset, Duration::ZERO, &PREDICTED_REAL_TIME);
    assert!(text.is_some_and(|t| t.contains("ETIMEDOUT was predicted")));
}

/// What an outcome of the fixture was compared with.
fn compared_with(change: impl Fn(&mut Outcome, &mut Environment)) -> Option<ComparedWith> {
    let mut environment = testing::environment();
    let mut outcomes = [testing::crash(
        "none",
        "ETIMEDOUT",
        3_052,
        crate::record::Verdict::AsExpected,
    )];
    change(&mut outcomes[0], &mut environment);
    compare_all(&testing::cases(), &mut outcomes, &environment);
    let [outcome] = outcomes;
    let fallbacks = fallbacks(std::slice::from_ref(&outcome)).count();
    assert_eq!(fallbacks, usize::from(outcome.fallback().is_some()));
    outcome.compared_with
}

#[test]
fn real_time_is_compared_with_the_case_s_prediction() {
    assert_eq!(compared_with(|_, _| ()), Some(ComparedWith::Case));
    let not_run = compared_with(|outcome, _| outcome.status = Status::NotRun("no".into()));
    assert_eq!(not_run, None);
}

#[test]
fn a_fallback_in_virtual_time_has_its_reason() {
    let without_wheel = compared_with(|_, environment| environment.time = "virtual".into());
    let Some(ComparedWith::Fallback(why)) = without_wheel else {
        panic!("{without_wheel:?}");
    };
    assert!(why.contains("timer wheel"), "{why}");
    let with_wheel = compared_with(|outcome, environment| {
        environment.time = "virtual".into();
        environment.wheel = Some(WheelAt {
            jiffies: 1_000,
            tick_ns: 0,
        });
        outcome.started_ns = Some(1_000_000_000);
    });
    assert!(with_wheel.is_some(), "{with_wheel:?}");
    assert_ne!(with_wheel, Some(ComparedWith::Case));
}

#[test]
fn a_fault_is_as_late_as_it_was_after_its_moment() {
    let case = testing::cases().remove(0);
    let mut faults = testing::crash("none", "ETIMEDOUT", 3_000, Verdict::AsExpected).faults;
    // It waits for a mark, not for a time of its own.
    faults[0].name = "another".into();
    let asked = fault_delay(&case, &faults);
    assert_eq!(asked, Duration::from_micros(40));
    faults[0].due_ns = Some(faults[0].asked_ns - 45_000_000);
    let delay = fault_delay(&case, &faults);
    assert_eq!(delay, Duration::from_micros(45_040));
}

/// A client that connects 190 ms late sends each heartbeat 190 ms late, and the server
/// misses the next one so much later.
#[test]
fn a_program_that_started_late_is_no_surprise_and_a_late_sign_is_one() {
    let case = |first: &str| {
        let text = format!(
            "\
version: 1
detectors: {{ one-way: {{ heartbeat: {{ every: 300ms, timeout: 1s }} }} }}
scenarios:
  late-start:
    detector: one-way
    detector_on: both
    server: [listen, accept, echo]
    client: [{first}connect, {{ exchange: hello }}, read]
    watch: [server]
    faults: [{{ at: 800ms, crash: client }}]
    give_up: 5s
"
        );
        let parsed = halfopen_scenario::parse("test", &text);
        parsed.expect("a scenario").cases.remove(0)
    };
    let environment = testing::environment();
    let version = Version::parse(&environment.kernel).expect("a version");
    let facts = KernelFacts::new(version, environment.hz.expect("is known"));
    let compare = |first: &str, later_ns: i64| {
        let mut outcome = simulated(&case(first), facts).expect("it is modelled");
        for process in outcome.endpoints.iter_mut().flat_map(|e| &mut e.processes) {
            process.calls.retain(|call| call.call != "sleep");
        }
        let sign = outcome.first_sign.as_mut().expect("every case has one");
        sign.since_fault_ns = sign.since_fault_ns.map(|at| at + later_ns);
        compare_all(
            &[case("")],
            std::slice::from_mut(&mut outcome),
            &environment,
        );
        (outcome.outside.is_some(), outcome.compared_with)
    };
    assert_eq!(compare("", 0), (false, Some(ComparedWith::Case)));
    let late = "{ sleep: 190ms }, ";
    assert_eq!(compare(late, 0), (false, Some(ComparedWith::Moments)));
    assert!(compare(late, 200_000_000).0 && compare("", 200_000_000).0);
}
