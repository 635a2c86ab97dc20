//! Errors of the command, and exit codes.

use std::process::ExitCode;

use halfopen_report::finished::{Finished, Totals};

use super::capabilities::Missing;

/// How the command ends. The codes are an interface that scripts depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that ran did as expected.
    AsExpected,
    /// A case differs, or failed.
    Differs,
    /// The command line, or a file, is wrong.
    Input,
    /// This machine cannot do it.
    Machine,
    /// As the command of `exec` ended.
    Command(u8),
    /// Ended by SIGINT or SIGTERM: 128 + SIGINT, as shells count.
    Interrupted,
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::AsExpected => 0,
            Exit::Differs => 1,
            Exit::Input => 2,
            Exit::Machine => 3,
            Exit::Command(code) => code,
            Exit::Interrupted => 130,
        }
    }

    /// The exit code of a run. A run in which no case could be run has shown
    /// nothing, so it does not count as going as expected.
    pub(crate) fn of_run(finished: &Finished<'_>) -> Exit {
        Exit::of_totals(&Totals::of(finished.outcomes), finished.interrupted)
    }

    /// The same of the totals.
    pub(crate) fn of_totals(totals: &Totals, interrupted: bool) -> Exit {
        if interrupted {
            Exit::Interrupted
        } else if !totals.all_as_expected() {
            Exit::Differs
        } else if totals.not_run == totals.cases && totals.cases > 0 {
            Exit::Machine
        } else {
            Exit::AsExpected
        }
    }

    /// The most severe of several.
    pub(crate) fn most_severe(exits: &[Exit]) -> Exit {
        let order = [Exit::Interrupted, Exit::Machine, Exit::Differs];
        order
            .into_iter()
            .find(|exit| exits.contains(exit))
            .unwrap_or(Exit::AsExpected)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why the command could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The scenarios are wrong; the message shows where.
    #[error("{0}")]
    Scenarios(String),
    /// An argument on the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// This machine cannot do it.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The run ended without results.
    #[error("failed to run: {0}")]
    Run(String),
    /// A guest cannot be run: no QEMU, no kernel, not a kernel.
    #[error("{0}")]
    Vm(String),
    /// A baseline could not be written.
    #[error("failed to save {}: {source}", path.display())]
    Save {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The report could not be written.
    #[error("failed to write the report: {0}")]
    Output(std::io::Error),
}

impl CliError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            CliError::Scenarios(_) | CliError::Usage(_) => Exit::Input,
            CliError::Missing(_) | CliError::Run(_) | CliError::Vm(_) => Exit::Machine,
            CliError::Save { .. } | CliError::Output(_) => Exit::Machine,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_outcome::record::Outcome;
    use halfopen_outcome::testing;

    fn code(outcomes: &[Outcome], interrupted: bool) -> u8 {
        let environment = testing::environment();
        let elapsed = Duration::from_secs(1);
        Exit::of_run(&Finished {
            environment: &environment,
            outcomes,
            interrupted,
            elapsed,
        })
        .code()
    }

    #[test]
    fn exit_codes() {
        let (good, skipped) = (testing::unnoticed(), testing::not_run());
        assert_eq!(code(&[good.clone(), skipped.clone()], false), 0);
        assert_eq!(code(&[good.clone(), testing::failed()], false), 1);
        assert_eq!(code(&testing::all(), false), 1);
        assert_eq!(code(&[skipped], false), 3);
        assert_eq!(code(&[good], true), 130);
    }
}
