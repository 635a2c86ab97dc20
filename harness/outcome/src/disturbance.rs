//! Whether a busy machine explains what a case showed. The runner asks it which
//! cases to run again, and what to conclude when none of the tries was quiet.

use std::time::Duration;

use crate::record::{FirstSign, Outcome, Status, Verdict};
use crate::tolerance::{PREDICTED_REAL_TIME, QUIET, REAL_TIME};
use halfopen_predict::Prediction;
use halfopen_scenario::case::{Sign, SignKind};

/// What is wrong with an outcome that a disturbed machine may have caused: how it
/// differs from the expectation, lies outside the prediction, or failed.
pub fn complaint(outcome: &Outcome) -> Option<String> {
    match (&outcome.status, outcome.verdict) {
        (Status::NotRun(_), _) | (_, Verdict::Known) => None,
        (Status::Failed(why), _) => Some(format!("failed: {why}")),
        (Status::Ran, Verdict::Differs | Verdict::NotSetUp) => {
            let differences = outcome.surprises.iter().chain(&outcome.outside);
            let texts: Vec<&str> = differences.map(String::as_str).collect();
            Some(texts.join("; "))
        }
        (Status::Ran, _) => outcome.outside.clone(),
    }
}

/// Whether a lag during a case may have made it wrong: one above what predictions
/// allow for; or a smaller one, where a time is outside by no more than that. Timers
/// that follow each other, as retransmissions do, are late one after the other, and
/// each may be within the tolerance.
pub fn lag_may_explain(outcome: &Outcome, lag: Duration) -> bool {
    lag > QUIET || excess(outcome).is_some_and(|by| by <= lag)
}

/// Whether tries that were all disturbed are a finding nevertheless: they show the
/// same, and what they show lies outside by more than `lag`, the worst of all tries,
/// explains. A lag can delay a sign by as much as itself. Which sign it is depends
/// on the lag only where two are a race, whose end is not the same in every try.
pub fn lag_explains_nothing(tries: &[&Outcome], lag: Duration) -> bool {
    let Some(first) = tries.first().and_then(|t| t.first_sign.as_ref()) else {
        return false;
    };
    tries.len() > 1
        && tries.iter().all(|outcome| {
            let same = |sign: &FirstSign| {
                sign.outcome == first.outcome
                    && sign.call == first.call
                    && sign.endpoint == first.endpoint
            };
            let excess = excess(outcome);
            outcome.first_sign.as_ref().is_some_and(same) && excess.is_none_or(|by| by > lag)
        })
}

/// By how much an outcome's times lie outside what was predicted and expected, beyond
/// the tolerance; None: something other than a time is wrong.
fn excess(outcome: &Outcome) -> Option<Duration> {
    let first = outcome.first_sign.as_ref()?;
    let mut most = Duration::ZERO;
    if outcome.outside.is_some() {
        most = most.max(outside_prediction(
            outcome.prediction.as_ref()?,
            outcome,
            first,
        )?);
    }
    if outcome.verdict == Verdict::Differs {
        most = most.max(outside_expectation(
            outcome.expect.as_ref()?,
            outcome,
            first,
        )?);
    }
    (!most.is_zero()).then_some(most)
}

fn outside_prediction(
    prediction: &Prediction,
    outcome: &Outcome,
    first: &FirstSign,
) -> Option<Duration> {
    let named = |said: &Option<String>, seen: &str| said.as_deref().is_none_or(|s| s == seen);
    if prediction.sign != first.outcome || !named(&prediction.call, &first.call) {
        return None;
    }
    let tolerance = PREDICTED_REAL_TIME;
    let distance = |at: Duration, earliest: Duration, latest: Duration| {
        let late = at.saturating_sub(latest + tolerance.late);
        late.max(earliest.saturating_sub(at + tolerance.early))
    };
    let of_sign = match (&prediction.sign, since(first.since_fault_ns)) {
        (SignKind::Unnoticed, _) | (_, None) => Duration::ZERO,
        (_, Some(at)) => {
            let spans = prediction.intervals();
            spans
                .map(|span| distance(at, span.earliest, span.latest))
                .min()?
        }
    };
    let byte = outcome
        .recovery
        .as_ref()
        .and_then(|r| since(r.since_heal_ns));
    let of_byte = byte.zip(prediction.first_byte);
    let of_byte = of_byte.map(|(at, span)| distance(at, span.earliest, span.latest));
    Some(of_sign.max(of_byte.unwrap_or_default()))
}

