//! Outcomes against predictions.

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment::{Environment, WheelAt};
use super::record::{Call, CallResult, FaultRecord, FirstSign, Outcome, Status};
use super::tolerance::{WAKING, WAKING_IN_TURNS, Waking};
use super::verdict::in_words;
use halfopen_predict::moments::{Act, Moments};
use halfopen_predict::span::Span;
use halfopen_predict::wheel::Phase;
use halfopen_predict::{KernelFacts, Prediction, Unpredictable, Version, predict, predict_given};
use halfopen_scenario::case::{Case, SignKind, When};

/// Predicts every case from what it says and where it ran, and holds the
/// outcome against that. Nothing that was measured goes into a prediction.
pub fn compare_all(cases: &[Case], outcomes: &mut [Outcome], environment: &Environment) {
    let version = Version::parse(&environment.kernel);
    let by_id: BTreeMap<&str, &Case> = cases.iter().map(|c| (c.id.as_str(), c)).collect();
    for outcome in outcomes {
        let Some(case) = by_id.get(outcome.id.as_str()) else {
            continue;
        };
        let (Some(version), Some(hz)) = (version, environment.hz) else {
            outcome.unpredictable = Some("the kernel's version or HZ is not known".into());
            continue;
        };
        let told = overridden(case, &environment.overrides);
        match predict(&told, &KernelFacts::new(version, hz)) {
            Ok(prediction) => {
                outcome.outside = observed(outcome).and_then(|seen| {
                    let late = fault_late(case, &outcome.faults);
                    match sharp(&told, outcome, environment) {
                        Some(Ok(sharp)) => outside(&sharp, seen, Duration::ZERO, &WAKING_IN_TURNS)
                            .or_else(|| {
                                let zero = Duration::ZERO;
                                first_byte_outside(&sharp, outcome, zero, &WAKING_IN_TURNS)
                            }),
                        _ => outside(&prediction, seen, late, &WAKING).or_else(|| {
                            let late = heal_late(case, outcome);
                            first_byte_outside(&prediction, outcome, late, &WAKING)
                        }),
                    }
                });
                outcome.prediction = Some(prediction);
            }
            Err(e) => outcome.unpredictable = Some(e.why),
        }
    }
}

/// What the rules say of a case that would be waited for until `give_up`.
/// None when they do not decide, or nothing is known of the kernel.
pub fn beyond(case: &Case, give_up: Duration, environment: &Environment) -> Option<Prediction> {
    let version = Version::parse(&environment.kernel)?;
    let mut patient = overridden(case, &environment.overrides);
    patient.give_up = give_up;
    predict(&patient, &KernelFacts::new(version, environment.hz?)).ok()
}

