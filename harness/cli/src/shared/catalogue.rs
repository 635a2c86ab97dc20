//! Where scenarios come from: the file named, else ./scenarios.yaml, else the
//! catalogue built into the program.

use std::path::Path;

use halfopen_scenario::Catalogue;

use super::error::CliError;
use super::output;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "scenarios.yaml";

/// The catalogue that ships, as it was when the program was built.
const BUILT_IN: &str = include_str!("../../scenarios.yaml");

/// Reads scenarios, and gives the name of where they came from.
///
/// # Errors
/// When the file is missing or wrong; the message shows where.
pub(crate) fn open(file: Option<&Path>) -> Result<(String, Catalogue), CliError> {
    let default = Path::new(DEFAULT_FILE);
    let path = match file {
        Some(path) => path,
        // What is there but cannot be read (a directory) is an error of
        // that file, no reason to run something else.
        None if default.symlink_metadata().is_ok() => default,
        None => return built_in(),
    };
    let catalogue =
        halfopen_scenario::load(path).map_err(|e| CliError::Scenarios(e.to_string()))?;
    Ok((path.display().to_string(), catalogue))
}

/// The text of the file that [`open`] reads, and its name; None when it cannot be read
/// any more.
pub(crate) fn text(file: Option<&Path>) -> Option<(String, String)> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    if file.is_none() && path.symlink_metadata().is_err() {
        return Some(("scenarios.yaml".into(), BUILT_IN.into()));
    }
    let text = std::fs::read_to_string(path).ok()?;
    Some((path.display().to_string(), text))
}

/// The same, with nothing written to standard error.
pub(crate) fn quietly(file: Option<&Path>) -> Result<Catalogue, CliError> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let read = if file.is_some() || path.symlink_metadata().is_ok() {
        halfopen_scenario::load(path)
    } else {
        halfopen_scenario::parse("the built-in scenarios.yaml", BUILT_IN)
    };
    read.map_err(|e| CliError::Scenarios(e.to_string()))
}

fn built_in() -> Result<(String, Catalogue), CliError> {
    output::remark("there is no ./scenarios.yaml here: using the catalogue built into halfopen");
    let name = "the built-in scenarios.yaml";
    let catalogue =
        halfopen_scenario::parse(name, BUILT_IN).map_err(|e| CliError::Scenarios(e.to_string()))?;
    Ok((name.to_owned(), catalogue))
}
