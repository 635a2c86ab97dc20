//! Outcomes built by hand, as a run would give them, for the tests of this crate
//! and of the reports.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use crate::baseline::Kept;
use crate::environment::Environment;
use crate::record::*;
use halfopen_scenario::case::{Case, Sign, SignKind};
use halfopen_scenario::parse;

const MS: i64 = 1_000_000;

pub fn environment() -> Environment {
    Environment {
        kernel: "6.12.0".into(),
        hz: Some(250),
        time: "real".into(),
        congestion_control: "reno".into(),
        halfopen: "0.1.0".into(),
        privileges: "root".into(),
        sysctls: BTreeMap::from([("net.ipv4.tcp_retries2".into(), "15".into())]),
        overrides: BTreeMap::new(),
        connection_objects: BTreeMap::from([("TCP".into(), 2368), ("filp".into(), 192)]),
        wheel: None,
    }
}

fn sign(kind: SignKind, after: Option<(u64, u64)>) -> Sign {
    let after = after.map(|(a, b)| (Duration::from_millis(a), Duration::from_millis(b)));
    Sign {
        sign: kind,
        call: None,
        lane: None,
        after,
        first_byte: None,
        known: None,
    }
}

fn call(name: &str, start: i64, end: Option<i64>, result: CallResult) -> Call {
    Call {
        call: name.into(),
        conn: None,
        line: 12,
        start_ns: start,
        end_ns: end,
        result,
    }
}

fn packet(at: i64, from: &str, kind: &str, flags: &str, len: u32, delivered: bool) -> Packet {
    let client = "10.77.0.1:40000".to_owned();
    let server = "10.77.0.2:7000".to_owned();
    let (src, dst) = if from == "client" {
        (client, server)
    } else {
        (server, client)
    };
    Packet {
        sent_ns: at,
        delivered_ns: delivered.then_some(at + 20_000),
        cable: "client-server".into(),
        from: from.into(),
        src,
        dst,
        kind: kind.into(),
        flags: flags.into(),
        seq: Some(1),
        ack: Some(1),
        len,
        frame: 66 + len,
        window: Some(502),
        retransmission: false,
    }
}

/// A host crash at 500 ms that the client's read shows `after_ms` later.
pub fn crash(detector: &str, errno: &str, after_ms: i64, verdict: Verdict) -> Outcome {
    let fault = 500 * MS;
    let end = fault + after_ms * MS;
    let mut again = packet(fault + 205 * MS, "client", "data", "PA", 5, false);
    again.retransmission = true;
    Outcome {
        id: format!("host-crash-while-writing/detector={detector},network=lan"),
        scenario: "host-crash-while-writing".into(),
        axes: [
            ("detector".into(), detector.into()),
            ("network".into(), "lan".into()),
        ]
        .into(),
        source: vec!["H1".into(), "UNP 5.14".into()],
        book: Some(sign(
            SignKind::Errno("ETIMEDOUT".into()),
            Some((540_000, 540_000)),
        )),
        expect: Some(sign(
            SignKind::Errno("ETIMEDOUT".into()),
            Some((3_000, 3_600)),
        )),
        notes: None,
        status: Status::Ran,
        started_ns: None,
        first_sign: Some(FirstSign {
            endpoint: "client".into(),
            call: "read".into(),
            outcome: SignKind::Errno(errno.into()),
            errno: Some(errno.into()),
            since_fault_ns: Some(after_ms * MS),
            wire_evidence_ns: None,
        }),
        faults: vec![FaultRecord {
            name: "crash".into(),
            what: "crash server".into(),
            is_fault: true,
            asked_ns: fault - 40_000,
            effective_ns: fault,
        }],
        endpoints: vec![
            EndpointRecord {
                lane: "client".into(),
                host: "client".into(),
                boot: 0,
                processes: vec![ProcessRecord {
                    number: 0,
                    calls: vec![
                        call("connect", MS, Some(MS + 150_000), CallResult::Value(0)),
                        call(
                            "write",
                            fault + MS,
                            Some(fault + MS + 9_000),
                            CallResult::Value(5),
                        ),
                        call(
                            "read",
                            fault + 2 * MS,
                            Some(end),
                            CallResult::Errno(errno.into()),
                        ),
                    ],
                    end: None,
                }],
            },
            EndpointRecord {
                lane: "server".into(),
                host: "server".into(),
                boot: 0,
                processes: vec![ProcessRecord {
                    number: 0,
                    calls: vec![
                        call("accept", 0, Some(MS + 200_000), CallResult::Value(4)),
                        call("read", 2 * MS, None, CallResult::Blocked),
                    ],
                    end: Some(ProcessEnd {
                        at_ns: fault + 90_000,
                        how: ExitKind::Killed("SIGKILL".into()),
                    }),
                }],
            },
        ],
        netstat: vec![],
        wire: WireRecord {
            counts: WireCounts {
                syn: 1,
                syn_ack: 1,
                pure_ack: 1,
                data: 2,
                psh: 2,
                retransmissions: 1,
                ..WireCounts::default()
            },
            packets: vec![
                packet(MS + 40_000, "client", "SYN", "S", 0, true),
                packet(MS + 80_000, "server", "SYN+ACK", "SA", 0, true),
                packet(MS + 120_000, "client", "ack", "A", 0, true),
                packet(fault + MS + 4_000, "client", "data", "PA", 5, false),
                again,
            ],
            lost_by_capture: 0,
        },
        verdict,
        surprises: vec![],
        prediction: None,
        unpredictable: None,
        outside: None,
        recovery: None,
    }
}

