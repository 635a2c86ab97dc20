//! What ends the command, and with which exit code.

use std::process::ExitCode;

/// How the command ends. The codes are an interface: scripts read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything that ran did as expected.
    AsExpected,
    /// A case differs, or failed.
    Differs,
    /// The words on the command line, or a file, are wrong.
    Input,
    /// This machine cannot do it.
    Machine,
    /// Ended by SIGINT or SIGTERM: 128 + SIGINT, as shells count.
    Interrupted,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::AsExpected => 0,
            Exit::Differs => 1,
            Exit::Input => 2,
            Exit::Machine => 3,
            Exit::Interrupted => 130,
        }
    }

    /// The gravest of several.
    pub(super) fn gravest(exits: &[Exit]) -> Exit {
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
pub(super) enum CliError {
    /// The scenarios are wrong; the message shows where.
    #[error("{0}")]
    Scenarios(String),
    /// A word on the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// This machine cannot do it.
    #[error(transparent)]
    Missing(#[from] super::doctor::Missing),
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
    pub(super) fn exit(&self) -> Exit {
        match self {
            CliError::Scenarios(_) | CliError::Usage(_) => Exit::Input,
            CliError::Missing(_) | CliError::Run(_) | CliError::Vm(_) => Exit::Machine,
            CliError::Save { .. } | CliError::Output(_) => Exit::Machine,
        }
    }
}
