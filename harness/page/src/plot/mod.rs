//! Prediction against observation: for each case a strip of the time axis with the
//! predicted interval as a bar, the observed sign as a dot and the book's value as a
//! diamond. The page has a strip in each row of its table; the file has all of them
//! below each other.

mod file;
mod strip;

pub use file::file;
pub(crate) use strip::{Was, axis, changed, strip};

use halfopen_outcome::record::Outcome;
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

/// The rows of runs: every case of any of them, in the order of the run that has most.
pub(crate) fn rows<'a>(runs: &[Finished<'a>]) -> Vec<Row<'a>> {
    halfopen_report::kernels::side_by_side(runs)
        .into_iter()
        .map(|on| Row { on })
        .collect()
}
