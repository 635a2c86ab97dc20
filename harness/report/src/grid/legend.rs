//! The text below a grid: the meaning of its letters and names, and remarks on
//! single cells.

use std::fmt::Write as _;

use super::cell::letter;
use super::{Content, Grid};
use crate::text;
use halfopen_net::span::human;
use halfopen_outcome::record::{Status, Verdict};

/// The letters that occur, and the marks of cells without a sign.
pub fn signs(grid: &Grid<'_>, letters: bool) -> String {
    let mut text = String::new();
    if letters {
        let mut seen: Vec<String> = Vec::new();
        for (_, content) in grid.contents() {
            let Some(sign) = content.sign() else { continue };
            let (letter, name) = (letter(sign), text::kind(sign));
            let entry = match name.as_str() {
                "EOF" => format!("{letter} end of file"),
                _ => format!("{letter} {name}"),
            };
            if letter != name && !seen.contains(&entry) {
                seen.push(entry);
            }
        }
        seen.sort_unstable();
        if !seen.is_empty() {
            let _ = writeln!(text, "{}", seen.join(", "));
        }
    }
    let limit = human(grid.plan.limit);
    let none = if letters { "-" } else { "unnoticed" };
    let has = |wanted: fn(&Content<'_>) -> bool| grid.contents().any(|(_, c)| wanted(&c));
    if has(|c| matches!(c, Content::Unnoticed { .. })) {
        let _ = writeln!(text, "{none}  nothing within {limit} of the fault");
    }
    if has(|c| matches!(c, Content::BeyondLimit { .. })) {
        let _ = writeln!(
            text,
            "( )  not measured: nothing within {limit}, and then, by the kernel's rules, not before this"
        );
    }
    if letters && has(|c| matches!(c, Content::Disturbed)) {
        text.push_str("~  disturbed: the machine was not quiet in any try\n");
    }
    if has(|c| c.is_outside()) {
        text.push_str("!  measured, but not as the kernel's rules say\n");
    }
    text
}

/// The names of detectors and faults with their descriptions.
pub fn names(grid: &Grid<'_>) -> String {
    let plan = grid.plan;
    let detectors = plan
        .detectors
        .iter()
        .map(|d| (d.name.as_str(), d.about.as_str()));
    let faults = plan.faults.iter().map(|f| (f.name, f.title));
    let width = |names: &mut dyn Iterator<Item = &str>| names.map(str::len).max().unwrap_or(0);
    let width = width(
        &mut detectors
            .clone()
            .chain(faults.clone())
            .map(|(name, _)| name),
    );
    let mut text = String::from("detectors\n");
    for (name, about) in detectors {
        let _ = writeln!(text, "  {name:width$}  {about}");
    }
    text.push_str("faults\n");
    for (name, title) in faults {
        let _ = writeln!(text, "  {name:width$}  {title}");
    }
    text
}

/// Cells that are outside their prediction, that failed, or were not run.
pub fn remarks(grid: &Grid<'_>) -> String {
    let mut text = String::new();
    let outcomes = || {
        let cases = grid.plan.cells.iter().zip(&grid.plan.cases);
        cases.filter_map(|(cell, case)| Some((*cell, *grid.outcomes.get(case.id.as_str())?)))
    };
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{title}");
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
    };
    let outside = outcomes().filter_map(|(cell, outcome)| {
        let disturbed = outcome.verdict == Verdict::Disturbed;
        let why = outcome.outside.as_ref().filter(|_| !disturbed)?;
        Some(format!("{}: {why}", grid.name(cell)))
    });
    section("outside the prediction", outside.collect());
    let disturbed = outcomes().filter_map(|(cell, outcome)| {
        let tries = outcome.disturbed_tries.iter().map(text::disturbed_try);
        let tries: Vec<String> = tries.collect();
        (outcome.verdict == Verdict::Disturbed)
            .then(|| format!("{}: {}", grid.name(cell), tries.join(" | ")))
    });
    section(
        "disturbed: the machine was not quiet in any try",
        disturbed.collect(),
    );
    let failed = outcomes().filter_map(|(cell, outcome)| match &outcome.status {
        Status::Failed(why) => Some(format!("{}: {why}", grid.name(cell))),
        _ => None,
    });
    section("failed: halfopen could not carry it out", failed.collect());
    let not_run = outcomes().filter_map(|(cell, outcome)| match &outcome.status {
        Status::NotRun(why) => Some(format!("{}: {why}", grid.name(cell))),
        _ => None,
    });
    section("not run", not_run.collect());
    text
}
