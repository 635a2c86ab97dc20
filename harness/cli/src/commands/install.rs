//! `halfopen completions` and `halfopen man`: what a package installs beside the
//! program, made from the arguments themselves.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::shared::error::{CliError, Exit};
use crate::shared::output;

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) -> Result<Exit, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "halfopen", &mut text);
    output::write_with(|out| out.write_all(&text))?;
    Ok(Exit::AsExpected)
}

/// Writes a man page for the program and each of its commands into a directory.
pub(crate) fn man(directory: &Path) -> Result<Exit, CliError> {
    let saved = fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    saved.map_err(|source| CliError::Save {
        path: directory.to_owned(),
        source,
    })?;
    output::remark(&format!("the man pages are in {}", directory.display()));
    Ok(Exit::AsExpected)
}
