//! `halfopen predict`: predicts cases, or answers a question in flags, without
//! running anything.

mod question;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use halfopen_outcome::simulated::simulated;
use halfopen_predict::{KernelFacts, Prediction, RuleId, Unpredictable, predict as predict_case};
use halfopen_report::json::PredictionView;
use halfopen_report::ladder;
use halfopen_report::text::{self, wrapped};
use halfopen_scenario::case::Case;

use crate::args::{Format, PredictArgs};
use crate::shared::error::{CliError, Exit};
use crate::shared::kernel_facts::facts_of;
use crate::shared::{catalogue, output, select, sysctls};

pub(crate) fn predict(args: &PredictArgs) -> Result<Exit, CliError> {
    let facts = facts_of(args.kernel.as_deref(), args.hz)?;
    let cases = match question::as_case(args)? {
        Some(case) => vec![case],
        None => {
            let (file, filters) = select::file_and_filters(&args.what);
            let (from, catalogue) = catalogue::open(file.as_deref())?;
            select::pick(catalogue.cases, &filters, &from)?
        }
    };
    let overrides = sysctls::by_host(&args.sysctl, &cases)?;
    let predicted: Vec<Predicted> = cases
        .iter()
        .map(|case| {
            let case = halfopen_outcome::overrides::with_overrides(case, &overrides);
            let prediction = predict_case(&case, &facts);
            (case, prediction)
        })
        .collect();
    match args.format {
        Format::Json => json(&facts, &predicted)?,
        Format::Table => output::say(&table(&facts, &predicted, args.ladder))?,
    }
    Ok(Exit::AsExpected)
}

type Predicted = (Case, Result<Prediction, Unpredictable>);

fn table(facts: &KernelFacts, predicted: &[Predicted], draw: bool) -> String {
    let mut lines = format!("Linux {}, HZ={}\n", facts.version, facts.hz);
    for (case, prediction) in predicted {
        let _ = writeln!(lines, "\n{}", case.id);
        match prediction {
            Ok(prediction) => {
                let _ = writeln!(lines, "  {}", text::prediction(prediction));
                wrapped(&mut lines, &prediction.because, "  because ", "          ");
                let by: Vec<_> = prediction.rules.iter().map(|r| rule(*r)).collect();
                wrapped(&mut lines, &by.join("; "), "  rules   ", "          ");
            }
            Err(e) => wrapped(&mut lines, &e.why, "  not predictable: ", "    "),
        }
        if draw {
            match simulated(case, *facts) {
                Ok(outcome) => lines.push_str(&ladder::render(&outcome, &ladder::WHOLE)),
                Err(what) => wrapped(&mut lines, &what, "  not simulated: ", "    "),
            }
        }
    }
    lines
}

/// A rule: the kernel function that decides, and since which version.
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
    rules: BTreeMap<RuleId, RuleView>,
    cases: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct RuleView {
    function: &'static str,
    since: &'static str,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    prediction: Option<PredictionView<'a>>,
    unpredictable: Option<&'a str>,
}

fn json(facts: &KernelFacts, predicted: &[Predicted]) -> Result<(), CliError> {
    let document = Document {
        schema: 1,
        kernel: facts.version.to_string(),
        hz: facts.hz,
        rules: predicted
            .iter()
            .filter_map(|(_, prediction)| prediction.as_ref().ok())
            .flat_map(|p| &p.rules)
            .map(|rule| {
                let (function, since) = (rule.function(), rule.since());
                (*rule, RuleView { function, since })
            })
            .collect(),
        cases: predicted
            .iter()
            .map(|(case, prediction)| Entry {
                id: &case.id,
                prediction: prediction.as_ref().ok().map(PredictionView::of),
                unpredictable: prediction.as_ref().err().map(|e| e.why.as_str()),
            })
            .collect(),
    };
    output::write_json(&document)
}
