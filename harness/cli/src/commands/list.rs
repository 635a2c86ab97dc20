//! `halfopen list`: the cases of a file, without running any.

use std::fmt::Write as _;

use serde::Serialize;

use halfopen_report::text::counted;
use halfopen_scenario::case::{Case, Clock};

use crate::args::{Format, ListArgs};
use crate::shared::error::{CliError, Exit};
use crate::shared::{catalogue, output, select};

pub(crate) fn list(args: &ListArgs) -> Result<Exit, CliError> {
    let (file, filters) = select::file_and_filters(&args.what);
    let (from, catalogue) = catalogue::open(file.as_deref())?;
    let cases = select::pick(catalogue.cases, &filters, &from)?;
    match args.format {
        Format::Table => output::say(&output::coloured(&text(&cases)))?,
        Format::Json => {
            let document = Document {
                schema: 1,
                cases: cases.iter().map(Entry::of).collect(),
            };
            output::write_json(&document)?;
        }
    }
    Ok(Exit::AsExpected)
}

fn text(cases: &[Case]) -> String {
    let mut text = String::new();
    let mut scenario = None;
    for case in cases {
        if scenario != Some(&case.scenario) {
            if scenario.is_some() {
                text.push('\n');
            }
            scenario = Some(&case.scenario);
            let source = match case.source.as_slice() {
                [] => String::new(),
                source => format!("  ({})", source.join(", ")),
            };
            let _ = writeln!(text, "{}{source}", case.scenario);
            if !case.about.is_empty() {
                let _ = writeln!(text, "    {}", case.about.trim());
            }
        }
        let clock = if case.clock == Clock::Virtual {
            "  (virtual time)"
        } else {
            ""
        };
        let _ = writeln!(text, "  {}{clock}", case.id);
    }
    let virtual_only = cases
        .iter()
        .filter(|case| case.clock == Clock::Virtual)
        .count();
    let _ = write!(text, "\n  {}", counted(cases.len(), "case", "cases"));
    if virtual_only > 0 {
        let _ = write!(text, ", {virtual_only} of them only in virtual time");
    }
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    cases: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    scenario: &'a str,
    axes: &'a indexmap::IndexMap<String, String>,
    about: &'a str,
    source: &'a [String],
    line: u32,
    clock: Clock,
    give_up_ns: u64,
}

impl<'a> Entry<'a> {
    fn of(case: &'a Case) -> Self {
        Entry {
            id: &case.id,
            scenario: &case.scenario,
            axes: &case.axes,
            about: &case.about,
            source: &case.source,
            line: case.line,
            clock: case.clock,
            give_up_ns: u64::try_from(case.give_up.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}
