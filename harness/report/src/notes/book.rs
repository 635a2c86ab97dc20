//! The section on the disagreements between Linux and the book.

use std::fmt::Write as _;

use indexmap::IndexMap;

use crate::finished::by_scenario;
use crate::text::{self, broken, counted, unbroken, words};
use halfopen_outcome::record::{Outcome, Status};

/// The disagreements and the notes, scenario by scenario. Times are left to the
/// notes: with a book's defaults a sign takes minutes, in a scenario that shortens
/// them by a sysctl it takes seconds, and both are right.
pub(super) fn render(text: &mut String, outcomes: &[Outcome], width: usize) {
    let mut has_title = false;
    for (scenario, cases) in by_scenario(outcomes) {
        let mut disagreements: IndexMap<(String, String), usize> = IndexMap::new();
        for case in &cases {
            if let Some((book, seen)) = text::against_the_book(case) {
                let did = text::kind(&seen.outcome);
                *disagreements
                    .entry((text::kind(&book.sign), did))
                    .or_default() += 1;
            }
        }
        let notes: Vec<&str> = cases
            .iter()
            .filter_map(|case| case.notes.as_deref())
            .collect();
        let ran = cases.iter().any(|case| case.status == Status::Ran);
        if !ran || (disagreements.is_empty() && notes.is_empty()) {
            continue;
        }
        if !has_title {
            let _ = writeln!(text, "\nLinux and the book");
            has_title = true;
        }
        let sources = cases
            .first()
            .map(|case| case.source.join(", "))
            .unwrap_or_default();
        let _ = writeln!(text, "\n  {scenario}  ({sources})");
        for ((said, did), n) in disagreements {
            let share = if n == cases.len() {
                String::new()
            } else {
                format!(" ({n} of {})", counted(cases.len(), "case", "cases"))
            };
            let _ = writeln!(text, "    the book says {said}, Linux did {did}{share}");
        }
        let mut written: Vec<&str> = Vec::new();
        for note in notes {
            if !written.contains(&note) {
                written.push(note);
                wrapped(text, note, "    ", width);
            }
        }
    }
}

/// Writes a paragraph in lines of at most `width` columns.
fn wrapped(text: &mut String, paragraph: &str, indent: &str, width: usize) {
    let mut line = String::new();
    let paragraph = unbroken(paragraph);
    for word in words(&paragraph) {
        if !line.is_empty()
            && indent.len() + line.chars().count() + 1 + word.chars().count() > width
        {
            let _ = writeln!(text, "{indent}{}", broken(&line));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{indent}{}", broken(&line));
}
