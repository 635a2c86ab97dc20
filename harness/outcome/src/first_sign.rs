//! Finds the first sign: the first call after the fault that did not go as if
//! nothing had happened.

use super::record::{
    Call, CallResult, EndpointRecord, ExitKind, FaultRecord, FirstSign, Packet, WireRecord,
};
use halfopen_scenario::case::SignKind;

/// The moment before which nothing can be the fault's doing: when the first
/// one was asked for, or the case's start when there is none.
pub fn asked_ns(faults: &[FaultRecord]) -> i64 {
    faults
        .iter()
        .filter(|f| f.is_fault)
        .map(|f| f.asked_ns)
        .min()
        .unwrap_or(0)
}

/// The moment time counts from: the first fault's, or the case's start when
/// there is none.
pub fn reference_ns(faults: &[FaultRecord]) -> i64 {
    faults
        .iter()
        .filter(|f| f.is_fault)
        .map(|f| f.effective_ns)
        .min()
        .unwrap_or(0)
}

/// The first sign on the lanes of `watch`, or `unnoticed`.
pub fn first_sign(
    watch: &[String],
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
    wire: &WireRecord,
) -> FirstSign {
    let reference = reference_ns(faults);
    // A call that returned before the request for the fault was made cannot
    // have been touched by it.
    let not_before = faults
        .iter()
        .filter(|f| f.is_fault)
        .map(|f| f.asked_ns)
        .min()
        .unwrap_or(i64::MIN);
    let signs = endpoints
        .iter()
        .filter(|e| watch.iter().any(|w| is_lane(&e.lane, w)))
        .flat_map(|e| signs_of(e).map(move |s| (e, s)))
        .filter(|(_, s)| s.at_ns >= not_before);
    match signs.min_by_key(|(_, s)| s.at_ns) {
        None => FirstSign {
            endpoint: String::new(),
            call: String::new(),
            outcome: SignKind::Unnoticed,
            errno: None,
            since_fault_ns: None,
            wire_evidence_ns: None,
        },
        Some((endpoint, sign)) => FirstSign {
            endpoint: endpoint.lane.clone(),
            // First: the fields below take the sign apart.
            wire_evidence_ns: evidence(&endpoint.host, &sign, wire).map(|at| at - reference),
            call: sign.call,
            errno: match &sign.kind {
                SignKind::Errno(name) => Some(name.clone()),
                _ => None,
            },
            // A fault takes effect between the request and its answer; what
            // shows in between shows at once.
            since_fault_ns: Some((sign.at_ns - reference).max(0)),
            outcome: sign.kind,
        },
    }
}

