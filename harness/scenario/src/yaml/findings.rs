//! Collects what decoding each case of a scenario found out: problems, which axes
//! are used, which conditions held. Only all cases together show that an axis is
//! unused or that a condition never holds.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::error::{Problem, Span};

/// A problem, the number of cases that have it, and the first of them.
type Found = (Problem, usize, String);

/// What decoding the cases of a scenario found out.
#[derive(Debug, Default)]
pub struct Findings {
    /// Problems by place and message.
    problems: RefCell<IndexMap<(Span, String), Found>>,
    /// Axes that a case uses.
    used: RefCell<BTreeSet<String>>,
    /// Each `when`, and whether it held in any case.
    conditions: RefCell<BTreeMap<Span, bool>>,
    /// Each sign of a list, and whether it was chosen in any case.
    chosen: RefCell<BTreeMap<Span, bool>>,
}

impl Findings {
    /// The problems. One that not all of the `cases` have says which have it.
    pub fn into_problems(self, cases: usize) -> Vec<Problem> {
        self.problems
            .into_inner()
            .into_values()
            .map(|(problem, count, first)| match count {
                count if count >= cases || first.is_empty() => problem,
                1 => problem.note(format!("in the case `{first}`")),
                _ => problem.note(format!(
                    "in {count} of {cases} cases, the first is `{first}`"
                )),
            })
            .collect()
    }

    /// Whether there is a problem.
    pub fn any(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// Whether a case uses the axis.
    pub fn uses(&self, axis: &str) -> bool {
        self.used.borrow().contains(axis)
    }

    /// Places of `when`s that hold in no case.
    pub fn unmet_conditions(&self) -> Vec<Span> {
        let conditions = self.conditions.borrow();
        conditions
            .iter()
            .filter(|(_, held)| !**held)
            .map(|(span, _)| *span)
            .collect()
    }

    /// Places of signs whose `when` holds in some case, but never without that of an
    /// earlier sign of the list.
    pub fn unreachable_signs(&self) -> Vec<Span> {
        let (conditions, chosen) = (self.conditions.borrow(), self.chosen.borrow());
        chosen
            .iter()
            .filter(|(span, chosen)| !**chosen && conditions.get(span).copied().unwrap_or(true))
            .map(|(span, _)| *span)
            .collect()
    }

    /// Notes whether the sign at a place was chosen.
    pub fn choose(&self, span: Span, chosen: bool) {
        *self.chosen.borrow_mut().entry(span).or_default() |= chosen;
    }

    /// Notes a problem in a case.
    pub fn note(&self, problem: Problem, case: &str) {
        let key = (problem.span, problem.message.clone());
        let mut problems = self.problems.borrow_mut();
        problems
            .entry(key)
            .or_insert_with(|| (problem, 0, case.to_owned()))
            .1 += 1;
    }

    /// Notes that a case uses an axis.
    pub fn use_axis(&self, axis: &str) {
        self.used.borrow_mut().insert(axis.to_owned());
    }

    /// Notes whether the `when` at a place holds.
    pub fn when(&self, span: Span, held: bool) {
        *self.conditions.borrow_mut().entry(span).or_default() |= held;
    }
}
