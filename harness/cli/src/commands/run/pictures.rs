//! `run --html` and `run --svg`.

use halfopen_outcome::comparison::Comparison;
use halfopen_page::html::Page;
use halfopen_page::{ladder, plot};
use halfopen_report::finished::Finished;
use halfopen_report::kernels;

use crate::args::{RunArgs, Time};
use crate::shared::catalogue;
use crate::shared::error::CliError;
use crate::shared::pictures::{Pictures, command, run_again};
use crate::shared::select::{self, Picked};

/// Writes what was asked for of runs and comparisons.
pub(super) fn draw(
    args: &RunArgs,
    picked: &Picked<'_>,
    runs: &[Finished<'_>],
    comparisons: &[Comparison],
    pictures: &Pictures,
) -> Result<(), CliError> {
    if !pictures.any() || runs.is_empty() {
        return Ok(());
    }
    let (file, _) = select::file_and_filters(&args.what);
    let text = catalogue::text(file.as_deref());
    let in_guest = args.time == Time::Virtual || !args.kernel.is_empty();
    pictures.write_page(&Page {
        command: command(),
        runs,
        cases: picked.cases,
        file: text
            .as_ref()
            .map(|(name, text)| (name.as_str(), text.as_str())),
        command_of: &|id, environment| run_again(file.as_deref(), id, environment, in_guest),
        grids: &[],
        comparisons,
        ignored: &[],
    })?;
    let plot = std::iter::once(("plot".to_owned(), plot::file(runs)));
    pictures.write_drawings(plot.chain(ladders(runs)))
}

/// The ladder of each case, with the kernel in its name where there are several.
fn ladders<'a>(runs: &'a [Finished<'a>]) -> impl Iterator<Item = (String, String)> + 'a {
    runs.iter().flat_map(|run| {
        run.outcomes.iter().filter_map(|outcome| {
            let name = match runs.len() {
                1 => outcome.id.clone(),
                _ => format!(
                    "{}--{}",
                    outcome.id,
                    kernels::short(&run.environment.kernel)
                ),
            };
            Some((name, ladder::file(outcome)?))
        })
    })
}
