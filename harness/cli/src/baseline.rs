//! `run --save`, `run --against` and `halfopen diff`: files of baselines.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use halfopen_outcome::baseline::{self, Baseline, SavedRun, Setting};
use halfopen_outcome::comparison::Comparison;
use halfopen_outcome::record::Outcome;
use halfopen_report::finished::Finished;
use halfopen_report::{comparison, ladder};
use halfopen_scenario::case::Case;
use halfopen_scenario::load::{self, Kind};

use super::args::ReportFormat;
use super::error::{CliError, Exit};
use super::select::Picked;
use super::{catalogue, output};

/// The options of `run` that have to do with baselines.
#[derive(Debug, Args)]
pub(super) struct BaselineArgs {
    /// Keep what the cases showed in a file, to compare with later; in one that
    /// is there already, what has not changed stays as it is
    #[arg(long, value_name = "BASELINE")]
    pub(super) save: Option<PathBuf>,
    /// Compare with a file that --save wrote, and report what is not the same
    #[arg(long, value_name = "BASELINE", conflicts_with = "ladder")]
    pub(super) against: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// What was saved before
    #[arg(value_name = "BEFORE")]
    pub(super) before: PathBuf,
    /// What was saved since
    #[arg(value_name = "NOW")]
    pub(super) now: PathBuf,
    /// The file of scenarios that was run, to name causes by the kernel's rules
    /// [default: ./scenarios.yaml, else the built-in catalogue]
    #[arg(long, value_name = "FILE")]
    pub(super) scenarios: Option<PathBuf>,
    /// For people, for a pull request's comment, or for programs
    #[arg(long, value_enum, default_value_t = ReportFormat::Table, value_name = "FORM")]
    pub(super) format: ReportFormat,
}

const KIND: Kind = Kind {
    what: "a baseline",
    missing: "`halfopen run --save FILE` writes one",
    directory: "name the file in it",
};

fn read(path: &Path) -> Result<Baseline, CliError> {
    load::text(path, &KIND)
        .and_then(|text| baseline::read(path, &text))
        .map_err(|e| CliError::Scenarios(e.to_string()))
}

/// What is to be done with a run's results; made before it, so that a file
/// that is wrong is told before anything is run.
#[derive(Debug, Default)]
pub(super) struct Plan {
    save: Option<(PathBuf, Baseline)>,
    against: Option<Baseline>,
}

impl Plan {
    /// Reads the files there are.
    ///
    /// # Errors
    /// When one is wrong, or cannot be written where it is to be.
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

    /// Reports the comparison, then saves. None: nothing was compared, and the
    /// run's own exit code stands.
    pub(super) fn carry_out(
        self,
        runs: &[Finished<'_>],
        picked: &Picked<'_>,
        format: ReportFormat,
    ) -> Result<Option<Exit>, CliError> {
        let cases = picked.cases;
        let kept: Vec<SavedRun> = runs
            .iter()
            .map(|run| SavedRun::of(run.environment, cases, run.outcomes))
            .collect();
        let interrupted = runs.iter().any(|run| run.interrupted);
        let mut exit = None;
        if let Some(mut old) = self.against {
            // Cases that were not asked for are not gone.
            for run in &mut old.runs {
                run.cases.retain(|id, _| picked.picks(id));
            }
            let new = Baseline { runs: kept.clone() };
            let mut comparisons = Comparison::all(&old, &new, cases);
            let left: Vec<String> = comparisons
                .iter()
                .filter(|c| c.now.is_none())
                .filter_map(|c| c.then.as_ref().map(|s| s.kernel.clone()))
                .collect();
            // Kernels that were not asked for are not gone either.
            comparisons.retain(|c| c.now.is_some());
            let evidence = |setting: &Setting, id: &str| evidence(runs, setting, id);
            show(&comparisons, format, &evidence)?;
            if !left.is_empty() {
                output::remark(&format!(
                    "not compared, because it was not run: kernel {}",
                    left.join(", ")
                ));
            }
            exit = Some(code(&comparisons));
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
        Ok(exit)
    }
}

fn evidence(runs: &[Finished<'_>], setting: &Setting, id: &str) -> Option<String> {
    let run = runs
        .iter()
        .find(|run| Setting::of(run.environment) == *setting)?;
    let outcome: &Outcome = run.outcomes.iter().find(|outcome| outcome.id == id)?;
    Some(ladder::render(outcome, &ladder::EVIDENCE))
}

fn show(
    comparisons: &[Comparison],
    format: ReportFormat,
    evidence: comparison::text::Evidence<'_>,
) -> Result<(), CliError> {
    match format {
        ReportFormat::Json => {
            output::write_with(|out| comparison::json::write(comparisons, &[], out))
        }
        ReportFormat::Markdown => output::say(&comparison::markdown::render(comparisons)),
        ReportFormat::Table => output::say(&comparison::text::render(comparisons, evidence)),
    }
}

fn code(comparisons: &[Comparison]) -> Exit {
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

/// All of it or nothing: a reader never sees half a file.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    // A file behind a symbolic link is replaced, not the link.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| std::fs::rename(&beside, &path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// `halfopen diff`.
pub(super) fn diff(args: &DiffArgs) -> Result<Exit, CliError> {
    let (before, now) = (read(&args.before)?, read(&args.now)?);
    let cases = cases_for_causes(args.scenarios.as_deref())?;
    let comparisons = Comparison::all(&before, &now, &cases);
    show(&comparisons, args.format, &|_, _| None)?;
    let changed = comparisons.iter().any(Comparison::any_change);
    Ok(if changed {
        Exit::Differs
    } else {
        Exit::AsExpected
    })
}

/// A file that was not named need not be there, or right: without it, changes
/// are told without their causes.
fn cases_for_causes(file: Option<&Path>) -> Result<Vec<Case>, CliError> {
    match (catalogue::quietly(file), file) {
        (Ok(catalogue), _) => Ok(catalogue.cases),
        (Err(e), Some(_)) => Err(e),
        (Err(_), None) => {
            output::remark("./scenarios.yaml has mistakes: no causes are named (halfopen check)");
            Ok(Vec::new())
        }
    }
}
