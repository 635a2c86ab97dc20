//! What the cases of one scenario have in common: problems, used axes, conditions.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::error::{Problem, Span};

/// A problem, in how many cases it showed, and the first of those cases.
type Found = (Problem, usize, String);

/// What all cases of a scenario find out together.
#[derive(Debug, Default)]
pub struct Findings {
    /// Problems by place and message, with the number of cases that have them
    /// and the first of those cases.
    problems: RefCell<IndexMap<(Span, String), Found>>,
    /// Axes that something uses.
    used: RefCell<BTreeSet<String>>,
    /// Each `when`, and whether it held in any case.
    whens: RefCell<BTreeMap<Span, bool>>,
    /// Each sign of a list, and whether it was chosen in any case.
    chosen: RefCell<BTreeMap<Span, bool>>,
}

impl Findings {
    /// The problems, each with the cases it happens in unless those are all.
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

    /// Whether anything is wrong.
    pub fn any(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// Whether something used the axis.
    pub fn uses(&self, axis: &str) -> bool {
        self.used.borrow().contains(axis)
    }

    /// Places of `when`s that held in no case.
    pub fn idle_whens(&self) -> Vec<Span> {
        let whens = self.whens.borrow();
        whens
            .iter()
            .filter(|(_, held)| !**held)
            .map(|(span, _)| *span)
            .collect()
    }

    /// Places of signs whose `when` held but that an earlier one always beat.
    pub fn beaten_signs(&self) -> Vec<Span> {
        let (whens, chosen) = (self.whens.borrow(), self.chosen.borrow());
        chosen
            .iter()
            .filter(|(span, chosen)| !**chosen && whens.get(span).copied().unwrap_or(true))
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

    /// Notes that something uses an axis.
    pub fn use_axis(&self, axis: &str) {
        self.used.borrow_mut().insert(axis.to_owned());
    }

    /// Notes whether the `when` at a place held.
    pub fn when(&self, span: Span, held: bool) {
        *self.whens.borrow_mut().entry(span).or_default() |= held;
    }
}
