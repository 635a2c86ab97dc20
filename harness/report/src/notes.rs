//! What follows the table: differences with their evidence, where Linux and
//! the book part, what failed, what was not run, the totals.

use std::fmt::Write as _;

use indexmap::IndexMap;

use halfopen_outcome::record::{Outcome, Status, Verdict};

use super::finished::{Finished, Totals, by_scenario, verdict};
use super::text::{self, counted};
use super::{cost, held, ladder, recovery};
use halfopen_net::span::human;

/// Everything that follows the table; sections without content are left out.
pub fn render(run: &Finished<'_>, width: u16) -> String {
    let mut text = String::new();
    differences(&mut text, run.outcomes);
    unforeseen(&mut text, run.outcomes);
    known(&mut text, run.outcomes);
    failures(&mut text, run.outcomes);
    beside_the_book(&mut text, run.outcomes, usize::from(width));
    text.push_str(&recovery::render(run.outcomes));
    text.push_str(&held::render(run.environment, run.outcomes));
    text.push_str(&cost::render(run.outcomes));
    surprises(&mut text, run.outcomes);
    not_run(&mut text, run.outcomes);
    let _ = writeln!(text, "\n{}", totals(run));
    text
}

/// `118 as expected, 0 differ, 3 not run (virtual time) in 31 s`.
pub fn totals(run: &Finished<'_>) -> String {
    let totals = Totals::of(run.outcomes);
    let mut words = vec![
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
        words.push(format!(
            "{} observed, with nothing expected",
            totals.observed
        ));
    }
    if totals.known > 0 {
        words.push(format!("{} known", totals.known));
    }
    if totals.failed > 0 {
        words.push(format!("{} failed", totals.failed));
    }
    if totals.not_run > 0 {
        let reasons = reasons(run.outcomes);
        let why: Vec<_> = match reasons.len() {
            1 => reasons.keys().map(|why| (*why).to_owned()).collect(),
            _ => reasons
                .iter()
                .map(|(why, cases)| format!("{} {why}", cases.len()))
                .collect(),
        };
        words.push(format!("{} not run ({})", totals.not_run, why.join(", ")));
    }
    if totals.outside > 0 {
        words.push(format!("{} outside the prediction", totals.outside));
    }
    let interrupted = if run.interrupted { "interrupted: " } else { "" };
    format!(
        "{interrupted}{} in {}",
        words.join(", "),
        human(run.elapsed)
    )
}

fn with_verdict(outcomes: &[Outcome], wanted: Verdict) -> Vec<&Outcome> {
    outcomes
        .iter()
        .filter(|outcome| verdict(outcome) == wanted)
        .collect()
}

fn differences(text: &mut String, outcomes: &[Outcome]) {
    let cases = with_verdict(outcomes, Verdict::Differs);
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} not as expected",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        if let Some(expect) = &case.expect {
            let _ = writeln!(text, "    expected  {}", text::sign(expect));
        }
        let _ = writeln!(text, "    observed  {}", text::observed(case));
        if let Some(book) = &case.book {
            let _ = writeln!(text, "    book      {}", text::sign(book));
        }
        for surprise in &case.surprises {
            let _ = writeln!(text, "    surprise  {surprise}");
        }
        predicted(text, case);
        evidence(text, case);
    }
}

/// Cases that went as expected, but not as predicted: somebody is wrong about
/// the kernel.
fn unforeseen(text: &mut String, outcomes: &[Outcome]) {
    let cases: Vec<_> = outcomes
        .iter()
        .filter(|case| {
            let elsewhere = matches!(verdict(case), Verdict::Differs | Verdict::Known);
            case.outside.is_some() && !elsewhere
        })
        .collect();
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} outside the prediction",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        let _ = writeln!(text, "    observed  {}", text::observed(case));
        predicted(text, case);
        evidence(text, case);
    }
}

fn predicted(text: &mut String, case: &Outcome) {
    let Some(prediction) = &case.prediction else {
        return;
    };
    let _ = writeln!(text, "    predicted {}", text::prediction(prediction));
    let _ = writeln!(text, "    because   {}", prediction.because);
    if let Some(outside) = &case.outside {
        let _ = writeln!(text, "    surprise  {outside}");
    }
}

/// The calls and packets since the fault.
fn evidence(text: &mut String, case: &Outcome) {
    for line in ladder::render(case, &ladder::EVIDENCE).lines() {
        let _ = writeln!(text, "    {line}");
    }
    if case.wire.lost_by_capture > 0 {
        let lost = counted(
            usize::try_from(case.wire.lost_by_capture).unwrap_or(usize::MAX),
            "packet is",
            "packets are",
        );
        let _ = writeln!(text, "    the capture was too slow: {lost} missing above");
    }
}

