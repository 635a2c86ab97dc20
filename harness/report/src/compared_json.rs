//! A comparison for machines.

use std::io::{self, Write};

use serde::Serialize;

use halfopen_outcome::compare::{Difference, Totals, What};
use halfopen_outcome::comparison::Comparison;
use halfopen_scenario::case::Known;

use super::compared::showed;

/// The version of the form.
pub const SCHEMA: u32 = 1;

/// Writes comparisons as one JSON object.
///
/// # Errors
/// Those of the writer.
pub fn write(
    comparisons: &[Comparison],
    ignored: &[Ignored],
    to: &mut dyn Write,
) -> io::Result<()> {
    let document = Document {
        schema: SCHEMA,
        changed: comparisons.iter().any(Comparison::any_change),
        ignored,
        runs: comparisons.iter().map(RunView::of).collect(),
    };
    serde_json::to_writer_pretty(&mut *to, &document).map_err(io::Error::from)?;
    to.write_all(b"\n")
}

/// A sysctl that takes no part, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The sysctl.
    pub key: String,
    /// Why.
    pub why: String,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    changed: bool,
    /// Of a comparison of sysctls alone.
    #[serde(skip_serializing_if = "<[Ignored]>::is_empty")]
    ignored: &'a [Ignored],
    runs: Vec<RunView<'a>>,
}

#[derive(Serialize)]
struct RunView<'a> {
    kernel_then: Option<&'a str>,
    kernel: Option<&'a str>,
    clock: Option<&'a str>,
    environment: &'a [Difference],
    totals: Totals,
    cases: Vec<CaseView<'a>>,
}

impl<'a> RunView<'a> {
    fn of(comparison: &'a Comparison) -> Self {
        let (then, now) = (&comparison.then, &comparison.now);
        RunView {
            kernel_then: then.as_ref().map(|s| s.kernel.as_str()),
            kernel: now.as_ref().map(|s| s.kernel.as_str()),
            clock: now.as_ref().or(then.as_ref()).map(|s| s.clock.as_str()),
            environment: &comparison.environment,
            totals: comparison.totals(),
            cases: comparison
                .cases
                .iter()
                .map(|case| CaseView {
                    id: &case.id,
                    what: case.what,
                    then: case.old.as_ref().map(|e| showed(&e.showed)),
                    now: case.new.as_ref().map(|e| showed(&e.showed)),
                    differences: &case.differences,
                    known: case.known.as_ref(),
                    no_longer_differs: case.is_mended(),
                    unsteady: case.unsteady,
                    cause: case.cause.as_deref(),
                })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct CaseView<'a> {
    id: &'a str,
    what: What,
    then: Option<String>,
    now: Option<String>,
    differences: &'a [Difference],
    known: Option<&'a Known>,
    no_longer_differs: bool,
    /// It is not the same from one run to the next.
    unsteady: bool,
    cause: Option<&'a str>,
}
