use super::*;
use crate::record::{
    Call, CallResult, FaultRecord, ProgramDetector, ProgramRecord, SocketSettings, Verdict,
};
use crate::testing;
use halfopen_predict::Version;
use halfopen_scenario::parse;

const SECOND: i64 = 1_000_000_000;
/// When the server's host loses power.
const FAULT: i64 = 10 * SECOND;

fn case() -> Case {
    let text = "
version: 1
scenarios:
  it:
    about: A program waits.
    server: [listen, accept, read, { sleep: 20h }]
    client: { run: it }
    watch: [client]
    faults: [{ at: 10s, crash: server }]
    give_up: 5m
";
    parse("t", text).expect("the fixture is right").cases[0].clone()
}

fn settings() -> SocketSettings {
    SocketSettings {
        keepalive: true,
        idle_ns: Some(15_000_000_000),
        interval_ns: Some(5_000_000_000),
        count: Some(3),
        ..SocketSettings::default()
    }
}

/// A call on the connection: its name, its time in seconds, and its result.
fn call(name: &str, times: (f64, Option<f64>), result: CallResult) -> Call {
    let ns = |seconds: f64| (seconds * 1e9) as i64;
    Call {
        call: name.into(),
        conn: Some("server:7000".into()),
        line: 0,
        step: 0,
        start_ns: ns(times.0),
        end_ns: times.1.map(ns),
        result,
        limit_ns: None,
    }
}

fn connect() -> Call {
    call("connect", (0.001, Some(0.002)), CallResult::Value(0))
}

/// What a program showed: its sign so many seconds after the fault.
fn showed(sign: SignKind, by: &str, after: Option<f64>, calls: Vec<Call>) -> Outcome {
    let mut outcome = testing::crash("none", "ETIMEDOUT", 0, Verdict::Observed);
    outcome.faults = vec![FaultRecord {
        name: "crash".into(),
        what: "crash server".into(),
        is_fault: true,
        due_ns: Some(FAULT),
        asked_ns: FAULT,
        effective_ns: FAULT,
    }];
    let first = outcome.first_sign.as_mut().expect("the fixture has one");
    first.call = by.into();
    first.outcome = sign;
    first.since_fault_ns = after.map(|after| (after * 1e9) as i64);
    outcome.endpoints[0].program = true;
    outcome.endpoints[0].processes[0].calls = calls;
    outcome.wire.packets.truncate(3);
    let mut question = outcome.wire.packets[2].clone();
    (question.kind, question.flags, question.len) = ("data".into(), "PA".into(), 5);
    outcome.wire.packets.push(question);
    outcome.programs = vec![ProgramRecord {
        lane: "client".into(),
        host: "client".into(),
        boot: 0,
        command: vec!["it".into()],
        lines: Vec::new(),
        lines_left_out: 0,
        detectors: vec![ProgramDetector {
            conn: Some("server:7000".into()),
            text: "keepalive 15 s/5 s/3".into(),
            set: settings(),
        }],
        signals: Vec::new(),
        signals_left_out: 0,
        observer: Default::default(),
        notes: Vec::new(),
    }];
    outcome
}

fn predicted(outcome: &Outcome) -> Result<Prediction, String> {
    let first = outcome.first_sign.as_ref().expect("there is one");
    let version = Version::parse("6.12.0").expect("a version");
    predict(&case(), outcome, first, &KernelFacts::new(version, 250))
}

fn etimedout() -> SignKind {
    SignKind::Errno("ETIMEDOUT".into())
}

/// 15 s and three times 5 s after the last data, which came right after the start.
#[test]
fn a_read_ends_by_the_keepalive_that_the_program_set() {
    let failed = CallResult::Errno("ETIMEDOUT".into());
    let read = call("recvfrom", (0.01, Some(30.4)), failed);
    let outcome = showed(etimedout(), "recvfrom", Some(20.4), vec![connect(), read]);
    let prediction = predicted(&outcome).expect("it is simple");
    assert_eq!(prediction.sign, etimedout());
    assert_eq!(prediction.call.as_deref(), Some("recvfrom"));
    let seconds = (prediction.earliest.as_secs(), prediction.latest.as_secs());
    assert!(seconds == (20, 20) || seconds == (20, 21), "{prediction:?}");
    // Without its settings nobody notices.
    let mut outcome = outcome;
    outcome.programs[0].detectors.clear();
    let prediction = predicted(&outcome).expect("it is simple");
    assert_eq!(prediction.sign, SignKind::Unnoticed);
}

/// A poll() that a signal interrupted is made again, and what it says is read.
#[test]
fn a_poll_is_ended_by_its_limit_or_by_the_kernel() {
    let eintr = CallResult::Errno("EINTR".into());
    let wait = |end, result, limit| Call {
        limit_ns: Some(limit),
        ..call("poll", (12.0, Some(end)), result)
    };
    let interrupted = || call("poll", (0.01, Some(12.0)), eintr.clone());
    let close = call("close", (22.001, Some(22.001)), CallResult::Value(0));
    let runs_out = wait(22.0, CallResult::Value(0), 10_000_000_000);
    let calls = vec![connect(), interrupted(), runs_out, close];
    let outcome = showed(SignKind::Timeout, "poll", Some(12.0), calls);
    let prediction = predicted(&outcome).expect("it is simple");
    assert_eq!(prediction.sign, SignKind::Timeout);
    assert_eq!(prediction.earliest, Duration::from_secs(12));
    assert_eq!(prediction.latest, Duration::from_millis(12_010));

    let ready = CallResult::Ready(vec!["socket:IN|ERR|HUP".into()]);
    let waits = wait(30.4, ready, 100_000_000_000);
    let failed = CallResult::Errno("ETIMEDOUT".into());
    let read = call("recvfrom", (30.4, Some(30.4)), failed);
    let calls = vec![connect(), interrupted(), waits, read];
    let outcome = showed(etimedout(), "recvfrom", Some(20.4), calls);
    let prediction = predicted(&outcome).expect("it is simple");
    assert_eq!(prediction.sign, etimedout());
}

/// What a program does by itself is not predicted, and the reason is said.
#[test]
fn a_program_with_a_logic_of_its_own_is_not_predicted() {
    let why = |sign, by, after, calls: Vec<Call>| {
        predicted(&showed(sign, by, after, calls)).expect_err("it is not simple")
    };
    let limit = |end| call("poll", (0.01, Some(end)), CallResult::Value(0));
    let close = || call("close", (22.001, Some(22.001)), CallResult::Value(0));
    // Ticks, which are recorded as one call.
    let calls = vec![connect(), limit(22.0), close()];
    let said = why(SignKind::Timeout, "poll", Some(12.0), calls);
    assert_eq!(said, "it gives up by a time that it counts itself");

    let beat = call("write", (11.0, Some(11.0)), CallResult::Value(5));
    let failed = CallResult::Errno("ETIMEDOUT".into());
    let read = || call("recvfrom", (0.01, Some(30.4)), failed.clone());
    let calls = vec![connect(), read(), beat];
    let said = why(etimedout(), "recvfrom", Some(20.4), calls);
    assert_eq!(said, "it calls write() before it notices");

    let said = why(SignKind::Unnoticed, "", None, vec![connect()]);
    assert_eq!(
        said,
        "it does not wait on its connection when the fault strikes"
    );

    let another = Call {
        conn: Some("server:7001".into()),
        ..connect()
    };
    let said = why(
        etimedout(),
        "recvfrom",
        Some(20.4),
        vec![connect(), another, read()],
    );
    assert_eq!(said, "it has had 2 connections");
}