/// Known differences, each with its reason; and those that are none any more.
fn known(text: &mut String, outcomes: &[Outcome]) {
    let known = |case: &Outcome| case.expect.as_ref()?.known.clone();
    let cases = with_verdict(outcomes, Verdict::Known);
    if !cases.is_empty() {
        let _ = writeln!(
            text,
            "\n{}",
            counted(cases.len(), "known difference", "known differences")
        );
    }
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        if let Some(expect) = &case.expect {
            let _ = writeln!(text, "    expected  {}", text::sign(expect));
        }
        let _ = writeln!(text, "    observed  {}", text::observed(case));
        if let Some(known) = known(case) {
            let _ = writeln!(text, "    known     {}", text::known(&known));
        }
    }
    let gone: Vec<_> = with_verdict(outcomes, Verdict::AsExpected)
        .into_iter()
        .filter(|case| known(case).is_some())
        .collect();
    if !gone.is_empty() {
        let _ = writeln!(
            text,
            "\nNo longer differs: remove `known` from its scenario"
        );
    }
    for case in gone {
        let _ = writeln!(text, "  {}", case.id);
    }
}

fn failures(text: &mut String, outcomes: &[Outcome]) {
    let cases = with_verdict(outcomes, Verdict::Failed);
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} failed: halfopen could not carry it out",
        counted(cases.len(), "case", "cases")
    );
    for case in cases {
        let _ = writeln!(text, "\n  {}", case.id);
        if let Status::Failed(why) = &case.status {
            for line in why.lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        if !case.endpoints.is_empty() {
            evidence(text, case);
        }
    }
}

/// Where Linux did something else than the book says, scenario by scenario.
/// Times are left to the notes: a book's default takes minutes, a scenario
/// that shortens it by a sysctl seconds, and both are right.
fn beside_the_book(text: &mut String, outcomes: &[Outcome], width: usize) {
    let mut begun = false;
    for (scenario, cases) in by_scenario(outcomes) {
        let mut parted: IndexMap<(String, String), usize> = IndexMap::new();
        for case in &cases {
            let (Some(book), Some(seen), Status::Ran) =
                (&case.book, &case.first_sign, &case.status)
            else {
                continue;
            };
            if !text::agrees(book, seen, None) {
                let did = text::kind(&seen.outcome);
                *parted.entry((text::kind(&book.sign), did)).or_default() += 1;
            }
        }
        let notes: Vec<&str> = cases
            .iter()
            .filter_map(|case| case.notes.as_deref())
            .collect();
        let ran = cases.iter().any(|case| case.status == Status::Ran);
        if !ran || (parted.is_empty() && notes.is_empty()) {
            continue;
        }
        if !begun {
            let _ = writeln!(text, "\nLinux and the book");
            begun = true;
        }
        let sources = cases
            .first()
            .map(|case| case.source.join(", "))
            .unwrap_or_default();
        let _ = writeln!(text, "\n  {scenario}  ({sources})");
        for ((said, did), n) in parted {
            let share = if n == cases.len() {
                String::new()
            } else {
                format!(" ({n} of {})", counted(cases.len(), "case", "cases"))
            };
            let _ = writeln!(text, "    the book says {said}, Linux did {did}{share}");
        }
        let mut told: Vec<&str> = Vec::new();
        for note in notes {
            if !told.contains(&note) {
                told.push(note);
                wrapped(text, note, "    ", width);
            }
        }
    }
}

fn surprises(text: &mut String, outcomes: &[Outcome]) {
    // Those of cases that differ are told with their evidence.
    let told = |case: &&Outcome| {
        let elsewhere = matches!(verdict(case), Verdict::Differs | Verdict::Known);
        !case.surprises.is_empty() && !elsewhere
    };
    let cases: Vec<_> = outcomes.iter().filter(told).collect();
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

fn not_run(text: &mut String, outcomes: &[Outcome]) {
    for (why, cases) in reasons(outcomes) {
        let _ = writeln!(
            text,
            "\n{} not run: {why}",
            counted(cases.len(), "case", "cases")
        );
        for id in cases {
            let _ = writeln!(text, "  {id}");
        }
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

/// Writes a paragraph, its lines at most `width` wide.
fn wrapped(text: &mut String, paragraph: &str, indent: &str, width: usize) {
    let mut line = String::new();
    for word in paragraph.split_whitespace() {
        if !line.is_empty()
            && indent.len() + line.chars().count() + 1 + word.chars().count() > width
        {
            let _ = writeln!(text, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{indent}{line}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::table;
    use halfopen_outcome::testing;

    #[test]
    fn table_and_notes() {
        let environment = testing::environment();
        let outcomes = testing::all();
        let run = Finished {
            environment: &environment,
            outcomes: &outcomes,
            interrupted: false,
            elapsed: Duration::from_secs(31),
        };
        let text = table::render(&outcomes, table::LOG_WIDTH) + &render(&run, table::LOG_WIDTH);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_narrow_table_wraps_words_only() {
        let text = table::render(&testing::all(), 88);
        assert!(text.lines().all(|line| line.len() <= 88), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn totals_in_one_line() {
        let environment = testing::environment();
        let outcomes = [testing::unnoticed(), testing::not_run()];
        let mut run = Finished {
            environment: &environment,
            outcomes: &outcomes,
            interrupted: false,
            elapsed: Duration::from_secs(31),
        };
        assert_eq!(
            totals(&run),
            "1 as expected, 0 differ, 1 not run (virtual time) in 31 s"
        );
        run.interrupted = true;
        assert!(totals(&run).starts_with("interrupted: 1 as expected"));
    }
}
