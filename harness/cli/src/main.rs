//! The `halfopen` command: reads arguments, calls the other crates, and says what
//! went wrong and how it is cured.

mod args;
mod baseline;
mod catalogue;
mod doctor;
mod error;
mod exec;
mod grid;
mod guests;
mod guests_meter;
mod impact;
mod interrupt;
mod list;
mod output;
mod predict;
mod progress;
mod question;
mod run;
mod select;
mod tune;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use error::{CliError, Exit};
use halfopen_runner::endpoint;

fn main() -> ExitCode {
    // Endpoints are this same program; they must not get to the words below.
    endpoint::serve_if_asked();
    halfopen_vm::guest::serve_if_guest(halfopen_vm::cases::work);
    // Ends the process itself after --help and --version (0) and after words
    // it does not know (2).
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Exec(args) => match exec::exec(args) {
            Ok(code) => return code,
            Err(e) => Err(e),
        },
        Command::Diff(args) => baseline::diff(args),
        Command::Impact(args) => impact::impact(args),
        Command::Predict(args) => predict::answer(args),
        Command::Grid(args) => grid::grid(args),
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
    let schema = halfopen_scenario::schema();
    output::write_with(|out| {
        serde_json::to_writer_pretty(&mut *out, &schema)?;
        out.write_all(b"\n")
    })?;
    Ok(Exit::AsExpected)
}

/// A file for this room's tests.
#[cfg(test)]
const THREE_CASES: &str = "
version: 1
detectors:
  keepalive-2-1-3: { keepalive: { idle: 2s, interval: 1s, count: 3 } }
  user-timeout-3s: { user_timeout: 3s }
scenarios:
  host-crash-while-writing:
    about: The server loses power.
    matrix: { detector: [none, keepalive-2-1-3, user-timeout-3s] }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    faults: [{ at: 500ms, crash: server }]
    give_up: 5s
";
