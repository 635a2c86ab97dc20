//! Outcomes of single cases.

use std::time::Duration;

use crate::record::*;
use halfopen_scenario::case::{Sign, SignKind};

const MS: i64 = 1_000_000;

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
        step: 0,
        start_ns: start,
        end_ns: end,
        result,
        limit_ns: None,
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

/// A host crash at 500 ms that the client's read() reports `after_ms` later.
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
        lane_signs: Vec::new(),
        faults: vec![FaultRecord {
            due_ns: None,
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
                program: false,
                processes: vec![ProcessRecord {
                    number: 0,
                    thread: None,
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
                program: false,
                processes: vec![ProcessRecord {
                    number: 0,
                    thread: None,
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
        kernel_events: Vec::new(),
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
        compared_with: None,
        lag_ns: None,
        overflows: Vec::new(),
        disturbed_tries: Vec::new(),
        programs: Vec::new(),
        user_sees: None,
        recovery: None,
    }
}

/// A case without a sign: the client sends nothing.
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

/// A case in which Linux reads EOF where the book says ECONNRESET.
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

/// A case whose machine was late in each of two tries.
pub fn disturbed() -> Outcome {
    let mut outcome = crash("none", "ETIMEDOUT", 4_000, Verdict::Disturbed);
    let disturbed = |lag_ms: u64| DisturbedTry {
        lag_ns: Some(lag_ms * 1_000_000),
        overflows: Vec::new(),
        showed: "expected after 3s to 3.6s, saw it after 4s".into(),
    };
    outcome.lag_ns = Some(730_000_000);
    outcome.disturbed_tries = vec![disturbed(412), disturbed(730)];
    outcome
}

/// A case that was not run.
pub fn not_run() -> Outcome {
    without_record(
        "keepalive-defaults",
        Status::NotRun("virtual time".into()),
        Verdict::NotRun,
    )
}

/// A case that the harness could not run.
pub fn failed() -> Outcome {
    let why = "failed to create namespace server: No space left on device (os error 28)";
    without_record("lab-broken", Status::Failed(why.into()), Verdict::Failed)
}
