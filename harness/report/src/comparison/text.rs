//! A comparison as text: what changed, with its evidence, then what is known, new,
//! gone and not run, and the totals in the last line.

use std::fmt::Write as _;

use indexmap::IndexMap;

use halfopen_outcome::baseline::{CaseResult, Entry, Setting};
use halfopen_outcome::compare::{ChangeKind, ComparedCase, Difference};
use halfopen_outcome::comparison::Comparison;

use super::{IgnoredSysctl, result_text, title, totals_text};
use crate::text::{self, counted, wrapped};

/// The packets and calls of a case that changed, if they are there. The report
/// indents each line.
pub type Evidence<'a> = &'a dyn Fn(&Setting, &str) -> Option<String>;

/// The report of several comparisons.
pub fn render(comparisons: &[Comparison], evidence: Evidence<'_>) -> String {
    let mut text = String::new();
    for (index, comparison) in comparisons.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        section(&mut text, comparison, evidence);
    }
    text
}

fn section(text: &mut String, comparison: &Comparison, evidence: Evidence<'_>) {
    let _ = writeln!(text, "{}", title(comparison));
    if !comparison.environment.is_empty() {
        text.push_str("\nAnother environment\n\n");
        differences(text, &comparison.environment, "  ");
    }
    let of = |kind: ChangeKind| comparison.cases.iter().filter(move |c| c.kind == kind);
    let count = |kind: ChangeKind| of(kind).count();
    if count(ChangeKind::Changed) > 0 {
        let cases = counted(count(ChangeKind::Changed), "case", "cases");
        let _ = writeln!(text, "\n{cases} changed");
    }
    for case in of(ChangeKind::Changed) {
        changed(text, case);
        let setting = comparison.now.as_ref();
        for line in setting
            .and_then(|setting| evidence(setting, &case.id))
            .iter()
            .flat_map(|e| e.lines())
        {
            let _ = writeln!(text, "    {line}");
        }
    }
    if count(ChangeKind::Known) > 0 {
        let known = counted(
            count(ChangeKind::Known),
            "known difference",
            "known differences",
        );
        let _ = writeln!(text, "\n{known}");
    }
    for case in of(ChangeKind::Known) {
        changed(text, case);
    }
    listed(text, "new", of(ChangeKind::New), |case| case.new.as_ref());
    listed(text, "gone", of(ChangeKind::Gone), |case| case.old.as_ref());
    not_run(text, of(ChangeKind::NotRun));
    let only_predicted: Vec<_> = of(ChangeKind::Unchanged)
        .filter(|c| c.cause.is_some())
        .collect();
    if !only_predicted.is_empty() {
        text.push_str("\nUnchanged, although the kernel's rules predict a change\n");
    }
    for case in only_predicted {
        let _ = writeln!(text, "\n  {}", case.id);
        wrapped(
            text,
            case.cause.as_deref().unwrap_or_default(),
            "    predicted: ",
            "      ",
        );
    }
    let unsteady: Vec<_> = comparison.cases.iter().filter(|c| c.unsteady).collect();
    if !unsteady.is_empty() {
        text.push_str("\nNot the same from one run to the next, whatever is set\n\n");
    }
    for case in unsteady {
        let _ = writeln!(text, "  {}", case.id);
    }
    let resolved: Vec<_> = comparison
        .cases
        .iter()
        .filter(|c| c.is_resolved())
        .collect();
    if !resolved.is_empty() {
        text.push_str(
            "\nNo longer differs: remove `known` from the baseline, or save it again\n\n",
        );
    }
    for case in resolved {
        let _ = writeln!(text, "  {}", case.id);
    }
    let _ = writeln!(text, "\n{}", totals_text(&comparison.totals()));
}

/// The ignored sysctls with their reasons; empty without any.
pub fn ignored(all: &[IgnoredSysctl]) -> String {
    let mut text = String::new();
    if all.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "{} ignored\n",
        counted(all.len(), "sysctl", "sysctls")
    );
    let width = all.iter().map(|i| i.key.chars().count()).max().unwrap_or(0);
    for IgnoredSysctl { key, why } in all {
        let _ = writeln!(text, "  {key:width$}  {why}");
    }
    text.push('\n');
    text
}

fn changed(text: &mut String, case: &ComparedCase) {
    let _ = writeln!(text, "\n  {}", case.id);
    differences(text, &case.differences, "    ");
    if let Some(known) = case
        .known
        .as_ref()
        .filter(|_| case.kind == ChangeKind::Known)
    {
        wrapped(text, &text::known(known), "    known: ", "      ");
    } else if let Some(cause) = &case.cause {
        wrapped(text, cause, "    likely cause: ", "      ");
    }
}

fn differences(text: &mut String, all: &[Difference], indent: &str) {
    let width = all
        .iter()
        .map(|d| d.what.chars().count())
        .max()
        .unwrap_or(0);
    for Difference { what, old, new } in all {
        let _ = writeln!(text, "{indent}{what:width$}  {old} -> {new}");
    }
}

fn listed<'a>(
    text: &mut String,
    what: &str,
    cases: impl Iterator<Item = &'a ComparedCase>,
    entry: impl Fn(&ComparedCase) -> Option<&Entry>,
) {
    let cases: Vec<&ComparedCase> = cases.collect();
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{} {what}\n", counted(cases.len(), "case", "cases"));
    let width = cases
        .iter()
        .map(|c| c.id.chars().count())
        .max()
        .unwrap_or(0);
    for case in cases {
        let result = entry(case).map(|e| result_text(&e.result));
        let result = result.unwrap_or_default();
        let _ = writeln!(text, "  {:width$}  {result}", case.id);
    }
}

fn not_run<'a>(text: &mut String, cases: impl Iterator<Item = &'a ComparedCase>) {
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for case in cases {
        if let Some(CaseResult::NotRun(why)) = case.new.as_ref().map(|e| &e.result) {
            reasons.entry(why).or_default().push(&case.id);
        }
    }
    for (why, ids) in reasons {
        let cases = counted(ids.len(), "case", "cases");
        let _ = writeln!(text, "\n{cases} not run: {why}\n");
        for id in ids {
            let _ = writeln!(text, "  {id}");
        }
    }
}
