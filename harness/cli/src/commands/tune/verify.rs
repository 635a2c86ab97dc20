//! `tune --verify`: runs the settings in guests, in virtual time.

use halfopen_net::error::chain;
use halfopen_outcome::record::Outcome;
use halfopen_scenario::case::Case;
use halfopen_tune::trials::{Question, Shown, Trial, trials};
use halfopen_tune::{Answer, Promises, Tuned};
use halfopen_vm::cases::Options;
use halfopen_vm::{Kernel, VmError};

use crate::shared::error::{CliError, Exit};
use crate::shared::{guests, interrupt, output};

/// Whose settings a row measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Those that keep both promises.
    Found,
    /// The nearest that ride out the outage.
    Patient,
    /// The nearest that notice in time.
    Quick,
}

/// One trial on one kernel.
pub(super) struct Row {
    pub(super) role: Role,
    pub(super) question: Question,
    /// What happens in the trial.
    pub(super) description: String,
    pub(super) shown: Shown,
    /// The settings and their worst case.
    tuned: Tuned,
}

impl Row {
    /// Whether the proof says that these settings may break this promise.
    pub(super) fn expected_to_break(&self, promises: &Promises) -> bool {
        match (self.role, self.question) {
            (Role::Patient, Question::Crash) => self.tuned.worst.noticed() > promises.notice_within,
            (Role::Quick, Question::Outage) => self.tuned.worst.ridden() < promises.ride_out,
            _ => false,
        }
    }
}

/// One kernel's trials.
pub(super) struct Run {
    pub(super) kernel: String,
    pub(super) rows: Vec<Row>,
}

impl Run {
    /// Whether every promise is kept, or broken as proved.
    fn as_promised(&self, promises: &Promises) -> bool {
        let fine = |row: &Row| row.shown.keeps(promises) || row.expected_to_break(promises);
        self.rows.iter().all(fine)
    }

    /// Whether these settings break their promise in at least one trial.
    fn breaks(&self, promises: &Promises, role: Role) -> bool {
        self.rows
            .iter()
            .any(|row| row.role == role && !row.shown.keeps(promises))
    }

    /// The conclusions, a line each.
    pub(super) fn conclusions(&self, promises: &Promises) -> Vec<String> {
        let has = |role| self.rows.iter().any(|row| row.role == role);
        let mut lines = Vec::new();
        if has(Role::Found) {
            lines.push(if self.as_promised(promises) {
                "every promise is kept".to_owned()
            } else {
                "a promise is BROKEN: please report this, with the output of --format json".into()
            });
        }
        for (role, what) in [
            (Role::Patient, "patient: notices too late"),
            (Role::Quick, "quick: does not ride the outage out"),
        ] {
            if has(role) {
                lines.push(if self.breaks(promises, role) {
                    format!("{what}, as proved")
                } else {
                    format!("{what} only at a phase that is not among these")
                });
            }
        }
        lines
    }
}

/// The trials on all kernels.
pub(super) struct Verified {
    pub(super) runs: Vec<Run>,
    /// How the command ends when a guest failed.
    pub(super) failed: Option<Exit>,
    as_promised: bool,
}

impl Verified {
    pub(super) fn as_promised(&self) -> bool {
        self.as_promised
    }
}

pub(super) fn measure(
    promises: &Promises,
    answer: &Answer,
    kernels: &[Kernel],
) -> Result<Verified, CliError> {
    let candidates: Vec<(Role, Tuned)> = match answer {
        Answer::Found { tuned, .. } => vec![(Role::Found, *tuned)],
        Answer::Impossible(none) => [(Role::Patient, none.patient), (Role::Quick, none.quick)]
            .into_iter()
            .filter_map(|(role, tuned)| Some((role, tuned?)))
            .collect(),
    };
    let mut planned: Vec<(Role, Tuned, Trial)> = Vec::new();
    for (role, tuned) in candidates {
        let name = format!("{role:?}").to_lowercase();
        let trials = trials(promises, &tuned, &name).map_err(|e| {
            CliError::Usage(format!(
                "these promises make no cases that can be run:\n{e}"
            ))
        })?;
        planned.extend(trials.into_iter().map(|trial| (role, tuned, trial)));
    }
    let all: Vec<Case> = planned.iter().map(|(_, _, t)| t.case.clone()).collect();
    let options = Options {
        interrupt: interrupt::watch(),
        ..Options::default()
    };
    let ran = guests::run(&all, kernels, &options)?;
    let mut failed = None;
    let mut runs = Vec::new();
    for (kernel, run) in kernels.iter().zip(&ran) {
        if let Err(e) = &run.ended {
            failed = Some(match e {
                VmError::Interrupted => Exit::Interrupted,
                _ => Exit::Machine,
            });
            output::error(&format!("{}: {}", kernel.release, chain(e)));
        }
        let rows = planned
            .iter()
            .map(|(role, tuned, trial)| Row {
                role: *role,
                question: trial.question,
                description: trial.description.clone(),
                shown: shown(trial, &run.outcomes),
                tuned: *tuned,
            })
            .collect();
        runs.push(Run {
            kernel: kernel.release.clone(),
            rows,
        });
    }
    let as_promised = runs.iter().all(|run| run.as_promised(promises));
    Ok(Verified {
        runs,
        failed,
        as_promised,
    })
}

fn shown(trial: &Trial, outcomes: &[Outcome]) -> Shown {
    outcomes
        .iter()
        .find(|outcome| outcome.id == trial.case.id)
        .map_or_else(
            || Shown::Nothing("the guest ended before it".into()),
            |outcome| trial.shown(outcome),
        )
}
