//! `halfopen impact`: what a change of sysctls changes, measured in guests or
//! predicted.

mod measure;
mod wanted;

use std::collections::BTreeMap;

use halfopen_lab::internal::pinned;
use halfopen_outcome::baseline::Setting;
use halfopen_outcome::comparison::Comparison;
use halfopen_report::comparison::{IgnoredSysctl, json, markdown, text};
use halfopen_scenario::case::{Case, NodeKind};

use crate::args::{EVERY_HOST, ImpactArgs, ReportFormat};
use crate::shared::error::{CliError, Exit};
use crate::shared::pictures::{self, Pictures};
use crate::shared::{catalogue, kernel_facts, output, select};
use measure::measured;
use wanted::Wanted;

/// What is reported.
struct Answer {
    /// One per kernel.
    comparisons: Vec<Comparison>,
    /// The sysctls that are left out of the change.
    ignored: Vec<IgnoredSysctl>,
    interrupted: bool,
}

/// Runs both sides, or predicts them, and reports what changes.
pub(crate) fn impact(args: &ImpactArgs) -> Result<Exit, CliError> {
    let (file, filters) = select::file_and_filters(&args.what);
    let (from, catalogue) = catalogue::open(file.as_deref())?;
    let cases = select::pick(catalogue.cases, &filters, &from)?;
    check_host(&args.host, &cases)?;
    let pictures = Pictures::page(&args.page)?;
    // Files are read before a kernel is looked for: their mistakes are reported
    // first.
    let wanted = Wanted::of(args)?;
    let answer = if args.predict {
        predicted(args, &wanted, &cases)?
    } else {
        measured(args, &wanted, &cases)?
    };
    show(&answer, args.format)?;
    let comparisons = &answer.comparisons;
    pictures.write_page(&pictures::changes(comparisons, &answer.ignored, &cases))?;
    Ok(if answer.interrupted {
        Exit::Interrupted
    } else if comparisons.iter().any(Comparison::any_change) {
        Exit::Differs
    } else if comparisons.is_empty() || none_ran(comparisons) {
        Exit::Machine
    } else {
        Exit::AsExpected
    })
}

fn none_ran(comparisons: &[Comparison]) -> bool {
    let cases: usize = comparisons.iter().map(|c| c.cases.len()).sum();
    let not_run: usize = comparisons.iter().map(|c| c.totals().not_run).sum();
    cases > 0 && cases == not_run
}

fn check_host(host: &str, cases: &[Case]) -> Result<(), CliError> {
    let mut known: Vec<&str> = cases
        .iter()
        .flat_map(|case| &case.network.nodes)
        .filter(|node| node.kind == NodeKind::Host)
        .map(|node| node.name.as_str())
        .collect();
    known.sort_unstable();
    known.dedup();
    if host == EVERY_HOST || known.contains(&host) {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "--host {host}: no selected case has it; there are {}",
        known.join(", ")
    )))
}

fn predicted(args: &ImpactArgs, wanted: &Wanted, cases: &[Case]) -> Result<Answer, CliError> {
    let mut named: Vec<Option<&str>> = args.kernel.iter().map(|k| Some(k.as_str())).collect();
    if named.is_empty() {
        named.push(None);
    }
    let mut settings = Vec::new();
    for name in named {
        let facts = kernel_facts::facts_of(name, None)?;
        settings.push((
            facts,
            Setting {
                kernel: facts.version.to_string(),
                hz: Some(facts.hz),
                clock: "predicted".into(),
                halfopen: env!("CARGO_PKG_VERSION").into(),
                sysctls: pinned::TCP
                    .iter()
                    .map(|p| (p.key.to_owned(), p.value.to_owned()))
                    .collect(),
                overrides: BTreeMap::new(),
            },
        ));
    }
    let oldest = settings.iter().map(|(facts, _)| facts.version).min();
    let (change, ignored) = wanted.change(&args.host, oldest);
    let comparisons: Vec<Comparison> = settings
        .iter()
        .map(|(facts, setting)| {
            let cases: Vec<Case> = cases
                .iter()
                .map(|case| change.extend_give_up(case, &[*facts]))
                .collect();
            change.predict(setting, &cases)
        })
        .collect();
    Ok(Answer {
        comparisons,
        ignored,
        interrupted: false,
    })
}

fn show(answer: &Answer, format: ReportFormat) -> Result<(), CliError> {
    let (comparisons, ignored) = (&answer.comparisons, &answer.ignored);
    match format {
        ReportFormat::Json => output::write_with(|out| json::write(comparisons, ignored, out)),
        ReportFormat::Markdown => {
            let text = markdown::render(comparisons) + &markdown::ignored(ignored);
            output::say(&text)
        }
        ReportFormat::Table => {
            let text = text::ignored(ignored) + &text::render(comparisons, &|_, _| None);
            output::say(&text)
        }
    }
}
