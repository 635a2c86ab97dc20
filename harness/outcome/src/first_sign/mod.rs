//! Finds the first sign: the first call after the fault that did not go as if
//! nothing had happened. It needs the recorded calls, faults and packets; the
//! runner calls it when a case has ended.

mod evidence;
mod program;

#[cfg(test)]
mod tests;

use indexmap::IndexMap;

use super::record::{
    Call, CallResult, EndpointRecord, ExitKind, FaultRecord, FirstSign, LaneSigns, WireRecord,
    reference_ns,
};
use evidence::wire_evidence;
use halfopen_scenario::case::SignKind;
pub use program::{ended_before, user_sees};

/// The first sign on the lanes of `watch`, or `unnoticed`.
pub fn first_sign(
    watch: &[String],
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
    wire: &WireRecord,
) -> FirstSign {
    let reference = reference_ns(faults);
    let signs = watched(watch, endpoints).flat_map(|e| after_the_fault(e, faults));
    let signs: Vec<(&EndpointRecord, SignCall)> = signs.collect();
    let first = signs.iter().min_by_key(|(_, s)| s.end_ns);
    match first.map(|first| program::told_by(first, &signs)) {
        None => unnoticed(),
        Some((endpoint, sign)) => shown(endpoint, sign.clone(), reference, wire),
    }
}

/// What each lane of `watch` showed, in its order; copies of a lane apart. An entry for
/// a lane that noticed nothing has no signs.
pub fn lane_signs(
    watch: &[String],
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
    wire: &WireRecord,
) -> Vec<LaneSigns> {
    let reference = reference_ns(faults);
    let mut lanes: IndexMap<&str, Vec<(&EndpointRecord, SignCall)>> = IndexMap::new();
    for endpoint in watched(watch, endpoints) {
        let signs = lanes.entry(&endpoint.lane).or_default();
        signs.extend(after_the_fault(endpoint, faults));
    }
    lanes
        .into_iter()
        .map(|(lane, mut signs)| {
            signs.sort_by_key(|(_, sign)| sign.end_ns);
            let more = signs.len().saturating_sub(LaneSigns::MOST);
            signs.truncate(LaneSigns::MOST);
            let signs = signs.into_iter();
            LaneSigns {
                lane: lane.to_owned(),
                signs: signs
                    .map(|(endpoint, sign)| shown(endpoint, sign, reference, wire))
                    .collect(),
                more,
            }
        })
        .collect()
}

fn watched<'a>(
    watch: &'a [String],
    endpoints: &'a [EndpointRecord],
) -> impl Iterator<Item = &'a EndpointRecord> {
    let is_watched = |e: &&EndpointRecord| watch.iter().any(|lane| is_lane(&e.lane, lane));
    endpoints.iter().filter(is_watched)
}

/// The endpoint's signs that can be an effect of a fault: a call that returned before
/// the first one was requested cannot.
fn after_the_fault<'a>(
    endpoint: &'a EndpointRecord,
    faults: &[FaultRecord],
) -> impl Iterator<Item = (&'a EndpointRecord, SignCall)> {
    let asked = faults.iter().filter(|f| f.is_fault).map(|f| f.asked_ns);
    let not_before = asked.min().unwrap_or(i64::MIN);
    signs_of(endpoint)
        .filter(move |sign| sign.end_ns >= not_before)
        .map(move |sign| (endpoint, sign))
}

fn unnoticed() -> FirstSign {
    FirstSign {
        endpoint: String::new(),
        call: String::new(),
        outcome: SignKind::Unnoticed,
        errno: None,
        since_fault_ns: None,
        wire_evidence_ns: None,
    }
}

fn shown(
    endpoint: &EndpointRecord,
    sign: SignCall,
    reference: i64,
    wire: &WireRecord,
) -> FirstSign {
    FirstSign {
        endpoint: endpoint.lane.clone(),
        // Before `call` and `outcome`, which move out of the sign.
        wire_evidence_ns: wire_evidence(&endpoint.host, &sign, wire).map(|at| at - reference),
        call: sign.call,
        errno: match &sign.kind {
            SignKind::Errno(name) => Some(name.clone()),
            _ => None,
        },
        // A fault takes effect between the request and its answer. A sign
        // within that time counts as immediate.
        since_fault_ns: Some((sign.end_ns - reference).max(0)),
        outcome: sign.kind,
    }
}

/// Whether an endpoint is the lane or a copy of it: `client.2` is a copy of
/// `client`.
pub(crate) fn is_lane(endpoint: &str, lane: &str) -> bool {
    endpoint == lane
        || endpoint
            .strip_prefix(lane)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// A call that shows a sign, or the death of a process.
#[derive(Clone)]
struct SignCall {
    /// When the call was made.
    start_ns: i64,
    /// When it returned.
    end_ns: i64,
    call: String,
    kind: SignKind,
}

fn signs_of(endpoint: &EndpointRecord) -> impl Iterator<Item = SignCall> {
    let program = endpoint.program;
    endpoint.processes.iter().flat_map(move |process| {
        let calls = process
            .calls
            .iter()
            .enumerate()
            .filter_map(move |(index, call)| {
                let kind = match program {
                    true => program::sign_of(process, index)?,
                    false if is_retried(call, &process.calls[index..]) => return None,
                    false => sign_of(call)?,
                };
                Some(SignCall {
                    start_ns: call.start_ns,
                    end_ns: call.end_ns?,
                    kind,
                    call: call.call.clone(),
                })
            });
        let death = process.end.iter().filter_map(move |end| match &end.how {
            how if program => {
                let kind = program::sign_of_end(process, how)?;
                let limit = program::limit_before(endpoint, end.at_ns);
                Some(limit.unwrap_or(SignCall {
                    start_ns: end.at_ns,
                    end_ns: end.at_ns,
                    kind,
                    call: "exit".to_owned(),
                }))
            }
            // Other signals come from the runner or from outside.
            ExitKind::Killed(signal) if signal == "SIGPIPE" => Some(SignCall {
                start_ns: end.at_ns,
                end_ns: end.at_ns,
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

/// The name under which endpoints report that a request failed and is made once more, on
/// another connection. No system call.
pub const RETRY: &str = "retry";

/// Whether a call belongs to a request that was made once more: nobody sees its failure.
fn is_retried(call: &Call, later: &[Call]) -> bool {
    later
        .iter()
        .any(|other| other.call == RETRY && other.conn == call.conn)
}

/// The sign that a call shows; None when it went as if nothing had happened.
pub fn sign_of(call: &Call) -> Option<SignKind> {
    let on_keyboard = call.conn.as_deref() == Some("keyboard");
    match &call.result {
        CallResult::Errno(name) => match (name.as_str(), call.call.as_str()) {
            // A non-blocking connect() starts with EINPROGRESS; EINTR comes
            // from SIGCHLD.
            ("EINTR", _) | ("EINPROGRESS", "connect") => None,
            // waitpid() without children left.
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
        // Not a system call: endpoints report the wait for a heartbeat or its
        // answer under this name.
        CallResult::TimedOut if call.call == "heartbeat" => Some(SignKind::HeartbeatLost),
        CallResult::TimedOut => Some(SignKind::Timeout),
        CallResult::Value(_) | CallResult::Blocked => None,
    }
}
