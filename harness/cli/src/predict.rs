//! `halfopen predict`: answers without running anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use halfopen_predict::{KernelFacts, Prediction, RuleId, Unpredictable, Version, predict};
use halfopen_report::json::PredictionView;
use halfopen_report::text as phrase;
use halfopen_runner::machine;
use halfopen_scenario::case::Case;

use super::args::Format;
use super::error::{CliError, Exit};
use super::question::PredictArgs;
use super::run::sysctls;
use super::{catalogue, output, question, select};

/// HZ of a kernel that is not this one, unless told: what Debian builds with.
pub(super) const USUAL_HZ: u32 = 250;

/// Predicts cases, or answers a quick question.
pub(super) fn answer(args: &PredictArgs) -> Result<Exit, CliError> {
    let facts = facts_of(args.kernel.as_deref(), args.hz)?;
    let cases = match question::as_case(args)? {
        Some(case) => vec![case],
        None => {
            let (file, filters) = select::file_and_filters(&args.what);
            let (from, catalogue) = catalogue::open(file.as_deref())?;
            select::pick(catalogue.cases, &filters, &from)?
        }
    };
    let overrides = sysctls(&args.sysctl, &cases)?;
    let told: Vec<_> = cases
        .iter()
        .map(|case| {
            let case = halfopen_outcome::overrides::with_overrides(case, &overrides);
            let said = predict(&case, &facts);
            (case, said)
        })
        .collect();
    match args.format {
        Format::Json => json(&facts, &told)?,
        Format::Table => output::say(&table(&facts, &told))?,
    }
    Ok(Exit::AsExpected)
}

/// The kernel that was named, else this machine's.
pub(super) fn facts_of(kernel: Option<&str>, hz: Option<u32>) -> Result<KernelFacts, CliError> {
    let release = kernel.map_or_else(machine::kernel, str::to_owned);
    let version = Version::parse(&release).ok_or_else(|| {
        CliError::Usage(format!(
            "--kernel {release}: no version; write it such as 6.1 or 6.12.9-1-amd64"
        ))
    })?;
    if version < halfopen_predict::kernel::OLDEST {
        return Err(CliError::Usage(format!(
            "--kernel {release}: the rules were read and measured in {} and later",
            halfopen_predict::kernel::OLDEST
        )));
    }
    let own = kernel.is_none().then(machine::hz).flatten();
    Ok(KernelFacts::new(version, hz.or(own).unwrap_or(USUAL_HZ)))
}

type Said = (Case, Result<Prediction, Unpredictable>);

fn table(facts: &KernelFacts, told: &[Said]) -> String {
    let mut text = format!("Linux {}, HZ={}\n", facts.version, facts.hz);
    for (case, said) in told {
        let _ = writeln!(text, "\n{}", case.id);
        match said {
            Ok(prediction) => {
                let _ = writeln!(text, "  {}", phrase::prediction(prediction));
                phrase::wrapped(&mut text, &prediction.because, "  because ", "          ");
                let by: Vec<_> = prediction.rules.iter().map(|r| rule(*r)).collect();
                phrase::wrapped(&mut text, &by.join("; "), "  rules   ", "          ");
            }
            Err(e) => phrase::wrapped(&mut text, &e.why, "  not predictable: ", "    "),
        }
    }
    text
}

/// A rule: what decides, and since which version of the kernel.
fn rule(rule: RuleId) -> String {
    match rule {
        RuleId::NothingToNotice => rule.function().to_owned(),
        _ => format!("{} (since {})", rule.function(), rule.since()),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    kernel: String,
    hz: u32,
    /// The rules that the predictions name.
    rules: BTreeMap<RuleId, Decides>,
    cases: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Decides {
    function: &'static str,
    since: &'static str,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    prediction: Option<PredictionView<'a>>,
    unpredictable: Option<&'a str>,
}

fn json(facts: &KernelFacts, told: &[Said]) -> Result<(), CliError> {
    let document = Document {
        schema: 1,
        kernel: facts.version.to_string(),
        hz: facts.hz,
        rules: told
            .iter()
            .filter_map(|(_, said)| said.as_ref().ok())
            .flat_map(|p| &p.rules)
            .map(|rule| {
                let (function, since) = (rule.function(), rule.since());
                (*rule, Decides { function, since })
            })
            .collect(),
        cases: told
            .iter()
            .map(|(case, said)| Entry {
                id: &case.id,
                prediction: said.as_ref().ok().map(PredictionView::of),
                unpredictable: said.as_ref().err().map(|e| e.why.as_str()),
            })
            .collect(),
    };
    output::write_with(|out| {
        serde_json::to_writer_pretty(&mut *out, &document)?;
        out.write_all(b"\n")
    })
}
