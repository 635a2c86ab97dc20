//! A grid that was run: which detector notices which fault, by which sign, and
//! after how long. It needs the plan and the outcomes; `halfopen grid` prints it as
//! text, Markdown or JSON.

pub mod cell;
pub mod json;
mod kernels;
mod legend;
pub mod markdown;
pub mod table;

use std::collections::BTreeMap;

use crate::grid_plan::{Cell, Plan};
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Outcome;
use halfopen_predict::Prediction;

pub use cell::Content;
pub use kernels::kernel_differences;
pub(crate) use markdown::series;

/// A grid that was run.
#[derive(Debug, Clone)]
pub struct Grid<'a> {
    /// The cells and their cases.
    pub plan: &'a Plan,
    /// Where it ran.
    pub environment: &'a Environment,
    /// Outcomes by the cases' ids.
    pub outcomes: BTreeMap<&'a str, &'a Outcome>,
    /// Predictions for cases in which nothing came within the limit, by their ids.
    pub beyond_limit: BTreeMap<&'a str, Prediction>,
}

impl<'a> Grid<'a> {
    /// The grid of a run's outcomes.
    pub fn of(
        plan: &'a Plan,
        environment: &'a Environment,
        outcomes: &'a [Outcome],
        beyond_limit: BTreeMap<&'a str, Prediction>,
    ) -> Self {
        Grid {
            plan,
            environment,
            outcomes: outcomes.iter().map(|o| (o.id.as_str(), o)).collect(),
            beyond_limit,
        }
    }

    /// The content of a cell.
    pub fn content(&self, cell: Cell) -> Content<'_> {
        let Some(case) = self.case(cell) else {
            return Content::Missing;
        };
        match self.outcomes.get(case) {
            None => Content::Missing,
            Some(outcome) => Content::of(outcome, self.beyond_limit.get(case)),
        }
    }

    /// The id of a cell's case.
    pub fn case(&self, cell: Cell) -> Option<&'a str> {
        let index = self.plan.cells.binary_search(&cell).ok()?;
        Some(self.plan.cases.get(index)?.id.as_str())
    }

    /// All cells with their contents, in order.
    fn contents(&self) -> impl Iterator<Item = (Cell, Content<'_>)> {
        self.plan
            .cells
            .iter()
            .map(|cell| (*cell, self.content(*cell)))
    }

    /// `host-crash, fast-pair, idle`.
    fn name(&self, cell: Cell) -> String {
        format!(
            "{}, {}, {}",
            self.plan.faults[cell.fault].name,
            self.plan.detectors[cell.detector].name,
            self.plan.states[cell.state].name()
        )
    }
}

#[cfg(test)]
mod tests;