/// In virtual time, what was to come once it is known where the timer wheel
/// stood and when the programs acted by themselves. None in real time, where
/// nobody knows the first.
pub fn sharp(
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

/// Where the wheel stands at a moment.
fn phase(wheel: WheelAt, at_ns: i64, hz: u32) -> Phase {
    let tick = 1_000_000_000 / i128::from(hz.max(1));
    let since = i128::from(at_ns) - i128::from(wheel.tick_ns);
    let jiffies = i128::from(wheel.jiffies) + since.div_euclid(tick);
    Phase::Known {
        jiffies: u64::try_from(jiffies).unwrap_or(0),
        into_tick: Duration::from_nanos(u64::try_from(since.rem_euclid(tick)).unwrap_or(0)),
    }
}

/// A call that lasted longer waited for something.
const AT_ONCE: Duration = Duration::from_millis(20);

/// When programs and faults did what they did. What calls returned, and when
/// those returned that waited, is the kernel's doing and stays out of it.
fn moments(outcome: &Outcome) -> Moments {
    let mut moments = Moments::default();
    for fault in &outcome.faults {
        let (asked, took) = (since_start(fault.asked_ns), since_start(fault.effective_ns));
        moments.event(&fault.name, Span::new(asked, took));
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

fn act(call: &Call) -> Act {
    let start = since_start(call.start_ns);
    let end = call.end_ns.map(since_start);
    let worked = match &call.result {
        CallResult::Value(_) => true,
        // A non-blocking connect() has done its part.
        CallResult::Errno(errno) => errno == "EINPROGRESS",
        _ => false,
    };
    let at = match (call.call.as_str(), end) {
        // Somebody called; that it was taken is the program's own doing.
        ("accept", Some(end)) => Span::at(end),
        ("connect" | "write" | "setsockopt", Some(end)) if worked && end <= start + AT_ONCE => {
            Span::new(start, end)
        }
        _ => Span::at(start),
    };
    Act {
        call: call.call.clone(),
        at,
    }
}

fn since_start(ns: i64) -> Duration {
    Duration::from_nanos(ns.max(0).unsigned_abs())
}

/// The case with the caller's sysctls, by host or for `all`, over its own.
pub fn overridden(case: &Case, overrides: &BTreeMap<String, BTreeMap<String, String>>) -> Case {
    let mut case = case.clone();
    let nodes: Vec<String> = case.network.nodes.iter().map(|n| n.name.clone()).collect();
    for (host, values) in overrides {
        for node in nodes.iter().filter(|n| host == "all" || *n == host) {
            let own = case.sysctls.entry(node.clone()).or_default();
            own.extend(values.clone());
        }
    }
    case
}

fn observed(outcome: &Outcome) -> Option<&FirstSign> {
    outcome
        .first_sign
        .as_ref()
        .filter(|_| outcome.status == Status::Ran)
}

/// How long after its time the fault took effect: timers that were armed
/// before it count from the start, so their signs come that much sooner.
fn fault_late(case: &Case, faults: &[FaultRecord]) -> Duration {
    let first = faults
        .iter()
        .filter(|f| f.is_fault)
        .min_by_key(|f| f.effective_ns);
    let Some(first) = first else {
        return Duration::ZERO;
    };
    let event = case.events.iter().find(|e| e.name == first.name);
    let planned = match event.map(|e| &e.when) {
        Some(When::At(at)) => i64::try_from(at.as_nanos()).unwrap_or(i64::MAX),
        _ => first.asked_ns,
    };
    Duration::from_nanos((first.effective_ns - planned).max(0).unsigned_abs())
}

/// How the first byte after a heal came outside its prediction, in words.
/// Tries count from the write; a heal that came `late` is that much nearer to
/// the next.
fn first_byte_outside(
    prediction: &Prediction,
    outcome: &Outcome,
    late: Duration,
    waking: &Waking,
) -> Option<String> {
    let recovery = outcome.recovery.as_ref()?;
    let said = prediction.first_byte?;
    let since = Duration::from_nanos(recovery.since_heal_ns?.unsigned_abs());
    let inside = since + late + waking.early >= said.earliest && since <= said.latest + waking.late;
    (!inside).then(|| {
        format!(
            "a first byte was predicted {:.3} to {:.3} s after the heal, it came after {:.3} s",
            said.earliest.as_secs_f64(),
            said.latest.as_secs_f64(),
            since.as_secs_f64()
        )
    })
}

/// How long after its time a heal took effect.
fn heal_late(case: &Case, outcome: &Outcome) -> Duration {
    let Some(recovery) = &outcome.recovery else {
        return Duration::ZERO;
    };
    let (faults, heal) = (&outcome.faults, recovery.heal.as_str());
    let took = |name: &str| {
        faults
            .iter()
            .find(|f| f.name == name)
            .map(|f| f.effective_ns)
    };
    let event = case.events.iter().find(|e| e.name == heal);
    let planned = match event.map(|e| &e.when) {
        Some(When::At(at)) => i64::try_from(at.as_nanos()).ok(),
        Some(When::After { mark, by }) => {
            let by = i64::try_from(by.as_nanos()).ok();
            took(mark).zip(by).map(|(at, by)| at + by)
        }
        None => None,
    };
    let late = took(heal)
        .zip(planned)
        .map_or(0, |(took, planned)| took - planned);
    Duration::from_nanos(late.max(0).unsigned_abs())
}

/// How an observation lies outside its prediction, in words.
fn outside(
    prediction: &Prediction,
    seen: &FirstSign,
    fault_late: Duration,
    waking: &Waking,
) -> Option<String> {
    let said = in_words(&prediction.sign);
    if prediction.sign != seen.outcome {
        return Some(format!(
            "{said} was predicted, {} was seen",
            in_words(&seen.outcome)
        ));
    }
    if prediction.sign == SignKind::Unnoticed {
        return None;
    }
    if prediction.call.as_ref().is_some_and(|c| *c != seen.call) {
        let call = prediction.call.as_deref().unwrap_or_default();
        return Some(format!(
            "{said} was predicted of {call}(), {}() showed it",
            seen.call
        ));
    }
    let after = Duration::from_nanos(seen.since_fault_ns?.max(0).unsigned_abs());
    let inside = prediction.intervals().any(|span| {
        let (earliest, latest) = (span.earliest.saturating_sub(fault_late), span.latest);
        waking.allows(after, earliest, latest)
    });
    (!inside).then(|| {
        format!(
            "{said} was predicted {:.3} to {:.3} s after the fault, it came after {:.3} s",
            prediction.earliest.as_secs_f64(),
            prediction.latest.as_secs_f64(),
            after.as_secs_f64()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ms: i64) -> FirstSign {
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
            because: String::new(),
            rules: Vec::new(),
        }
    }

    #[test]
    fn a_late_process_is_inside_and_an_early_one_is_not() {
        let prediction = predicted(3_000, 3_100);
        let late = |ms| outside(&prediction, &seen(ms), Duration::ZERO, &WAKING).is_some();
        assert!(!late(3_050) && !late(3_140));
        assert!(late(2_900) && late(3_600));
        assert!(
            outside(
                &prediction,
                &seen(2_980),
                Duration::from_millis(30),
                &WAKING
            )
            .is_none()
        );
    }

    #[test]
    fn another_errno_is_outside_whenever_it_comes() {
        let mut reset = seen(3_050);
        reset.outcome = SignKind::Errno("ECONNRESET".into());
        let words = outside(&predicted(3_000, 3_100), &reset, Duration::ZERO, &WAKING);
        assert!(words.is_some_and(|w| w.contains("ETIMEDOUT was predicted")));
    }
}
