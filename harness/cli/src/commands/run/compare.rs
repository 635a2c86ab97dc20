//! `run --save` and `run --against`: reads the baselines before anything is run,
//! compares the run with them, and saves it.

use std::path::{Path, PathBuf};

use halfopen_outcome::baseline::{Baseline, SavedRun, Setting};
use halfopen_outcome::comparison::Comparison;
use halfopen_outcome::record::Outcome;
use halfopen_report::finished::Finished;
use halfopen_report::ladder;

use crate::args::{BaselineArgs, RunFormat};
use crate::shared::baseline::{read, show, write};
use crate::shared::error::{CliError, Exit};
use crate::shared::output;
use crate::shared::select::Picked;

/// The baselines that a run is saved in and compared with. Read before the run, so
/// that a mistake in one is reported before anything is run.
#[derive(Debug, Default)]
pub(super) struct Plan {
    save: Option<(PathBuf, Baseline)>,
    against: Option<Baseline>,
}

/// What a comparison showed.
pub(super) struct Compared {
    pub(super) exit: Exit,
    pub(super) comparisons: Vec<Comparison>,
}

impl Plan {
    /// Reads the files there are.
    ///
    /// # Errors
    /// When one is wrong, or the directory to save in does not exist.
    pub(super) fn of(args: &BaselineArgs) -> Result<Self, CliError> {
        let against = args.against.as_deref().map(read).transpose()?;
        let save = match &args.save {
            None => None,
            Some(path) => {
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
                if let Some(parent) = parent.filter(|p| !p.is_dir()) {
                    return Err(CliError::Usage(format!(
                        "--save {}: there is no directory {}",
                        path.display(),
                        parent.display()
                    )));
                }
                let old = match path.symlink_metadata() {
                    Ok(_) => read(path)?,
                    Err(_) => Baseline::default(),
                };
                Some((path.clone(), old))
            }
        };
        Ok(Plan { save, against })
    }

    /// Whether the comparison takes the place of the run's report.
    pub(super) fn compares(&self) -> bool {
        self.against.is_some()
    }

    /// Reports the comparison, then saves. Without comparisons the run's own exit
    /// code applies.
    pub(super) fn carry_out(
        self,
        runs: &[Finished<'_>],
        picked: &Picked<'_>,
        format: RunFormat,
    ) -> Result<Option<Compared>, CliError> {
        let cases = picked.cases;
        let kept: Vec<SavedRun> = runs
            .iter()
            .map(|run| SavedRun::of(run.environment, cases, run.outcomes))
            .collect();
        let interrupted = runs.iter().any(|run| run.interrupted);
        let mut compared = None;
        if let Some(mut old) = self.against {
            // Cases that were not asked for do not count as gone.
            for run in &mut old.runs {
                run.cases.retain(|id, _| picked.picks(id));
            }
            let new = Baseline { runs: kept.clone() };
            let mut comparisons = Comparison::all(&old, &new, cases);
            let not_run: Vec<String> = comparisons
                .iter()
                .filter(|c| c.now.is_none())
                .filter_map(|c| c.then.as_ref().map(|s| s.kernel.clone()))
                .collect();
            // Nor do kernels that were not asked for.
            comparisons.retain(|c| c.now.is_some());
            let evidence = |setting: &Setting, id: &str| evidence(runs, setting, id);
            show(&comparisons, format.of_comparison(), &evidence)?;
            if !not_run.is_empty() {
                output::remark(&format!(
                    "not compared, because it was not run: kernel {}",
                    not_run.join(", ")
                ));
            }
            compared = Some(Compared {
                exit: exit_of(&comparisons),
                comparisons,
            });
        }
        if let Some((path, old)) = self.save {
            if interrupted {
                output::remark(&format!(
                    "not saved: the run was interrupted ({})",
                    path.display()
                ));
            } else {
                save(&path, old, kept, picked)?;
            }
        }
        Ok(compared)
    }
}

fn evidence(runs: &[Finished<'_>], setting: &Setting, id: &str) -> Option<String> {
    let run = runs
        .iter()
        .find(|run| Setting::of(run.environment) == *setting)?;
    let outcome: &Outcome = run.outcomes.iter().find(|outcome| outcome.id == id)?;
    Some(ladder::render(outcome, &ladder::EVIDENCE))
}

fn exit_of(comparisons: &[Comparison]) -> Exit {
    let totals: Vec<_> = comparisons.iter().map(Comparison::totals).collect();
    let cases: usize = comparisons.iter().map(|c| c.cases.len()).sum();
    let not_run: usize = totals.iter().map(|t| t.not_run).sum();
    if totals.iter().any(|t| t.any_change()) {
        Exit::Differs
    } else if cases > 0 && not_run == cases {
        Exit::Machine
    } else {
        Exit::AsExpected
    }
}

fn save(
    path: &Path,
    mut baseline: Baseline,
    kept: Vec<SavedRun>,
    picked: &Picked<'_>,
) -> Result<(), CliError> {
    for run in kept {
        let updated = baseline
            .update(run, &|id| picked.picks(id))
            .map_err(|e| CliError::Usage(format!("not saved to {}: {e}", path.display())))?;
        for id in updated.known {
            output::remark(&format!("kept, because it is known to differ: {id}"));
        }
        for id in updated.resolved {
            output::remark(&format!("no longer differs, its `known` is removed: {id}"));
        }
    }
    let written = write(path, &baseline.to_string());
    written.map_err(|e| CliError::Save {
        path: path.to_owned(),
        source: e,
    })
}
