//! Reads what `run --format json` wrote, as far as merging needs it.

use serde::Deserialize;
use serde_json::value::RawValue;

use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Verdict;

use super::super::SCHEMA;
use crate::finished::Totals;

/// A run of a part of the cases.
pub struct Part {
    /// The file that it was read from.
    pub(super) name: String,
    pub(super) environment: Environment,
    pub(super) interrupted: bool,
    pub(super) elapsed_ns: u64,
    pub(super) totals: Totals,
    pub(super) cases: Vec<CaseText>,
}

/// A case as it was written.
pub(super) struct CaseText {
    pub(super) brief: Brief,
    pub(super) text: Box<RawValue>,
}

/// What the summary says of a case.
#[derive(Deserialize)]
pub(super) struct Brief {
    pub(super) id: String,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    pub(super) prediction: Option<Prediction>,
}

#[derive(Deserialize)]
pub(super) struct Prediction {
    pub(super) outside: Option<String>,
}

/// One run, or several with `kernels`; all is optional, so that what is missing can be
/// named.
#[derive(Deserialize)]
struct Document {
    schema: Option<u32>,
    kernels: Option<Vec<Document>>,
    environment: Option<Environment>,
    interrupted: Option<bool>,
    elapsed_ns: Option<u64>,
    totals: Option<Totals>,
    cases: Option<Vec<Box<RawValue>>>,
}

/// Reads a file's runs; `name` is for messages.
///
/// # Errors
/// As text with the file's name: it is no JSON, was not written by `run --format json`, or
/// by one whose format is another version.
pub fn read(name: &str, text: &str) -> Result<Vec<Part>, String> {
    let wrong =
        |why: &str| format!("{name} is not what `halfopen run --format json` writes: {why}");
    let mut document: Document = serde_json::from_str(text).map_err(|e| wrong(&e.to_string()))?;
    match document.schema {
        Some(SCHEMA) => {}
        Some(other) => {
            return Err(format!(
                "{name} has the format's version {other}, and this halfopen reads {SCHEMA}: \
                 merge with the halfopen that ran the cases"
            ));
        }
        None => return Err(wrong("it has no `schema`")),
    }
    let runs = document.kernels.take().unwrap_or_else(|| vec![document]);
    let parts = runs.into_iter().map(|run| part(name, run));
    parts.collect::<Result<_, _>>().map_err(|why| wrong(&why))
}

fn part(name: &str, run: Document) -> Result<Part, String> {
    fn there<T>(key: &str, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| format!("it has no `{key}`"))
    }
    let cases = there("cases", run.cases)?.into_iter().enumerate();
    let cases = cases.map(|(index, text)| {
        let brief = serde_json::from_str(text.get());
        let brief = brief.map_err(|e| format!("case {}: {e}", index + 1))?;
        Ok(CaseText { brief, text })
    });
    Ok(Part {
        name: name.to_owned(),
        environment: there("environment", run.environment)?,
        interrupted: there("interrupted", run.interrupted)?,
        elapsed_ns: there("elapsed_ns", run.elapsed_ns)?,
        totals: there("totals", run.totals)?,
        cases: cases.collect::<Result<_, String>>()?,
    })
}
