//! A baseline saved again: what has not changed stays as it is, to the letter,
//! so that the file's own history shows changes and nothing else.

use super::{Baseline, Entry, Kept, Setting};
use crate::compare::{self, What};

/// Entries of two environments would stand in one run.
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

/// What a baseline got from being saved again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updated {
    /// Entries with a known difference, which stay as they were.
    pub known: Vec<String>,
    /// Entries whose known difference is gone, and its `known` with it.
    pub mended: Vec<String>,
}

impl Baseline {
    /// Takes a run over. `picked` says which ids it would have run: others are
    /// left as they are, and so are runs of other kernels.
    ///
    /// # Errors
    /// When what is left is of another environment.
    pub fn update(&mut self, run: Kept, picked: &dyn Fn(&str) -> bool) -> Result<Updated, Mixed> {
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
        let Kept { setting, cases } = run;
        let mut merged: std::collections::BTreeMap<String, Entry> = left.into_iter().collect();
        for (id, new) in cases {
            let before = old.cases.get(&id);
            let entry = match before {
                Some(before) => {
                    let compared =
                        compare::case(&id, Some(before), Some(&new), &old.setting, &setting);
                    match (compared.what, before.known.is_some()) {
                        (What::Known, _) => {
                            updated.known.push(id.clone());
                            before.clone()
                        }
                        (What::Unchanged, known) => {
                            if known {
                                updated.mended.push(id.clone());
                            }
                            Entry {
                                definition: new.definition,
                                showed: before.showed.clone(),
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
        self.runs[place] = Kept {
            setting,
            cases: merged,
        };
        self.sort();
        Ok(updated)
    }

    /// The run of the same clock and kernel, else of the same series.
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
            let key = |run: &Kept| {
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
