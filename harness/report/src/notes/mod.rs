//! What follows the table of a run: differences with their evidence, disagreements
//! between Linux and the book, failures, cases that were not run, and the totals.
//! The command prints it after [`crate::table`].

mod book;
pub(crate) mod cases;
mod connections;
mod cost;
mod programs;
mod recovery;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::Duration;

pub(crate) use programs::quoted;

use indexmap::IndexMap;

use super::finished::{Finished, Totals, verdict};
use super::text::{self, counted};
use halfopen_net::span::human;
use halfopen_outcome::compare_prediction::fallbacks;
use halfopen_outcome::record::{Outcome, Status, Verdict};

/// All sections; those without content are left out.
pub fn render(run: &Finished<'_>, width: u16) -> String {
    let mut text = String::new();
    book::render(&mut text, run.outcomes, usize::from(width));
    text.push_str(&programs::render(run.outcomes));
    text.push_str(&recovery::render(run.outcomes));
    text.push_str(&connections::render(run.environment, run.outcomes));
    text.push_str(&cost::render(run.outcomes));
    surprises(&mut text, run.outcomes);
    fallback(&mut text, run.outcomes);
    unpredictable(&mut text, run.outcomes);
    not_run(&mut text, run.outcomes);
    overflows(&mut text, run.outcomes);
    // What needs a look comes last: on a terminal it is in sight then.
    cases::known(&mut text, run.outcomes);
    cases::disturbed(&mut text, run.outcomes);
    cases::outside_prediction(&mut text, run.outcomes, width);
    cases::failures(&mut text, run.outcomes, width);
    cases::not_set_up(&mut text, run.outcomes);
    cases::differences(&mut text, run.outcomes, width);
    let mut text = text::fitted(&text, usize::from(width));
    // In one line, however long: scripts look for it.
    let _ = writeln!(text, "\n{}", totals(run));
    let count = Totals::of(run.outcomes);
    if count.observed > 0 && count.as_expected + count.differ == 0 {
        text.push_str(NOTHING_EXPECTED);
    }
    text
}

/// What to do when a run has only shown something.
const NOTHING_EXPECTED: &str = "nothing is expected of these cases: say `expect:` in the file, or keep \
                                what they showed with --save and compare with --against\n";

/// `118 as expected, 0 differ, 3 not run (virtual time) in 31 s`.
pub fn totals(run: &Finished<'_>) -> String {
    let reasons = reasons(run.outcomes);
    let reasons: Vec<_> = reasons
        .iter()
        .map(|(why, cases)| (*why, cases.len()))
        .collect();
    let totals = Totals::of(run.outcomes);
    totals_of(&totals, &reasons, run.interrupted, run.elapsed)
}

/// The same of numbers: `reasons` says why so many cases were not run.
pub(crate) fn totals_of(
    totals: &Totals,
    reasons: &[(&str, usize)],
    interrupted: bool,
    elapsed: Duration,
) -> String {
    let mut parts = vec![
        format!("{} as expected", totals.as_expected),
        format!(
            "{} {}",
            totals.differ,
            if totals.differ == 1 {
                "differs"
            } else {
                "differ"
            }
        ),
    ];
    if totals.observed > 0 {
        parts.push(format!(
            "{} observed, with nothing expected",
            totals.observed
        ));
    }
    if totals.known > 0 {
        parts.push(format!("{} known", totals.known));
    }
    if totals.not_set_up > 0 {
        parts.push(format!("{} not set up", totals.not_set_up));
    }
    if totals.failed > 0 {
        parts.push(format!("{} failed", totals.failed));
    }
    if totals.disturbed > 0 {
        parts.push(format!("{} disturbed", totals.disturbed));
    }
    if totals.not_run > 0 {
        let why: Vec<_> = match reasons {
            [(why, _)] => vec![(*why).to_owned()],
            several => several
                .iter()
                .map(|(why, cases)| format!("{cases} {why}"))
                .collect(),
        };
        parts.push(format!("{} not run ({})", totals.not_run, why.join(", ")));
    }
    if totals.outside > 0 {
        parts.push(format!("{} outside the prediction", totals.outside));
    }
    let interrupted = if interrupted { "interrupted: " } else { "" };
    format!("{interrupted}{} in {}", parts.join(", "), human(elapsed))
}

fn surprises(text: &mut String, outcomes: &[Outcome]) {
    // Those of cases that differ are shown with their evidence.
    let shown_here = |case: &&Outcome| {
        let shown_elsewhere = matches!(
            verdict(case),
            Verdict::Differs | Verdict::Known | Verdict::NotSetUp | Verdict::Disturbed
        );
        !case.surprises.is_empty() && !shown_elsewhere
    };
    let cases: Vec<_> = outcomes.iter().filter(shown_here).collect();
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nNobody expected");
    for case in cases {
        for surprise in &case.surprises {
            let _ = writeln!(text, "  {}: {surprise}", case.id);
        }
    }
}

/// Cases in virtual time that were compared with the wider prediction, and why.
fn fallback(text: &mut String, outcomes: &[Outcome]) {
    let mut cases = fallbacks(outcomes).peekable();
    if cases.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\nCompared with the wider prediction");
    for (id, why) in cases {
        let _ = writeln!(text, "  {id}: {why}");
    }
}

/// Why there is a `?` in the column of predictions, a line for each reason.
fn unpredictable(text: &mut String, outcomes: &[Outcome]) {
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for outcome in outcomes.iter().filter(|o| o.status == Status::Ran) {
        if let Some(why) = &outcome.unpredictable {
            reasons.entry(why).or_default().push(&outcome.id);
        }
    }
    if !reasons.is_empty() {
        let _ = writeln!(text, "\nNot predictable (?)");
    }
    for (why, cases) in reasons {
        let _ = writeln!(text, "  {}: {why}", some_of(&cases));
    }
}

/// What was not run, a line for each reason.
fn not_run(text: &mut String, outcomes: &[Outcome]) {
    for (why, cases) in reasons(outcomes) {
        let count = counted(cases.len(), "case", "cases");
        let _ = writeln!(text, "\n{count} not run: {why}\n  {}", some_of(&cases));
    }
}

/// Which of the tables that all network namespaces share overflowed during cases.
fn overflows(text: &mut String, outcomes: &[Outcome]) {
    let mut cases: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for outcome in outcomes {
        for overflow in &outcome.overflows {
            cases.entry(overflow).or_default().push(&outcome.id);
        }
    }
    for (what, cases) in cases {
        let _ = writeln!(text, "\nWhile they ran, {what}\n  {}", some_of(&cases));
    }
}

/// Names of cases, at most a few: the table and the JSON have all.
fn some_of(cases: &[&str]) -> String {
    const MOST: usize = 2;
    let names = cases[..cases.len().min(MOST)].join(", ");
    match cases.len().saturating_sub(MOST) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn reasons(outcomes: &[Outcome]) -> IndexMap<&str, Vec<&str>> {
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for outcome in outcomes {
        if let Status::NotRun(why) = &outcome.status {
            reasons.entry(why).or_default().push(&outcome.id);
        }
    }
    reasons
}
