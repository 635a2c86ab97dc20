//! Comparisons as Markdown, for the comment of a pull request.

use std::fmt::Write as _;

use super::{IgnoredSysctl, result_text, title, totals_text};
use crate::markdown::table;
use crate::text;
use halfopen_outcome::baseline::Entry;
use halfopen_outcome::compare::{ChangeKind, ComparedCase, Difference};
use halfopen_outcome::comparison::Comparison;

/// The report of several comparisons.
pub fn render(comparisons: &[Comparison]) -> String {
    let mut text = String::new();
    for comparison in comparisons {
        let _ = writeln!(
            text,
            "### halfopen, {}\n\n{}\n",
            title(comparison),
            totals_text(&comparison.totals())
        );
        if !comparison.environment.is_empty() {
            let rows = comparison.environment.iter();
            table(
                &mut text,
                &["environment", "before", "now"],
                rows.map(|d| vec![d.what.clone(), d.old.clone(), d.new.clone()]),
            );
        }
        let of = |kind: ChangeKind| comparison.cases.iter().filter(move |c| c.kind == kind);
        let changes: Vec<&ComparedCase> = of(ChangeKind::Changed)
            .chain(of(ChangeKind::Known))
            .collect();
        if !changes.is_empty() {
            let header = ["case", "", "before", "now", "why"];
            table(&mut text, &header, changes.into_iter().map(change));
        }
        let others: Vec<&ComparedCase> = of(ChangeKind::New).chain(of(ChangeKind::Gone)).collect();
        if !others.is_empty() {
            let header = ["case", "", "before", "now"];
            table(&mut text, &header, others.into_iter().map(other));
        }
        let resolved: Vec<&ComparedCase> = comparison
            .cases
            .iter()
            .filter(|c| c.is_resolved())
            .collect();
        if !resolved.is_empty() {
            text.push_str("No longer differs: remove `known` from the baseline.\n\n");
            for case in resolved {
                let _ = writeln!(text, "- `{}`", case.id);
            }
            text.push('\n');
        }
        let not_run: Vec<&ComparedCase> = of(ChangeKind::NotRun).collect();
        if !not_run.is_empty() {
            let n = text::counted(not_run.len(), "case", "cases");
            let _ = writeln!(text, "<details><summary>{n} not run</summary>\n");
            for case in not_run {
                let _ = writeln!(text, "- `{}`", case.id);
            }
            text.push_str("\n</details>\n\n");
        }
    }
    text
}

/// The ignored sysctls, folded; empty without any.
pub fn ignored(all: &[IgnoredSysctl]) -> String {
    let mut text = String::new();
    if all.is_empty() {
        return text;
    }
    let n = text::counted(all.len(), "sysctl", "sysctls");
    let _ = writeln!(text, "<details><summary>{n} ignored</summary>\n");
    let rows = all.iter();
    table(
        &mut text,
        &["sysctl", "why"],
        rows.map(|i| vec![format!("`{}`", i.key), i.why.clone()]),
    );
    text.push_str("</details>\n");
    text
}

/// One row: all differences of a case are in one cell.
fn change(case: &ComparedCase) -> Vec<String> {
    let side = |pick: fn(&Difference) -> &String| {
        let parts: Vec<String> = case
            .differences
            .iter()
            .map(|d| format!("{} {}", d.what, pick(d)))
            .collect();
        parts.join("; ")
    };
    let known = case
        .known
        .as_ref()
        .filter(|_| case.kind == ChangeKind::Known);
    let why = known.map(text::known).or_else(|| case.cause.clone());
    vec![
        format!("`{}`", case.id),
        if known.is_some() { "known" } else { "changed" }.to_owned(),
        side(|d| &d.old),
        side(|d| &d.new),
        why.unwrap_or_default(),
    ]
}

fn other(case: &ComparedCase) -> Vec<String> {
    let side = |entry: &Option<Entry>| {
        entry
            .as_ref()
            .map_or("-".to_owned(), |e| result_text(&e.result))
    };
    vec![
        format!("`{}`", case.id),
        if case.kind == ChangeKind::New {
            "new"
        } else {
            "gone"
        }
        .to_owned(),
        side(&case.old),
        side(&case.new),
    ]
}
