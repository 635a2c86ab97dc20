//! The prediction from the moments that were observed: when programs called, when
//! faults took effect, and, in virtual time, the phase of the timer wheel.

use std::time::Duration;

use crate::environment::{Environment, WheelAt};
use crate::record::{Call, CallResult, Outcome};
use halfopen_predict::moments::{CallTime, Moments};
use halfopen_predict::span::Span;
use halfopen_predict::wheel::Phase;
use halfopen_predict::{KernelFacts, Prediction, Unpredictable, Version, predict_given};
use halfopen_scenario::case::Case;

/// The prediction for an outcome from virtual time. None when the phase of the
/// timer wheel or the start of the case was not recorded, as in real time, where
/// the phase is not known.
pub fn refine(
    case: &Case,
    outcome: &Outcome,
    environment: &Environment,
) -> Option<Result<Prediction, Unpredictable>> {
    let (wheel, started) = (environment.wheel?, outcome.started_ns?);
    let version = Version::parse(&environment.kernel)?;
    let facts = KernelFacts {
        phase: phase(wheel, started, environment.hz?),
        ..KernelFacts::new(version, environment.hz?)
    };
    Some(predict_given(case, &facts, &moments(outcome)))
}

/// The prediction for an outcome from real time: from the moments alone. A program that
/// a busy machine started late has its times from then on, whatever the machine did.
pub(super) fn refine_at_any_phase(
    case: &Case,
    outcome: &Outcome,
    environment: &Environment,
) -> Option<Prediction> {
    let version = Version::parse(&environment.kernel)?;
    let facts = KernelFacts::new(version, environment.hz?);
    predict_given(case, &facts, &moments(outcome)).ok()
}

/// The phase of the wheel at a moment.
fn phase(wheel: WheelAt, at_ns: i64, hz: u32) -> Phase {
    let tick = 1_000_000_000 / i128::from(hz.max(1));
    let since = i128::from(at_ns) - i128::from(wheel.tick_ns);
    let jiffies = i128::from(wheel.jiffies) + since.div_euclid(tick);
    Phase::Known {
        jiffies: u64::try_from(jiffies).unwrap_or(0),
        into_tick: Duration::from_nanos(u64::try_from(since.rem_euclid(tick)).unwrap_or(0)),
    }
}

/// A call that lasted longer than this was blocked.
const NOT_BLOCKED: Duration = Duration::from_millis(20);

/// The moments at which programs and faults acted. What calls returned, and when
/// blocked calls returned, is the kernel's doing and is left to the prediction.
fn moments(outcome: &Outcome) -> Moments {
    let mut moments = Moments::default();
    for fault in &outcome.faults {
        let (asked, effective) = (since_start(fault.asked_ns), since_start(fault.effective_ns));
        moments.event(&fault.name, Span::new(asked, effective));
    }
    for lane in &outcome.endpoints {
        for process in &lane.processes {
            let acts = process.calls.iter().map(act).collect();
            moments.process(&lane.lane, lane.boot, process.number, acts);
            if let Some(end) = &process.end {
                let at = since_start(end.at_ns);
                moments.ended(&lane.lane, lane.boot, process.number, at);
            }
        }
    }
    moments
}

fn act(call: &Call) -> CallTime {
    let start = since_start(call.start_ns);
    let end = call.end_ns.map(since_start);
    let succeeded = match &call.result {
        CallResult::Value(_) => true,
        // A non-blocking connect() that has sent its SYN.
        CallResult::Errno(errno) => errno == "EINPROGRESS",
        _ => false,
    };
    let at = match (call.call.as_str(), end) {
        // The peer decides when a connection is there; when accept() took it is
        // the program's own act.
        ("accept", Some(end)) => Span::at(end),
        ("connect" | "write" | "setsockopt", Some(end))
            if succeeded && end <= start + NOT_BLOCKED =>
        {
            Span::new(start, end)
        }
        _ => Span::at(start),
    };
    CallTime {
        call: call.call.clone(),
        at,
    }
}

fn since_start(ns: i64) -> Duration {
    Duration::from_nanos(ns.max(0).unsigned_abs())
}
