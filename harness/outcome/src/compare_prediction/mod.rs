//! Predicts each case from its definition and from where it ran, and compares the
//! observation with the prediction. In virtual time the prediction is computed
//! again from the phase of the timer wheel and from the moments at which programs
//! and faults acted, which makes its interval narrow ([`refine`]). The runner and
//! the guests' host call [`compare_all`] when all cases have ended.

mod outside;
mod program;
mod refined;
mod round_trip;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment::Environment;
use super::overrides::with_overrides;
use super::record::{ComparedWith, FirstSign, Outcome, Status};
use super::tolerance::{PREDICTED_REAL_TIME, PREDICTED_VIRTUAL_TIME, PredictionTolerance};
use halfopen_predict::{KernelFacts, Prediction, Version, predict};
use halfopen_scenario::case::Case;

use outside::{fault_delay, first_byte_outside, heal_delay, sign_outside};
pub use refined::refine;
use refined::refine_at_any_phase;

/// Predicts every case and records how its outcome compares. No measured time
/// goes into [`Outcome::prediction`]. How many comparisons fell back to a wider
/// prediction than virtual time allows is counted by [`fallbacks`].
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
        let as_run = with_overrides(case, &environment.overrides);
        if case.lanes.iter().any(|lane| lane.program.is_some()) {
            of_program(&as_run, outcome, &KernelFacts::new(version, hz));
            continue;
        }
        match predict(&as_run, &KernelFacts::new(version, hz)) {
            Ok(prediction) => {
                let mut prediction = prediction;
                if let Some(first) = observed(outcome).cloned() {
                    let led = |p: Prediction| p.led_by(&first.outcome, &first.call);
                    prediction = led(prediction);
                    let refined = refined_or_why_not(&as_run, outcome, environment);
                    let (outside, with) = match refined {
                        Ok(refined) => (
                            outside_refined(&led(refined), outcome, &first),
                            ComparedWith::Moments,
                        ),
                        Err(with) => {
                            let outside = outside_case(&prediction, case, outcome, &first);
                            let late = || {
                                let moments = refine_at_any_phase(&as_run, outcome, environment);
                                moments.is_some_and(|p| inside_by_moments(&led(p), outcome, &first))
                            };
                            match outside {
                                Some(_) if with == ComparedWith::Case && late() => {
                                    (None, ComparedWith::Moments)
                                }
                                outside => (outside, with),
                            }
                        }
                    };
                    outcome.outside = outside;
                    outcome.compared_with = Some(with);
                }
                outcome.prediction = Some(prediction);
            }
            Err(e) => outcome.unpredictable = Some(e.why),
        }
    }
}

/// Predicts a case with programs from what they set on their sockets and called before the
/// fault, where that decides what follows.
fn of_program(case: &Case, outcome: &mut Outcome, facts: &KernelFacts) {
    let Some(first) = observed(outcome).cloned() else {
        return;
    };
    match program::predict(case, outcome, &first, facts) {
        Ok(prediction) => {
            let prediction = prediction.led_by(&first.outcome, &first.call);
            outcome.outside = outside_case(&prediction, case, outcome, &first);
            outcome.compared_with = Some(ComparedWith::Case);
            outcome.prediction = Some(prediction);
        }
        Err(why) => {
            outcome.unpredictable = Some(format!("not simulated: the program's own logic ({why})"));
        }
    }
}

/// The outcomes whose comparison fell back to the prediction from the case alone
/// although they ran in virtual time: each case's id and the reason.
pub fn fallbacks(outcomes: &[Outcome]) -> impl Iterator<Item = (&str, &str)> {
    outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.id.as_str(), outcome.fallback()?)))
}

/// The prediction for a case that would run until `give_up`. None when the rules
/// do not decide, or when the kernel's version or HZ is not known.
pub fn predict_until(
    case: &Case,
    give_up: Duration,
    environment: &Environment,
) -> Option<Prediction> {
    let version = Version::parse(&environment.kernel)?;
    let mut extended = with_overrides(case, &environment.overrides);
    extended.give_up = give_up;
    predict(&extended, &KernelFacts::new(version, environment.hz?)).ok()
}

fn observed(outcome: &Outcome) -> Option<&FirstSign> {
    outcome
        .first_sign
        .as_ref()
        .filter(|_| outcome.status == Status::Ran)
}

/// The refined prediction, or what the outcome is compared with instead.
fn refined_or_why_not(
    case: &Case,
    outcome: &Outcome,
    environment: &Environment,
) -> Result<Prediction, ComparedWith> {
    match refine(case, outcome, environment) {
        Some(Ok(refined)) => Ok(refined),
        Some(Err(e)) => Err(ComparedWith::Fallback(e.why)),
        None if environment.time == "virtual" => Err(ComparedWith::Fallback(
            "the phase of the timer wheel or the start of the case was not recorded".into(),
        )),
        None => Err(ComparedWith::Case),
    }
}

fn outside_refined(
    prediction: &Prediction,
    outcome: &Outcome,
    first: &FirstSign,
) -> Option<String> {
    // The moments say when faults took effect: no delay is left to allow for.
    let none = Duration::ZERO;
    sign_outside(prediction, first, none, &PREDICTED_VIRTUAL_TIME)
        .or_else(|| first_byte_outside(prediction, outcome, none, &PREDICTED_VIRTUAL_TIME))
}

/// Whether an outcome from real time is what the rules say of programs and faults that
/// acted when these did: the machine was late with them, not the kernel with its answer.
fn inside_by_moments(prediction: &Prediction, outcome: &Outcome, first: &FirstSign) -> bool {
    let none = Duration::ZERO;
    sign_outside(prediction, first, none, &PREDICTED_REAL_TIME).is_none()
        && first_byte_outside(prediction, outcome, none, &PREDICTED_REAL_TIME).is_none()
}

fn outside_case(
    prediction: &Prediction,
    case: &Case,
    outcome: &Outcome,
    first: &FirstSign,
) -> Option<String> {
    let delay = fault_delay(case, &outcome.faults);
    let tolerance = PredictionTolerance {
        late: PREDICTED_REAL_TIME.late + round_trip::allowance(prediction, outcome),
        ..PREDICTED_REAL_TIME
    };
    sign_outside(prediction, first, delay, &tolerance).or_else(|| {
        let delay = heal_delay(case, outcome);
        first_byte_outside(prediction, outcome, delay, &PREDICTED_REAL_TIME)
    })
}
