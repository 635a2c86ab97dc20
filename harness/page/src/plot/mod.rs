//! Prediction against observation: for each case a strip of the time axis with the
//! predicted interval as a bar (hollow for signs that may come instead, with shares where
//! chance decides), the observed sign as a dot and the book's value as a diamond. The page has a strip in each row of its table; the file has all of them
//! below each other.

mod file;
mod predicted;
mod strip;
#[cfg(test)]
mod tests;

pub use file::file;
pub(crate) use strip::{Was, axis, changed, strip};

use halfopen_outcome::record::Outcome;
use halfopen_predict::Prediction;
use halfopen_report::finished::Finished;

/// One case on all kernels of a run; None: that run has no such case.
pub(crate) struct Row<'a> {
    pub(crate) on: Vec<Option<&'a Outcome>>,
}

impl<'a> Row<'a> {
    /// The outcome on the first kernel that has the case.
    pub(crate) fn first(&self) -> &'a Outcome {
        let mut there = self.on.iter().flatten();
        there.next().expect("a row has an outcome")
    }
}

/// Whether a prediction names signs that may come instead of the first one.
pub(crate) fn have_others(rows: &[Row<'_>]) -> bool {
    predictions(rows).any(|p| !p.others.is_empty())
}

/// Whether a prediction has shares: chance decides.
pub(crate) fn have_shares(rows: &[Row<'_>]) -> bool {
    predictions(rows).any(|p| p.share.is_some())
}

fn predictions<'a>(rows: &'a [Row<'_>]) -> impl Iterator<Item = &'a Prediction> {
    let outcomes = rows.iter().flat_map(|row| row.on.iter().flatten());
    outcomes.filter_map(|outcome| outcome.prediction.as_ref())
}

/// The rows of runs: every case of any of them, in the order of the run that has most.
pub(crate) fn rows<'a>(runs: &[Finished<'a>]) -> Vec<Row<'a>> {
    halfopen_report::kernels::side_by_side(runs)
        .into_iter()
        .map(|on| Row { on })
        .collect()
}