fn outside_expectation(expected: &Sign, outcome: &Outcome, first: &FirstSign) -> Option<Duration> {
    let named = |said: &Option<String>, seen: &str| said.as_deref().is_none_or(|s| s == seen);
    if expected.sign != first.outcome
        || !named(&expected.call, &first.call)
        || !named(&expected.lane, &first.endpoint)
    {
        return None;
    }
    let distance = |at: Option<Duration>, span: Option<(Duration, Duration)>| {
        let (at, (earliest, latest)) = at.zip(span)?;
        let late = at.saturating_sub(latest + REAL_TIME.around(latest));
        Some(late.max(earliest.saturating_sub(at + REAL_TIME.fixed)))
    };
    let byte = outcome
        .recovery
        .as_ref()
        .and_then(|r| since(r.since_heal_ns));
    let of_sign = distance(since(first.since_fault_ns), expected.after);
    let of_byte = distance(byte, expected.first_byte);
    Some(of_sign.unwrap_or_default().max(of_byte.unwrap_or_default()))
}

fn since(ns: Option<i64>) -> Option<Duration> {
    ns.map(|ns| Duration::from_nanos(ns.max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Expected after 3 to 3.6 s, where 0.468 s are tolerated.
    fn late(after_ms: i64) -> Outcome {
        testing::crash("none", "ETIMEDOUT", after_ms, Verdict::Differs)
    }

    #[test]
    fn a_lag_explains_as_much_as_itself() {
        let (a, b) = (late(4_500), late(4_600));
        let lag = Duration::from_millis;
        assert!(!lag_explains_nothing(&[&a, &b], lag(500)));
        assert!(lag_explains_nothing(&[&a, &b], lag(400)));
        // One try is not enough to see whether it is steady.
        assert!(!lag_explains_nothing(&[&a], lag(400)));
        assert!(!lag_explains_nothing(&[], lag(400)));
    }

    #[test]
    fn a_small_lag_explains_what_is_hardly_outside() {
        let lag = Duration::from_millis;
        // 32 ms beyond the tolerance.
        assert!(lag_may_explain(&late(4_100), lag(70)));
        assert!(!lag_may_explain(&late(4_100), lag(10)));
        assert!(!lag_may_explain(&late(4_500), lag(70)));
        assert!(lag_may_explain(&late(4_500), lag(160)));
        let other = testing::crash("none", "EPIPE", 3_000, Verdict::Differs);
        assert!(!lag_may_explain(&other, lag(70)));
    }

    #[test]
    fn another_sign_is_a_finding_only_when_it_is_steady() {
        let other = testing::crash("none", "EPIPE", 3_000, Verdict::Differs);
        let lag = Duration::from_secs(2);
        assert!(lag_explains_nothing(&[&other, &other], lag));
        assert!(!lag_explains_nothing(&[&other, &late(4_500)], lag));
    }

    #[test]
    fn only_what_is_wrong_is_run_again() {
        assert_eq!(complaint(&testing::unnoticed()), None);
        assert_eq!(complaint(&testing::not_run()), None);
        assert!(complaint(&testing::failed()).is_some());
        assert!(complaint(&late(4_500)).is_some());
        let mut outside = testing::unnoticed();
        outside.outside = Some("late".into());
        assert_eq!(complaint(&outside).as_deref(), Some("late"));
        outside.verdict = Verdict::Known;
        assert_eq!(complaint(&outside), None);
    }
}
