//! `halfopen merge`: what several machines ran, as one run.

use halfopen_report::json::merge::{self, Merged};

use crate::args::{MergeArgs, OnDisturbed};
use crate::shared::error::{CliError, Exit};
use crate::shared::output;

pub(crate) fn merge(args: &MergeArgs) -> Result<Exit, CliError> {
    let mut parts = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| {
            CliError::Scenarios(format!(
                "failed to read {name}: {e}; `halfopen run --format json > FILE` writes one"
            ))
        })?;
        parts.extend(merge::read(&name, &text).map_err(CliError::Scenarios)?);
    }
    let runs = merge::merge(parts).map_err(CliError::Scenarios)?;
    output::write_with(|out| merge::write(&runs, output::layout(), out))?;
    for run in &runs {
        output::remark(&run.summary());
    }
    let exits: Vec<Exit> = runs.iter().map(|run| exit(run, args.disturbed)).collect();
    Ok(Exit::most_severe(&exits))
}

fn exit(run: &Merged, policy: OnDisturbed) -> Exit {
    match Exit::of_totals(run.totals(), run.interrupted()) {
        Exit::AsExpected if policy == OnDisturbed::Fail && run.totals().disturbed > 0 => {
            Exit::Differs
        }
        exit => exit,
    }
}
