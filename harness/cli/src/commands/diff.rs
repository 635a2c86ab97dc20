//! `halfopen diff`: compares two files of baselines.

use std::path::Path;

use halfopen_outcome::comparison::Comparison;
use halfopen_scenario::case::Case;

use crate::args::DiffArgs;
use crate::shared::baseline::{read, show};
use crate::shared::error::{CliError, Exit};
use crate::shared::pictures::{self, Pictures};
use crate::shared::{catalogue, output};

pub(crate) fn diff(args: &DiffArgs) -> Result<Exit, CliError> {
    let pictures = Pictures::page(&args.page)?;
    let (before, now) = (read(&args.before)?, read(&args.now)?);
    let cases = cases_for_causes(args.scenarios.as_deref())?;
    let comparisons = Comparison::all(&before, &now, &cases);
    show(&comparisons, args.format, &|_, _| None)?;
    pictures.write_page(&pictures::changes(&comparisons, &[], &cases))?;
    let changed = comparisons.iter().any(Comparison::any_change);
    Ok(if changed {
        Exit::Differs
    } else {
        Exit::AsExpected
    })
}

/// The cases whose predictions name causes. A file that was not named need not
/// exist or be valid: without it, changes are reported without their causes.
fn cases_for_causes(file: Option<&Path>) -> Result<Vec<Case>, CliError> {
    match (catalogue::quietly(file), file) {
        (Ok(catalogue), _) => Ok(catalogue.cases),
        (Err(e), Some(_)) => Err(e),
        (Err(_), None) => {
            output::remark("./scenarios.yaml has mistakes: no causes are named (halfopen check)");
            Ok(Vec::new())
        }
    }
}
