//! A finished run as the reports take it, with its totals.

use std::time::Duration;

use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status, Verdict};

/// A finished run.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// Where it ran.
    pub environment: &'a Environment,
    /// Its outcomes, in the file's order.
    pub outcomes: &'a [Outcome],
    /// Whether Ctrl-C or SIGTERM ended it.
    pub interrupted: bool,
    /// How long it took, in wall clock time.
    pub elapsed: Duration,
}

/// How many cases ended with which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// All of them.
    pub cases: usize,
    /// As expected.
    pub as_expected: usize,
    /// Without an expectation.
    pub observed: usize,
    /// Not as expected.
    pub differ: usize,
    /// Not as expected, and declared as known.
    pub known: usize,
    /// Something was wrong before the fault struck.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_set_up: usize,
    /// The harness failed.
    pub failed: usize,
    /// Neither: the machine was disturbed in every try.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disturbed: usize,
    /// Not run.
    pub not_run: usize,
    /// Outside their prediction, with any verdict but a known difference.
    pub outside: usize,
    /// Compared with the wider prediction although they ran in virtual time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fallback: usize,
}

impl Totals {
    /// Counts outcomes.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut totals = Totals {
            cases: outcomes.len(),
            ..Totals::default()
        };
        for outcome in outcomes {
            let verdict = verdict(outcome);
            // A known difference need not be predicted, and a disturbed case says
            // nothing.
            let outside = outcome.outside.is_some()
                && !matches!(verdict, Verdict::Known | Verdict::Disturbed);
            totals.outside += usize::from(outside);
            totals.fallback += usize::from(outcome.fallback().is_some());
            *match verdict {
                Verdict::AsExpected => &mut totals.as_expected,
                Verdict::Observed => &mut totals.observed,
                Verdict::Differs => &mut totals.differ,
                Verdict::Known => &mut totals.known,
                Verdict::NotSetUp => &mut totals.not_set_up,
                Verdict::Failed => &mut totals.failed,
                Verdict::Disturbed => &mut totals.disturbed,
                Verdict::NotRun => &mut totals.not_run,
            } += 1;
        }
        totals
    }

    /// Adds those of another part of the same run.
    pub(crate) fn add(&mut self, other: &Totals) {
        // By name, so that no new number is forgotten.
        let Totals {
            cases,
            as_expected,
            observed,
            differ,
            known,
            not_set_up,
            failed,
            disturbed,
            not_run,
            outside,
            fallback,
        } = other;
        self.cases += cases;
        self.as_expected += as_expected;
        self.observed += observed;
        self.differ += differ;
        self.known += known;
        self.not_set_up += not_set_up;
        self.failed += failed;
        self.disturbed += disturbed;
        self.not_run += not_run;
        self.outside += outside;
        self.fallback += fallback;
    }

    /// Whether every case that ran went as expected and as predicted, and its fault
    /// struck what the scenario describes.
    pub fn all_as_expected(&self) -> bool {
        self.differ == 0 && self.not_set_up == 0 && self.failed == 0 && self.outside == 0
    }
}

/// A case's verdict. The status has priority: a case that did not run to its end
/// never counts as one that went as expected.
pub fn verdict(outcome: &Outcome) -> Verdict {
    match outcome.status {
        Status::Ran => outcome.verdict,
        Status::NotRun(_) => Verdict::NotRun,
        Status::Failed(_) => Verdict::Failed,
    }
}

/// Whether somebody should look at a case before the others: it is not as expected,
/// or outside its prediction.
pub fn needs_a_look(outcome: &Outcome) -> bool {
    let fine = matches!(
        verdict(outcome),
        Verdict::AsExpected | Verdict::Observed | Verdict::NotRun
    );
    !fine || outcome.outside.is_some()
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Outcomes by scenario, in the order of each scenario's first case.
pub fn by_scenario(outcomes: &[Outcome]) -> indexmap::IndexMap<&str, Vec<&Outcome>> {
    let mut groups: indexmap::IndexMap<&str, Vec<&Outcome>> = indexmap::IndexMap::new();
    for outcome in outcomes {
        groups.entry(&outcome.scenario).or_default().push(outcome);
    }
    groups
}
