//! The grid for people and machines: who notices what, with what, after how
//! long. Pure.

pub mod cell;
mod elsewhere;
pub mod json;
mod legend;
pub mod markdown;
pub mod table;

use std::collections::BTreeMap;

use crate::grid_plan::{Cell, Plan};
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Outcome;
use halfopen_predict::Prediction;

pub use cell::Content;
pub use elsewhere::elsewhere;

/// A grid that was run.
#[derive(Debug, Clone)]
pub struct Grid<'a> {
    /// Who stands where.
    pub plan: &'a Plan,
    /// Where it ran.
    pub environment: &'a Environment,
    /// Outcomes by the cases' ids.
    pub outcomes: BTreeMap<&'a str, &'a Outcome>,
    /// What the rules say of a case that would be waited for longer, by its id.
    pub later: BTreeMap<&'a str, Prediction>,
}

impl<'a> Grid<'a> {
    /// From a run's outcomes.
    pub fn of(
        plan: &'a Plan,
        environment: &'a Environment,
        outcomes: &'a [Outcome],
        later: BTreeMap<&'a str, Prediction>,
    ) -> Self {
        Grid {
            plan,
            environment,
            outcomes: outcomes.iter().map(|o| (o.id.as_str(), o)).collect(),
            later,
        }
    }

    /// What stands in a cell.
    pub fn content(&self, cell: Cell) -> Content<'_> {
        let Some(case) = self.case(cell) else {
            return Content::Missing;
        };
        match self.outcomes.get(case) {
            None => Content::Missing,
            Some(outcome) => Content::of(outcome, self.later.get(case)),
        }
    }

    fn case(&self, cell: Cell) -> Option<&'a str> {
        let index = self.plan.cells.binary_search(&cell).ok()?;
        Some(self.plan.cases.get(index)?.id.as_str())
    }

    /// Everything that stands in the grid, in the order of its cells.
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
