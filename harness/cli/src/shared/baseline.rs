//! Files of baselines, read and written, and how a comparison of two is shown.
//! Used by `run --save`, `run --against`, `diff` and (to show only) `impact`.

use std::io::Write as _;
use std::path::Path;

use halfopen_outcome::baseline::{self, Baseline};
use halfopen_outcome::comparison::Comparison;
use halfopen_report::comparison::{json, markdown, text};
use halfopen_scenario::internal::file::{self, Kind};

use crate::args::ReportFormat;

use super::error::CliError;
use super::output;

const KIND: Kind = Kind {
    what: "a baseline",
    missing: "`halfopen run --save FILE` writes one",
    directory: "name the file in it",
};

pub(crate) fn read(path: &Path) -> Result<Baseline, CliError> {
    file::text(path, &KIND)
        .and_then(|text| baseline::read(path, &text))
        .map_err(|e| CliError::Scenarios(e.to_string()))
}

pub(crate) fn show(
    comparisons: &[Comparison],
    format: ReportFormat,
    evidence: text::Evidence<'_>,
) -> Result<(), CliError> {
    match format {
        ReportFormat::Json => {
            output::write_with(|out| json::write(comparisons, &[], output::layout(), out))
        }
        ReportFormat::Markdown => output::say(&markdown::render(comparisons)),
        ReportFormat::Table => output::say(&text::render(comparisons, evidence)),
    }
}

/// Writes a file as a whole: a reader never sees half of it.
pub(crate) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    // A file behind a symbolic link is replaced, not the link.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| std::fs::rename(&temporary, &path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
