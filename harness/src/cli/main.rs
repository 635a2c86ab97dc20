//! The command's beginning and end.

use std::process::ExitCode;

use clap::Parser;

use super::args::{Cli, Command};
use super::error::{CliError, Exit};
use super::{baseline, doctor, foretell, guests, impact, list, output, run, tune};
use crate::{endpoint, scenario, vm};

/// Runs the command with this process's arguments.
pub fn main() -> ExitCode {
    // Endpoints are this same program; they must not get to the words below.
    endpoint::serve_if_asked();
    vm::guest::serve_if_guest(vm::cases::work);
    // Ends the process itself after --help and --version (0) and after words
    // it does not know (2).
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Diff(args) => baseline::diff(args),
        Command::Impact(args) => impact::impact(args),
        Command::Predict(args) => foretell::foretell(args),
        Command::Tune(args) => tune::tune(args),
        Command::List(args) => list::list(args),
        Command::Check(args) => list::check(args),
        Command::Schema => schema(),
        Command::Kernels => guests::list(),
        Command::Doctor => doctor::doctor(),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(e) => {
            match &e {
                // They are rendered like a compiler's messages already.
                CliError::Scenarios(text) => output::remark(text.trim_end()),
                _ => output::error(&e.to_string()),
            }
            e.exit().into()
        }
    }
}

fn schema() -> Result<Exit, CliError> {
    let schema = scenario::schema();
    output::write_with(|out| {
        serde_json::to_writer_pretty(&mut *out, &schema)?;
        out.write_all(b"\n")
    })?;
    Ok(Exit::AsExpected)
}