/// The client that sends nothing and learns nothing.
pub fn unnoticed() -> Outcome {
    let mut outcome = crash("none", "", 0, Verdict::AsExpected);
    outcome.id = "idle-client".into();
    outcome.scenario = "idle-client".into();
    outcome.axes.clear();
    outcome.source = vec!["H4".into()];
    outcome.book = Some(sign(SignKind::Unnoticed, None));
    outcome.expect = outcome.book.clone();
    outcome.first_sign = Some(FirstSign {
        endpoint: String::new(),
        call: String::new(),
        outcome: SignKind::Unnoticed,
        errno: None,
        since_fault_ns: None,
        wire_evidence_ns: None,
    });
    outcome.endpoints[0].processes[0].calls.truncate(1);
    outcome
}

/// Linux reads EOF where the book says ECONNRESET.
pub fn not_the_book() -> Outcome {
    let mut outcome = crash("none", "", 0, Verdict::AsExpected);
    outcome.id = "process-killed-rst-first".into();
    outcome.scenario = "process-killed-rst-first".into();
    outcome.axes.clear();
    outcome.source = vec!["P3".into(), "UNP 5.12".into()];
    outcome.book = Some(sign(SignKind::Errno("ECONNRESET".into()), None));
    outcome.expect = Some(sign(SignKind::Eof, None));
    outcome.notes = Some("Linux: after FIN then RST in CLOSE_WAIT the read still returns 0; the next send fails with EPIPE.".into());
    outcome.first_sign = Some(FirstSign {
        endpoint: "client".into(),
        call: "read".into(),
        outcome: SignKind::Eof,
        errno: None,
        since_fault_ns: Some(73_400),
        wire_evidence_ns: Some(41_000),
    });
    outcome.endpoints[0].processes[0].calls[2] = call(
        "read",
        2 * MS,
        Some(500 * MS + 73_400),
        CallResult::Value(0),
    );
    outcome
}

fn without_record(id: &str, status: Status, verdict: Verdict) -> Outcome {
    let mut outcome = crash("none", "", 0, verdict);
    outcome.id = id.into();
    outcome.scenario = id.into();
    outcome.axes.clear();
    outcome.status = status;
    outcome.first_sign = None;
    outcome.faults.clear();
    outcome.endpoints.clear();
    outcome.wire = WireRecord::default();
    outcome
}

pub fn not_run() -> Outcome {
    without_record(
        "keepalive-defaults",
        Status::NotRun("virtual time".into()),
        Verdict::NotRun,
    )
}

pub fn failed() -> Outcome {
    let why = "failed to create namespace server: No space left on device (os error 28)";
    without_record("lab-broken", Status::Failed(why.into()), Verdict::Failed)
}

/// One of everything.
pub fn all() -> Vec<Outcome> {
    let mut differs = crash("keepalive-2-1-3", "ECONNRESET", 1_204, Verdict::Differs);
    differs
        .surprises
        .push("an RST reached the client although the host was silent".into());
    differs.outside = Some("ETIMEDOUT was predicted, ECONNRESET was seen".into());
    let predicted = halfopen_predict::Prediction {
        sign: SignKind::Errno("ETIMEDOUT".into()),
        call: Some("read".into()),
        lane: Some("client".into()),
        earliest: Duration::from_millis(3_000),
        latest: Duration::from_millis(3_080),
        branches: vec![],
        because: "retransmissions until 1.4 s have passed since the first".into(),
        first_byte: None,
        rules: vec![halfopen_predict::RuleId::Retransmission],
    };
    differs.prediction = Some(predicted.clone());
    let mut foreseen = crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
    foreseen.prediction = Some(predicted);
    vec![
        foreseen,
        differs,
        crash("user-timeout-3s", "ETIMEDOUT", 3_208, Verdict::Observed),
        unnoticed(),
        not_the_book(),
        not_run(),
        failed(),
    ]
}

/// The cases that the reports' fixture has outcomes of.
pub const CASES: &str = "
version: 1
detectors:
  keepalive-2-1-3: { keepalive: { idle: 2s, interval: 1s, count: 3 } }
  user-timeout-3s: { user_timeout: 3s }
scenarios:
  host-crash-while-writing:
    about: The server loses power.
    matrix: { detector: [none, keepalive-2-1-3, user-timeout-3s], network: [lan] }
    sysctls: { client: { net.ipv4.tcp_retries2: 3 } }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, { wait_for: crash }, { write: query }, read]
    faults: [{ at: 500ms, drop: { to: server }, name: crash }]
    give_up: 300s
  idle-client:
    about: Nothing happens.
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    give_up: 5s
  keepalive-defaults:
    about: Two hours.
    clock: virtual
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    give_up: 5s
  lab-broken:
    about: It cannot be built.
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    give_up: 5s
";

pub fn cases() -> Vec<Case> {
    parse("t", CASES).expect("the fixture is right").cases
}

/// One run of [`CASES`].
pub fn kept() -> Kept {
    let outcomes = all();
    Kept::of(&environment(), &cases(), &outcomes)
}
