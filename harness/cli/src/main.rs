//! The `halfopen` command: reads arguments, calls the other crates, and says what
//! went wrong and how it is cured. `commands` uses `shared`, which uses `args`.

mod args;
mod commands;
mod shared;

use std::process::ExitCode;

use halfopen_runner::endpoint;
use shared::error::CliError;
use shared::output;

fn main() -> ExitCode {
    // Endpoints and the init process of a guest are this same program: they do
    // not return from here.
    endpoint::serve_if_asked();
    halfopen_vm::guest::serve_if_guest(halfopen_vm::cases::work);
    let cli = args::parse();
    match commands::carry_out(&cli.command) {
        Ok(exit) => exit.into(),
        Err(e) => {
            match &e {
                // Rendered like a compiler's messages already.
                CliError::Scenarios(text) => output::remark(text.trim_end()),
                _ => output::error(&e.to_string()),
            }
            e.exit().into()
        }
    }
}
