//! Plans to cases, cases to outcomes, outcomes against their predictions.

use std::collections::BTreeMap;
use std::time::Duration;

use halfopen_outcome::compare_prediction;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_predict::Prediction;
use halfopen_scenario::case::{Case, SignKind};
use halfopen_vm::Kernel;
use halfopen_vm::cases::{self, Options};

use super::plan::Plan;

/// Cases of one guest: its memory is bounded.
const BATCH: usize = 250;

/// How a run compares with its prediction.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The sign came when and as predicted; how wide the interval was before
    /// the run, and once programs and faults had acted, if a timer of the
    /// kernel decides.
    Inside(Option<(Duration, Duration)>),
    /// It did not: how.
    Outside(String),
    /// The rules decide nothing: why.
    Undecided(String),
    /// The case could not be run: why.
    Failed(String),
}

/// The scenario file of these plans, named by their numbers.
pub fn document<'a>(plans: impl Iterator<Item = (&'a str, &'a Plan)> + Clone) -> String {
    let mut text = "version: 1\ndetectors:\n".to_owned();
    for (name, plan) in plans.clone() {
        text.push_str(&plan.detector(name));
    }
    text.push_str("scenarios:\n");
    for (name, plan) in plans {
        text.push_str(&plan.text(name));
    }
    text
}

/// The cases of these plans, in their order.
///
/// # Errors
/// What the parser says: the generator is wrong then.
pub fn cases_of(plans: &[(String, Plan)]) -> Result<Vec<Case>, String> {
    let text = document(plans.iter().map(|(name, plan)| (name.as_str(), plan)));
    let parsed = halfopen_scenario::parse("oracle", &text).map_err(|e| format!("{e}"))?;
    Ok(parsed.cases)
}

/// How an outcome compares with its prediction.
pub fn judge(case: &Case, outcome: &Outcome, environment: &Environment) -> Finding {
    match &outcome.status {
        Status::Ran => {}
        Status::NotRun(why) | Status::Failed(why) => return Finding::Failed(why.clone()),
    }
    if let Some(why) = &outcome.unpredictable {
        return Finding::Undecided(why.clone());
    }
    if let Some(how) = &outcome.outside {
        return Finding::Outside(how.clone());
    }
    let Some(prediction) = &outcome.prediction else {
        return Finding::Failed("nobody predicted it".into());
    };
    let width = |p: &Prediction| p.intervals().map(|span| span.width()).sum();
    let before: Duration = width(prediction);
    let after = match compare_prediction::refine(case, outcome, environment) {
        Some(Ok(sharp)) => width(&sharp),
        Some(Err(e)) => return Finding::Undecided(e.why),
        None => before,
    };
    let timed = prediction.sign != SignKind::Unnoticed && before > Duration::ZERO;
    Finding::Inside(timed.then_some((before, after)))
}

/// A case that was run.
#[derive(Debug)]
pub struct Tried {
    /// What it showed.
    pub outcome: Outcome,
    /// How that compares.
    pub finding: Finding,
    /// Where it ran.
    pub environment: Environment,
}

/// Runs cases in virtual time, some hundred in a guest, and holds them against
/// their predictions.
///
/// # Errors
/// When a guest does not come to its end.
pub fn run(
    cases: &[Case],
    kernel: &Kernel,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Tried>, String> {
    let mut all = Vec::new();
    for batch in cases.chunks(BATCH) {
        let kernels = [kernel.clone()];
        let mut runs = cases::run(batch, &kernels, &Options::default(), &mut |_, _| ())
            .map_err(|e| e.to_string())?;
        let run = runs.pop().ok_or("one kernel, one run")?;
        if let Err(e) = run.ended {
            return Err(e.to_string());
        }
        let environment = run
            .environment
            .ok_or("a guest that ended tells where it was")?;
        let by_id: BTreeMap<&str, &Case> = batch.iter().map(|c| (c.id.as_str(), c)).collect();
        all.extend(run.outcomes.into_iter().filter_map(|outcome| {
            let finding = judge(by_id.get(outcome.id.as_str())?, &outcome, &environment);
            let environment = environment.clone();
            Some(Tried {
                outcome,
                finding,
                environment,
            })
        }));
        progress(all.len());
    }
    Ok(all)
}

/// The findings for these plans, in their order.
pub fn findings(plans: &[(String, Plan)], kernel: &Kernel) -> Result<Vec<Finding>, String> {
    let tried = run(&cases_of(plans)?, kernel, &mut |_| ())?;
    Ok(tried.into_iter().map(|t| t.finding).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every generated plan is a scenario, and so is everything simpler.
    #[test]
    fn every_plan_is_a_scenario() {
        let plans: Vec<(String, Plan)> = (0..400)
            .map(|n| (format!("g{n}"), Plan::generate(7, n)))
            .collect();
        let cases = cases_of(&plans).expect("the generator writes what the parser reads");
        assert_eq!(cases.len(), plans.len());
        let simpler: Vec<(String, Plan)> = plans
            .iter()
            .take(40)
            .flat_map(|(name, plan)| {
                let all = plan.simpler().into_iter().enumerate();
                all.map(move |(n, plan)| (format!("{name}-{n}"), plan))
            })
            .collect();
        assert!(cases_of(&simpler).is_ok_and(|cases| cases.len() == simpler.len()));
    }

    #[test]
    fn a_plan_is_the_same_every_time() {
        assert_eq!(Plan::generate(1, 17), Plan::generate(1, 17));
        assert_ne!(Plan::generate(1, 17), Plan::generate(2, 17));
    }
}
