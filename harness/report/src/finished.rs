//! A run that is over, as the reports take it.

use std::time::Duration;

use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status, Verdict};

/// A run that is over.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// Where it ran.
    pub environment: &'a Environment,
    /// Its outcomes, in the file's order.
    pub outcomes: &'a [Outcome],
    /// Whether it was ended by Ctrl-C or SIGTERM.
    pub interrupted: bool,
    /// How long it took, on the clock on the wall.
    pub elapsed: Duration,
}

/// How many cases ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// All of them.
    pub cases: usize,
    /// As expected.
    pub as_expected: usize,
    /// Nothing was expected of them.
    pub observed: usize,
    /// Not as expected.
    pub differ: usize,
    /// Not as expected, and known to be so.
    pub known: usize,
    /// The harness failed.
    pub failed: usize,
    /// Not run.
    pub not_run: usize,
    /// Outside their prediction, whatever their verdict.
    pub outside: usize,
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
            // What is known to be otherwise need not be predicted.
            let outside = outcome.outside.is_some() && verdict != Verdict::Known;
            totals.outside += usize::from(outside);
            *match verdict {
                Verdict::AsExpected => &mut totals.as_expected,
                Verdict::Observed => &mut totals.observed,
                Verdict::Differs => &mut totals.differ,
                Verdict::Known => &mut totals.known,
                Verdict::Failed => &mut totals.failed,
                Verdict::NotRun => &mut totals.not_run,
            } += 1;
        }
        totals
    }

    /// Whether every case that ran did as expected and as predicted.
    pub fn all_as_expected(&self) -> bool {
        self.differ == 0 && self.failed == 0 && self.outside == 0
    }
}

/// A case's verdict, where its status rules: a case that did not run to its
/// end must never count as one that did as expected.
pub fn verdict(outcome: &Outcome) -> Verdict {
    match outcome.status {
        Status::Ran => outcome.verdict,
        Status::NotRun(_) => Verdict::NotRun,
        Status::Failed(_) => Verdict::Failed,
    }
}

/// Outcomes by scenario, in the order of each scenario's first case.
pub fn by_scenario(outcomes: &[Outcome]) -> indexmap::IndexMap<&str, Vec<&Outcome>> {
    let mut groups: indexmap::IndexMap<&str, Vec<&Outcome>> = indexmap::IndexMap::new();
    for outcome in outcomes {
        groups.entry(&outcome.scenario).or_default().push(outcome);
    }
    groups
}
