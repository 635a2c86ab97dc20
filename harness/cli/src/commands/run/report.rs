//! What `run` prints of one run, on this machine or in a guest.

use halfopen_report::finished::Finished;
use halfopen_report::{json, junit as junit_xml, ladder, markdown, matrix, netstat, notes, table};

use crate::args::{RunArgs, RunFormat};
use crate::shared::error::CliError;
use crate::shared::output;
use crate::shared::pictures::command;

/// Prints a run in the format that was asked for.
pub(super) fn report(finished: &Finished<'_>, args: &RunArgs) -> Result<(), CliError> {
    if args.format == RunFormat::Markdown {
        return output::say(&markdown::runs(std::slice::from_ref(finished)));
    }
    if args.format == RunFormat::Matrix {
        return output::say(&matrix::render(finished, command()));
    }
    if args.format == RunFormat::Json {
        output::write_with(|out| {
            json::write(finished, args.packets.detail(), output::layout(), out)
        })?;
        output::remark(&notes::totals(finished));
        return Ok(());
    }
    let width = output::width();
    let mut text = output::coloured(&table::render(finished.outcomes, width));
    if args.ladder || args.explain {
        let view = ladder::View {
            width: usize::from(width),
            ..ladder::WHOLE
        };
        for outcome in finished.outcomes {
            text.push_str(&format!(
                "\n{}\n{}",
                outcome.id,
                ladder::render(outcome, &view)
            ));
            text.push_str(&netstat::render(&outcome.netstat));
        }
    }
    text.push_str(&notes::render(finished, width));
    output::say(&text)
}

/// Writes the file of `--junit`.
pub(super) fn junit(runs: &[Finished<'_>], args: &RunArgs) -> Result<(), CliError> {
    let Some(path) = &args.junit else {
        return Ok(());
    };
    std::fs::write(path, junit_xml::render(runs)).map_err(|source| CliError::Save {
        path: path.clone(),
        source,
    })
}
