use super::*;
use crate::record::{Packet, ProcessEnd, ProcessRecord};

fn call(name: &str, end_ms: i64, result: CallResult) -> Call {
    Call {
        call: name.into(),
        conn: Some("c".into()),
        line: 1,
        step: 0,
        start_ns: 0,
        end_ns: Some(end_ms * 1_000_000),
        result,
        limit_ns: None,
    }
}

fn lane(name: &str, calls: Vec<Call>) -> EndpointRecord {
    EndpointRecord {
        lane: name.into(),
        host: name.into(),
        boot: 0,
        program: false,
        processes: vec![ProcessRecord {
            number: 0,
            thread: None,
            calls,
            end: None,
        }],
    }
}

fn crash(at_ms: i64) -> FaultRecord {
    let at = at_ms * 1_000_000;
    FaultRecord {
        due_ns: None,
        name: "crash".into(),
        what: String::new(),
        is_fault: true,
        asked_ns: at - 50_000,
        effective_ns: at,
    }
}

fn find(calls: Vec<Call>, faults: &[FaultRecord]) -> FirstSign {
    first_sign(
        &["client".into()],
        faults,
        &[lane("client", calls)],
        &WireRecord::default(),
    )
}

#[test]
fn ordinary_calls_are_no_sign() {
    let calls = vec![
        call("write", 10, CallResult::Value(5)),
        call("read", 20, CallResult::Value(5)),
        call("connect", 21, CallResult::Errno("EINPROGRESS".into())),
        call(
            "poll",
            22,
            CallResult::Ready(vec!["socket:IN".into(), "keyboard:HUP".into()]),
        ),
        call("accept", 23, CallResult::Errno("EINTR".into())),
    ];
    assert_eq!(find(calls, &[crash(1)]).outcome, SignKind::Unnoticed);
}

#[test]
fn an_errno_counts_from_the_fault() {
    let calls = vec![call("read", 3500, CallResult::Errno("ETIMEDOUT".into()))];
    let sign = find(calls, &[crash(500)]);
    assert_eq!(sign.errno.as_deref(), Some("ETIMEDOUT"));
    assert_eq!(sign.since_fault_ns, Some(3_000_000_000));
}

#[test]
fn errors_before_the_fault_do_not_count() {
    let calls = vec![
        call("read", 100, CallResult::Value(0)),
        call("write", 700, CallResult::Errno("EPIPE".into())),
    ];
    assert_eq!(find(calls, &[crash(500)]).errno.as_deref(), Some("EPIPE"));
}

#[test]
fn a_read_timeout_is_the_application_s_own() {
    let calls = vec![call("read", 900, CallResult::Errno("EAGAIN".into()))];
    assert_eq!(find(calls, &[crash(500)]).outcome, SignKind::Timeout);
}

#[test]
fn others_than_the_watched_do_not_count() {
    let server = lane("server", vec![call("read", 900, CallResult::Value(0))]);
    let client2 = lane("client.2", vec![call("read", 950, CallResult::Value(0))]);
    let sign = first_sign(
        &["client".into()],
        &[crash(500)],
        &[server, client2],
        &WireRecord::default(),
    );
    assert_eq!(sign.endpoint, "client.2");
}

#[test]
fn death_by_sigpipe_is_a_sign() {
    let mut client = lane("client", vec![]);
    client.processes[0].end = Some(ProcessEnd {
        at_ns: 600_000_000,
        how: ExitKind::Killed("SIGPIPE".into()),
    });
    let sign = first_sign(
        &["client".into()],
        &[crash(500)],
        &[client],
        &WireRecord::default(),
    );
    assert_eq!(sign.outcome, SignKind::Signal("SIGPIPE".into()));
}

fn segment(from: &str, cable: &str, flags: &str, ms: i64) -> Packet {
    Packet {
        sent_ns: ms * 1_000_000,
        delivered_ns: Some(ms * 1_000_000 + 5_000),
        cable: cable.into(),
        from: from.into(),
        src: String::new(),
        dst: String::new(),
        kind: String::new(),
        flags: flags.into(),
        seq: None,
        ack: None,
        len: 0,
        frame: 66,
        window: None,
        retransmission: false,
    }
}

/// The wire evidence, in milliseconds after the fault, of a read that began at
/// 400 ms and ended at 900 ms with `result`; the fault took effect at 500 ms.
fn evidence_of(result: CallResult, packets: Vec<Packet>) -> Option<i64> {
    let mut read = call("read", 900, result);
    read.start_ns = 400_000_000;
    let wire = WireRecord {
        packets,
        ..WireRecord::default()
    };
    let lanes = [lane("client", vec![read])];
    let sign = first_sign(&["client".into()], &[crash(500)], &lanes, &wire);
    sign.wire_evidence_ns.map(|ns| ns / 1_000_000)
}

#[test]
fn what_told_the_host_is_the_evidence() {
    let reset = || CallResult::Errno("ECONNRESET".into());
    let on_the_way = segment("server", "router-server", "R", 890);
    let there = segment("router", "client-router", "R", 899);
    let to_the_server = segment("router", "router-server", "R", 900);
    let packets = vec![on_the_way.clone(), there, to_the_server];
    assert_eq!(evidence_of(reset(), packets), Some(399));
    assert_eq!(evidence_of(reset(), vec![on_the_way]), None);
}

#[test]
fn what_came_before_the_call_does_not_tell_its_moment() {
    let fin = segment("server", "client-server", "FA", 350);
    assert_eq!(evidence_of(CallResult::Value(0), vec![fin]), None);
}

#[test]
fn giving_up_is_seen_by_the_host_s_own_reset() {
    let old = segment("client", "client-server", "R", 100);
    let last = segment("client", "client-server", "RA", 901);
    let timed_out = || CallResult::Errno("ETIMEDOUT".into());
    assert_eq!(
        evidence_of(timed_out(), vec![old.clone(), last.clone()]),
        Some(401)
    );
    assert_eq!(evidence_of(timed_out(), vec![old.clone()]), None);
    let hangup = CallResult::Ready(vec!["socket:IN|ERR|HUP".into()]);
    assert_eq!(evidence_of(hangup, vec![old, last]), Some(401));
}

#[test]
fn each_lane_has_its_signs_in_order() {
    let errno = |name: &str| CallResult::Errno(name.into());
    let lanes = [
        lane(
            "client",
            vec![
                call("read", 400, CallResult::Value(0)),
                call("read", 600, errno("ETIMEDOUT")),
                call("write", 700, errno("EPIPE")),
            ],
        ),
        lane("second", vec![call("read", 650, CallResult::Value(5))]),
        lane("third", vec![call("read", 550, CallResult::Value(0))]),
    ];
    let watch = ["client".to_owned(), "second".to_owned()];
    let signs = lane_signs(&watch, &[crash(500)], &lanes, &WireRecord::default());
    let shown: Vec<(&str, Vec<String>)> = signs
        .iter()
        .map(|of| {
            let signs = of.signs.iter().map(|sign| format!("{:?}", sign.errno));
            (of.lane.as_str(), signs.collect())
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "client",
                vec![
                    "Some(\"ETIMEDOUT\")".to_owned(),
                    "Some(\"EPIPE\")".to_owned()
                ]
            ),
            ("second", vec![])
        ]
    );
}
