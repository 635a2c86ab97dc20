//! What a change of sysctls changes: every case is run, or predicted, before and
//! after it and compared. `halfopen impact` runs the cases that this module makes.
//!
//! The phase of timers and the moment at which neighbour entries fail depend on
//! what else runs in a guest, so the results of some cases vary from run to run. A
//! change that the kernel's rules do not explain is therefore run again, twice on
//! either side, and only what differs in every pair is attributed to the sysctls.

mod predict;
mod repeat;
pub mod scope;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::baseline::{Entry, SavedRun};
use super::cause::name_causes;
use super::compare::{ChangeKind, runs, settings};
use super::comparison::Comparison;
use super::environment::Environment;
use super::overrides::with_overrides;
use super::record::Outcome;
use halfopen_predict::{KernelFacts, predict};
use halfopen_scenario::case::{Case, Heartbeat, SignKind, When};

pub use super::overrides::Sysctls;

/// A change of sysctls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The values before it.
    pub then: Sysctls,
    /// The values after it.
    pub now: Sysctls,
}

/// Suffixes of the variants' ids. Variants are run as cases of their own.
const THEN: &str = "#then";
const NOW: &str = "#now";
/// Suffixes of the repeated variants, on either side.
const REPEATED: [[&str; 2]; 2] = [["#then.2", "#then.3"], ["#now.2", "#now.3"]];

/// The longest time to which a case is extended: the keepalive defaults take
/// 2 h 11 m.
const MAX_EXTENSION: Duration = Duration::from_secs(3 * 3600);

impl Change {
    /// The case with a `give_up` long enough for the sign that is predicted before
    /// or after the change on any of these kernels. A case with a heartbeat is not
    /// extended: it would send heartbeats for hours.
    pub fn extend_give_up(&self, case: &Case, kernels: &[KernelFacts]) -> Case {
        let mut extended = case.clone();
        let has_heartbeat = |h: &Option<Heartbeat>| h.is_some();
        if case
            .lanes
            .iter()
            .any(|lane| has_heartbeat(&lane.detector.heartbeat))
        {
            return extended;
        }
        let mut endless = case.clone();
        endless.give_up = Duration::from_secs(24 * 3600);
        let last_planned = case
            .events
            .iter()
            .filter_map(|event| match event.when {
                When::At(at) => Some(at),
                When::After { .. } => None,
            })
            .max()
            .unwrap_or_default();
        let mut needed = Duration::ZERO;
        for kernel in kernels {
            for set in [&self.then, &self.now] {
                let predicted = predict(&with_overrides(&endless, set), kernel).ok();
                let noticed = predicted.filter(|p| p.sign != SignKind::Unnoticed);
                needed = needed.max(noticed.map_or(Duration::ZERO, |p| p.latest));
            }
        }
        let needed = needed + last_planned;
        if needed > case.give_up && needed <= MAX_EXTENSION {
            extended.give_up = needed + case.give_up;
        }
        extended
    }

    /// Each case before and after the change, under ids of their own.
    pub fn variants(&self, cases: &[Case]) -> Vec<Case> {
        let both = |case| {
            [
                variant(case, &self.then, THEN),
                variant(case, &self.now, NOW),
            ]
        };
        cases.iter().flat_map(both).collect()
    }

    /// The variants to run again to confirm changes that the rules do not
    /// explain: each case twice on either side.
    pub fn repetitions(&self, comparison: &Comparison, cases: &[Case]) -> Vec<Case> {
        let unexplained = |case: &&Case| {
            let compared = comparison.cases.iter().find(|c| c.id == case.id);
            compared.is_some_and(|c| c.kind == ChangeKind::Changed && !c.explained)
        };
        let repeated = |case: &Case| {
            let [before, after] = REPEATED;
            // In both orders: which one starts first on a busy processor must not
            // look like an effect of the change.
            [
                variant(case, &self.then, before[0]),
                variant(case, &self.now, after[0]),
                variant(case, &self.now, after[1]),
                variant(case, &self.then, before[1]),
            ]
        };
        cases
            .iter()
            .filter(unexplained)
            .flat_map(repeated)
            .collect()
    }

    /// Keeps only those changes that the outcomes of [`Change::repetitions`]
    /// confirm.
    pub fn confirm(
        &self,
        comparison: &mut Comparison,
        environment: &Environment,
        cases: &[Case],
        outcomes: &[Outcome],
    ) {
        let sides = REPEATED.iter().zip([&self.then, &self.now]);
        let sides: Vec<Vec<SavedRun>> = sides
            .map(|(ends, set)| {
                let of = |end: &&str| side(environment, set, cases, outcomes, end);
                ends.iter().map(of).collect()
            })
            .collect();
        let [thens, nows] = sides.as_slice() else {
            return;
        };
        for case in comparison
            .cases
            .iter_mut()
            .filter(|c| c.kind == ChangeKind::Changed)
        {
            let of = |runs: &[SavedRun]| -> Vec<Entry> {
                let entries = runs.iter().filter_map(|run| run.cases.get(&case.id));
                entries.cloned().collect()
            };
            let (then, now) = (of(thens), of(nows));
            if let (Some(a), Some(b)) = (thens.first(), nows.first()) {
                repeat::keep_repeatable(case, then, now, &a.setting, &b.setting);
            }
        }
    }

    /// Compares the outcomes of the variants. `cases` are those that were passed to
    /// [`Change::variants`].
    pub fn compare(
        &self,
        environment: &Environment,
        cases: &[Case],
        outcomes: &[Outcome],
    ) -> Comparison {
        let then = side(environment, &self.then, cases, outcomes, THEN);
        let now = side(environment, &self.now, cases, outcomes, NOW);
        let mut compared = runs(&then, &now);
        name_causes(&mut compared, cases, &then.setting, &now.setting);
        Comparison {
            environment: settings(&then.setting, &now.setting),
            then: Some(then.setting),
            now: Some(now.setting),
            cases: compared,
        }
    }
}

fn variant(case: &Case, set: &Sysctls, end: &str) -> Case {
    let mut variant = with_overrides(case, set);
    variant.id.push_str(end);
    variant
}

/// The outcomes of one side, under the ids of the original cases.
fn side(
    environment: &Environment,
    set: &Sysctls,
    cases: &[Case],
    outcomes: &[Outcome],
    end: &str,
) -> SavedRun {
    let environment = Environment {
        overrides: set.clone(),
        ..environment.clone()
    };
    let outcomes: Vec<Outcome> = outcomes
        .iter()
        .filter_map(|outcome| {
            let id = outcome.id.strip_suffix(end)?.to_owned();
            Some(Outcome {
                id,
                ..outcome.clone()
            })
        })
        .collect();
    SavedRun::of(&environment, cases, &outcomes)
}
