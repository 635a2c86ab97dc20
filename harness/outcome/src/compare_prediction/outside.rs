//! How an observation lies outside a predicted interval, as text, and how much
//! later than planned faults and heals took effect.

use std::time::Duration;

use crate::record::{FaultRecord, FirstSign, Outcome};
use crate::tolerance::PredictionTolerance;
use crate::verdict::sign_text;
use halfopen_predict::Prediction;
use halfopen_scenario::case::{Case, SignKind, When};

/// How the first sign lies outside its prediction, as text; None: it does not.
/// Timers that were armed before a fault count from the start of the case, so
/// their signs come `fault_delay` sooner after the fault.
pub(super) fn sign_outside(
    prediction: &Prediction,
    first: &FirstSign,
    fault_delay: Duration,
    tolerance: &PredictionTolerance,
) -> Option<String> {
    let predicted = sign_text(&prediction.sign);
    if prediction.sign != first.outcome {
        return Some(format!(
            "{predicted} was predicted, {} was seen",
            sign_text(&first.outcome)
        ));
    }
    if prediction.sign == SignKind::Unnoticed {
        return None;
    }
    if prediction.call.as_ref().is_some_and(|c| *c != first.call) {
        let call = prediction.call.as_deref().unwrap_or_default();
        return Some(format!(
            "{predicted} was predicted of {call}(), {}() showed it",
            first.call
        ));
    }
    if prediction.share.is_some() {
        // Chance decides: the interval is that of most runs, not of all.
        return None;
    }
    let after = Duration::from_nanos(first.since_fault_ns?.max(0).unsigned_abs());
    let inside = prediction.intervals().any(|span| {
        let (earliest, latest) = (span.earliest.saturating_sub(fault_delay), span.latest);
        tolerance.allows(after, earliest, latest)
    });
    (!inside).then(|| {
        let spans: Vec<String> = prediction
            .intervals()
            .map(|span| format!("{} to {}", exactly(span.earliest), exactly(span.latest)))
            .collect();
        format!(
            "{predicted} was predicted {} after the fault, it came after {}",
            spans.join(" or "),
            exactly(after)
        )
    })
}

/// A time with the digits that tell it from another one nearby.
fn exactly(time: Duration) -> String {
    match time < Duration::from_millis(1) {
        true => format!("{:.1} us", time.as_secs_f64() * 1e6),
        false => format!("{:.3} s", time.as_secs_f64()),
    }
}

/// How the first byte after a heal lies outside its prediction, as text.
/// Retransmissions count from the write, so the next one comes `heal_delay`
/// sooner after the heal.
pub(super) fn first_byte_outside(
    prediction: &Prediction,
    outcome: &Outcome,
    heal_delay: Duration,
    tolerance: &PredictionTolerance,
) -> Option<String> {
    let recovery = outcome.recovery.as_ref()?;
    if prediction.share.is_some() {
        return None;
    }
    let predicted = prediction.first_byte?;
    let since = Duration::from_nanos(recovery.since_heal_ns?.unsigned_abs());
    let inside = since + heal_delay + tolerance.early >= predicted.earliest
        && since <= predicted.latest + tolerance.late;
    (!inside).then(|| {
        format!(
            "a first byte was predicted {} to {} after the heal, it came after {}",
            exactly(predicted.earliest),
            exactly(predicted.latest),
            exactly(since)
        )
    })
}

/// How much later than planned the first fault took effect.
pub(super) fn fault_delay(case: &Case, faults: &[FaultRecord]) -> Duration {
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
        // The sockets are recorded before a fault is asked for, which takes tens of
        // milliseconds while other labs are built: sock_diag has one lock for all
        // namespaces.
        _ => first.due_ns.unwrap_or(first.asked_ns),
    };
    Duration::from_nanos((first.effective_ns - planned).max(0).unsigned_abs())
}

/// How much later than planned the heal took effect.
pub(super) fn heal_delay(case: &Case, outcome: &Outcome) -> Duration {
    let Some(recovery) = &outcome.recovery else {
        return Duration::ZERO;
    };
    let (faults, heal) = (&outcome.faults, recovery.heal.as_str());
    let effective = |name: &str| {
        let fault = faults.iter().find(|f| f.name == name);
        fault.map(|f| f.effective_ns)
    };
    let event = case.events.iter().find(|e| e.name == heal);
    let planned = match event.map(|e| &e.when) {
        Some(When::At(at)) => i64::try_from(at.as_nanos()).ok(),
        Some(When::After { mark, by }) => {
            let by = i64::try_from(by.as_nanos()).ok();
            effective(mark).zip(by).map(|(at, by)| at + by)
        }
        None => None,
    };
    let delay = effective(heal)
        .zip(planned)
        .map_or(0, |(effective, planned)| effective - planned);
    Duration::from_nanos(delay.max(0).unsigned_abs())
}
