//! Compares two baselines, or a baseline and a run, and names causes: what
//! `halfopen diff`, `run --against` and `impact` report.

use super::baseline::{Baseline, Setting};
use super::cause::name_causes;
use super::compare::{self, ComparedCase, Difference, Totals};
use halfopen_scenario::case::Case;

/// A run and its counterpart, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The earlier environment; None: there was no such run.
    pub then: Option<Setting>,
    /// The later environment; None: there is no such run.
    pub now: Option<Setting>,
    /// The differences between the two.
    pub environment: Vec<Difference>,
    /// Every case, by id.
    pub cases: Vec<ComparedCase>,
}

impl Comparison {
    /// Compares every run of two baselines. `cases` are the current cases, as
    /// far as they are known: causes follow from the predictions for them.
    pub fn all(old: &Baseline, new: &Baseline, cases: &[Case]) -> Vec<Comparison> {
        compare::pairs(old, new)
            .into_iter()
            .map(|pair| {
                let (then, now) = (pair.old, pair.new);
                let mut comparison = Comparison {
                    then: then.map(|run| run.setting.clone()),
                    now: now.map(|run| run.setting.clone()),
                    environment: Vec::new(),
                    cases: Vec::new(),
                };
                if let (Some(then), Some(now)) = (then, now) {
                    comparison.environment = compare::settings(&then.setting, &now.setting);
                    comparison.cases = compare::runs(then, now);
                    name_causes(&mut comparison.cases, cases, &then.setting, &now.setting);
                    return comparison;
                }
                // In a run without counterpart every case is new, or gone.
                for run in [then, now].into_iter().flatten() {
                    let is_old = then.is_some();
                    comparison.cases = run
                        .cases
                        .iter()
                        .map(|(id, entry)| {
                            let (old, new) = if is_old {
                                (Some(entry), None)
                            } else {
                                (None, Some(entry))
                            };
                            compare::case(id, old, new, &run.setting, &run.setting)
                        })
                        .collect();
                }
                comparison
            })
            .collect()
    }

    /// How many cases changed, and how.
    pub fn totals(&self) -> Totals {
        Totals::of(&self.cases)
    }

    /// Whether something changed that is not declared as known.
    pub fn any_change(&self) -> bool {
        self.totals().any_change()
    }
}
