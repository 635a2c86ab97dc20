//! docs/surprises.md: where Linux differs from the books.

use std::fmt::Write as _;

use halfopen_scenario::case::{Case, Sign, SignKind};
use indexmap::IndexMap;

use super::rules::wrapped;
use super::{cell, said};

/// The document.
pub fn text(cases: &[Case]) -> String {
    let mut by_scenario: IndexMap<&str, Vec<&Case>> = IndexMap::new();
    for case in cases {
        by_scenario.entry(&case.scenario).or_default().push(case);
    }
    let mut text = String::from(
        "# Where Linux differs from the books\n\n\
         Made from the catalogue by `UPDATE_DOCS=1 cargo test --test documents`: every scenario\n\
         whose book says another sign, or another time, than Linux shows on every kernel of the\n\
         tests. *UNP* is Stevens, *UNIX Network Programming* vol. 1, *TCPv1* *TCP/IP Illustrated*\n\
         vol. 1. `halfopen run NAME` shows each.\n\n\
         Times in the catalogue are short, so a book's nine minutes stand beside Linux's three\n\
         seconds where only the mechanism differs; the values people run are compared in\n\
         [published.md](published.md).\n",
    );
    for (scenario, cases) in &by_scenario {
        let rows: Vec<String> = rows(cases);
        if rows.is_empty() {
            continue;
        }
        let case = cases[0];
        let _ = write!(
            text,
            "\n## {scenario}\n\n{} ({})\n\n| | the book says | Linux does |\n|---|---|---|\n",
            wrapped(&case.about),
            case.source.join(", ")
        );
        for row in rows {
            text.push_str(&row);
        }
        if let Some(notes) = &case.notes {
            let _ = write!(text, "\n{}\n", wrapped(notes));
        }
    }
    text
}

/// A row for each pair of book and Linux that differs, with the axes' values
/// that all its cases share.
fn rows(cases: &[&Case]) -> Vec<String> {
    let mut pairs: IndexMap<(String, String), Vec<&Case>> = IndexMap::new();
    for case in cases {
        if let (Some(book), Some(linux)) = (&case.book, &case.expect)
            && differ(book, linux)
        {
            pairs
                .entry((said(book), said(linux)))
                .or_default()
                .push(case);
        }
    }
    let row = |((book, linux), of): (&(String, String), &Vec<&Case>)| {
        let shared: Vec<String> = of[0]
            .axes
            .iter()
            .filter(|(axis, value)| of.iter().all(|c| c.axes.get(*axis) == Some(value)))
            .filter(|(axis, value)| cases.iter().any(|c| c.axes.get(*axis) != Some(value)))
            .map(|(axis, value)| format!("{axis} {value}"))
            .collect();
        format!(
            "| {} | {} | {} |\n",
            cell(&shared.join(", ")),
            cell(book),
            cell(linux)
        )
    };
    pairs.iter().map(row).collect()
}

fn differ(book: &Sign, linux: &Sign) -> bool {
    if book.sign != linux.sign {
        return true;
    }
    if linux.sign == SignKind::Unnoticed {
        return false;
    }
    match (book.after, linux.after) {
        // A book's time is that of its system's clock: of seconds, or of a slow tick.
        (Some((from, to)), Some((earliest, latest))) => {
            from > latest.mul_f64(1.1) || to.mul_f64(1.1) < earliest
        }
        _ => false,
    }
}