/// `client.2` is a copy of lane `client`.
fn is_lane(endpoint: &str, lane: &str) -> bool {
    endpoint == lane
        || endpoint
            .strip_prefix(lane)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

struct Seen {
    /// When the call was made.
    began_ns: i64,
    at_ns: i64,
    call: String,
    kind: SignKind,
}

fn signs_of(endpoint: &EndpointRecord) -> impl Iterator<Item = Seen> {
    endpoint.processes.iter().flat_map(|process| {
        let calls = process.calls.iter().filter_map(|call| {
            Some(Seen {
                began_ns: call.start_ns,
                at_ns: call.end_ns?,
                kind: sign_of(call)?,
                call: call.call.clone(),
            })
        });
        let death = process.end.iter().filter_map(|end| match &end.how {
            // Other signals are the runner's or the machine's doing.
            ExitKind::Killed(signal) if signal == "SIGPIPE" => Some(Seen {
                began_ns: end.at_ns,
                at_ns: end.at_ns,
                kind: SignKind::Signal(signal.clone()),
                call: process
                    .calls
                    .last()
                    .map_or_else(String::new, |c| c.call.clone()),
            }),
            _ => None,
        });
        calls.chain(death)
    })
}

/// What a call shows, if it did not go as if nothing had happened.
pub fn sign_of(call: &Call) -> Option<SignKind> {
    let on_keyboard = call.conn.as_deref() == Some("keyboard");
    match &call.result {
        CallResult::Errno(name) => match (name.as_str(), call.call.as_str()) {
            // EINPROGRESS is how a non-blocking connect() starts, EINTR is SIGCHLD's.
            ("EINTR", _) | ("EINPROGRESS", "connect") => None,
            // waitpid() with nobody left to wait for.
            ("ECHILD", _) => None,
            // SO_RCVTIMEO and SO_SNDTIMEO (socket(7)): the application's own limit.
            ("EAGAIN", "read" | "write") => Some(SignKind::Timeout),
            _ => Some(SignKind::Errno(name.clone())),
        },
        CallResult::Value(0) if call.call == "read" && !on_keyboard => Some(SignKind::Eof),
        CallResult::Ready(events) => events
            .iter()
            .filter_map(|e| e.strip_prefix("socket:"))
            .any(|e| e.split('|').any(|e| matches!(e, "HUP" | "ERR" | "RDHUP")))
            .then_some(SignKind::PollHangup),
        // No system call: the wait for a beat or an answer, as endpoints report it.
        CallResult::TimedOut if call.call == "heartbeat" => Some(SignKind::HeartbeatLost),
        CallResult::TimedOut => Some(SignKind::Timeout),
        CallResult::Value(_) | CallResult::Blocked => None,
    }
}

/// How much later than the socket's error the host's RST may be on the wire:
/// what the host sends is stamped by the softirq that takes it in there
/// (netif_rx()), which may run after the process that was woken.
const LATE_STAMP_NS: i64 = 10_000_000;

/// The wire's own evidence of the moment: the segment that told the host, or
/// the RST that the host sent as it gave up (tcp_send_active_reset() in
/// tcp_keepalive_timer()). Only what came while the call was under way: a call
/// made later returns at once, at a moment that the program chose.
fn evidence(host: &str, sign: &Seen, wire: &WireRecord) -> Option<i64> {
    let told = |kinds: &[char]| {
        wire.packets
            .iter()
            .filter(|p| reaches(p, host) && p.flags.contains(kinds))
            .filter_map(|p| p.delivered_ns)
            .filter(|at| (sign.began_ns..=sign.at_ns).contains(at))
            .max()
    };
    let gave_up = || {
        let window = sign.began_ns..=sign.at_ns.saturating_add(LATE_STAMP_NS);
        wire.packets
            .iter()
            .filter(|p| p.from == host && p.flags.contains('R'))
            .map(|p| p.sent_ns)
            .filter(|sent| window.contains(sent))
            .min_by_key(|sent| sent.abs_diff(sign.at_ns))
    };
    match &sign.kind {
        SignKind::Eof => told(&['F']),
        SignKind::PollHangup => told(&['F', 'R']).or_else(gave_up),
        SignKind::Errno(e) if e == "ECONNRESET" || e == "ECONNREFUSED" => told(&['R']),
        SignKind::Errno(e) if e == "ETIMEDOUT" => gave_up(),
        _ => None,
    }
}

/// Whether the packet is on its last way to the host: what a router takes from
/// one cable to the next has not told it anything yet.
fn reaches(packet: &Packet, host: &str) -> bool {
    let from = &packet.from;
    packet.cable == format!("{from}-{host}") || packet.cable == format!("{host}-{from}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ProcessRecord;

    fn call(name: &str, end_ms: i64, result: CallResult) -> Call {
        Call {
            call: name.into(),
            conn: Some("c".into()),
            line: 1,
            start_ns: 0,
            end_ns: Some(end_ms * 1_000_000),
            result,
        }
    }

    fn lane(name: &str, calls: Vec<Call>) -> EndpointRecord {
        EndpointRecord {
            lane: name.into(),
            host: name.into(),
            boot: 0,
            processes: vec![ProcessRecord {
                number: 0,
                calls,
                end: None,
            }],
        }
    }

    fn crash(at_ms: i64) -> FaultRecord {
        let at = at_ms * 1_000_000;
        FaultRecord {
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
        client.processes[0].end = Some(super::super::record::ProcessEnd {
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

    /// A read that began at 400 ms and ended at 900 ms like this; the fault
    /// struck at 500 ms. The evidence, milliseconds after the fault.
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
}
