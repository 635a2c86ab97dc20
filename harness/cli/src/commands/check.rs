//! `halfopen check`: reads a file of scenarios and reports its mistakes.

use halfopen_report::text::counted;

use crate::args::CheckArgs;
use crate::shared::error::{CliError, Exit};
use crate::shared::{catalogue, output};

pub(crate) fn check(args: &CheckArgs) -> Result<Exit, CliError> {
    let (from, catalogue) = catalogue::open(args.file.as_deref())?;
    let scenarios = counted(catalogue.scenarios.len(), "scenario", "scenarios");
    let cases = counted(catalogue.cases.len(), "case", "cases");
    output::say(&format!("{from}: {scenarios}, {cases}, nothing wrong\n"))?;
    Ok(Exit::AsExpected)
}
