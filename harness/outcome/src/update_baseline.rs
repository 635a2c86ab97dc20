//! Saves a run over an existing baseline (`run --save`). What has not changed by the
//! tolerances stays as it is, to the letter, so that the history of the file shows
//! changes and nothing else.

use super::baseline::{Baseline, CaseResult, DISTURBED, Entry, SavedRun, Setting};
use super::compare::{self, ChangeKind};

/// A run would hold entries of two environments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it holds {left} more cases of kernel {kernel} that this run did not pick, and their \
     environment was another one ({differs})\n  cure: run all of them, or save to another file"
)]
pub struct Mixed {
    /// The kernel.
    pub kernel: String,
    /// How many would be left from before.
    pub left: usize,
    /// What differs.
    pub differs: String,
}

/// What an update did about known differences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updated {
    /// Entries that were left as they were, because the difference is known.
    pub known: Vec<String>,
    /// Entries that no longer differ; their `known` was removed.
    pub resolved: Vec<String>,
}

impl Baseline {
    /// Updates the baseline with a run. `picked` tells which ids the run selected:
    /// other cases, and runs on other kernels, are left as they are.
    ///
    /// # Errors
    /// When cases that were not selected were saved in another environment.
    pub fn update(
        &mut self,
        run: SavedRun,
        picked: &dyn Fn(&str) -> bool,
    ) -> Result<Updated, Mixed> {
        let mut updated = Updated::default();
        let Some(place) = self.place(&run.setting) else {
            self.runs.push(run);
            self.sort();
            return Ok(updated);
        };
        let old = &self.runs[place];
        let left: Vec<_> = old
            .cases
            .iter()
            .filter(|(id, _)| !run.cases.contains_key(*id) && !picked(id))
            .map(|(id, entry)| (id.clone(), entry.clone()))
            .collect();
        let differs = compare::settings(&old.setting, &run.setting);
        if !left.is_empty() && !differs.is_empty() {
            let differs: Vec<String> = differs.into_iter().map(|d| d.what).collect();
            return Err(Mixed {
                kernel: old.setting.kernel.clone(),
                left: left.len(),
                differs: differs.join(", "),
            });
        }
        let SavedRun { setting, cases } = run;
        let mut merged: std::collections::BTreeMap<String, Entry> = left.into_iter().collect();
        for (id, new) in cases {
            let before = old.cases.get(&id);
            let entry = match before {
                // What a disturbed machine showed replaces nothing.
                Some(before) if new.result == CaseResult::NotRun(DISTURBED.into()) => {
                    before.clone()
                }
                Some(before) => {
                    let compared =
                        compare::case(&id, Some(before), Some(&new), &old.setting, &setting);
                    match (compared.kind, before.known.is_some()) {
                        (ChangeKind::Known, _) => {
                            updated.known.push(id.clone());
                            before.clone()
                        }
                        (ChangeKind::Unchanged, known) => {
                            if known {
                                updated.resolved.push(id.clone());
                            }
                            Entry {
                                definition: new.definition,
                                result: before.result.clone(),
                                known: None,
                            }
                        }
                        _ => new,
                    }
                }
                None => new,
            };
            merged.insert(id, entry);
        }
        self.runs[place] = SavedRun {
            setting,
            cases: merged,
        };
        self.sort();
        Ok(updated)
    }

    /// The position of the run of the same clock and kernel, else of the same
    /// series.
    fn place(&self, setting: &Setting) -> Option<usize> {
        let same = |f: &dyn Fn(&Setting) -> bool| {
            self.runs
                .iter()
                .position(|run| run.setting.clock == setting.clock && f(&run.setting))
        };
        same(&|other| other.kernel == setting.kernel).or_else(|| {
            same(&|other| other.series().is_some() && other.series() == setting.series())
        })
    }

    fn sort(&mut self) {
        self.runs.sort_by(|a, b| {
            let key = |run: &SavedRun| {
                (
                    run.setting.clock.clone(),
                    run.setting.series(),
                    run.setting.kernel.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
    }
}
