//! Comparisons as JSON, for programs.

use std::io::{self, Write};

use serde::Serialize;

use halfopen_outcome::compare::{ChangeKind, Difference, Totals};
use halfopen_outcome::comparison::Comparison;

use super::{IgnoredSysctl, result_text};
use crate::json::{KnownView, Layout};

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// Writes comparisons as one JSON object.
///
/// # Errors
/// Those of the writer.
pub fn write(
    comparisons: &[Comparison],
    ignored: &[IgnoredSysctl],
    layout: Layout,
    to: &mut dyn Write,
) -> io::Result<()> {
    let document = Document {
        schema: SCHEMA,
        changed: comparisons.iter().any(Comparison::any_change),
        ignored,
        runs: comparisons.iter().map(RunView::of).collect(),
    };
    layout.write(&document, to)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    changed: bool,
    /// Only in a comparison of sysctls.
    #[serde(skip_serializing_if = "<[IgnoredSysctl]>::is_empty")]
    ignored: &'a [IgnoredSysctl],
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
                    kind: case.kind,
                    then: case.old.as_ref().map(|e| result_text(&e.result)),
                    now: case.new.as_ref().map(|e| result_text(&e.result)),
                    differences: &case.differences,
                    known: case.known.as_ref().map(KnownView::of),
                    no_longer_differs: case.is_resolved(),
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
    #[serde(rename = "what")]
    kind: ChangeKind,
    then: Option<String>,
    now: Option<String>,
    differences: &'a [Difference],
    known: Option<KnownView<'a>>,
    no_longer_differs: bool,
    /// Whether repeated runs differ from each other.
    unsteady: bool,
    cause: Option<&'a str>,
}
