//! The table of a run: one row for each case, grouped by scenario.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use halfopen_outcome::record::{Outcome, Status};

use super::finished::{by_scenario, verdict};
use super::text;
use halfopen_net::span::human;
use halfopen_scenario::case::SignKind;

/// A width that fits CI logs and reviews.
pub const LOG_WIDTH: u16 = 100;

const HEADER: [&str; COLUMNS] = [
    "case",
    "the book says",
    "first sign",
    "by",
    "after",
    "predicted",
    "verdict",
];
const COLUMNS: usize = 7;
const AFTER: usize = 4;
/// Columns that may be wrapped, in order of preference. Signs, times and verdicts
/// are never wrapped.
const WRAPPED: [usize; 4] = [0, 1, 3, 5];
/// Spaces before a case below its scenario's heading.
const INDENT: usize = 2;
/// Spaces between columns.
const GAP: usize = 2;

type Row = [String; COLUMNS];

/// The table as plain text, at most `width` columns wide unless a single word is
/// wider.
pub fn render(outcomes: &[Outcome], width: u16) -> String {
    let groups: Vec<_> = by_scenario(outcomes)
        .into_values()
        .map(|cases| {
            (
                heading(&cases),
                cases.iter().map(|case| row(case)).collect::<Vec<_>>(),
            )
        })
        .collect();
    let header = HEADER.map(str::to_owned);
    let all = || groups.iter().flat_map(|(_, rows)| rows).chain([&header]);
    let widths = widths(all(), usize::from(width));
    let mut text = lines(std::slice::from_ref(&header), &widths);
    for (heading, rows) in &groups {
        text.push('\n');
        text.push_str(heading);
        text.push('\n');
        text.push_str(&lines(rows, &widths));
    }
    text
}

/// `host-crash-while-writing: detector, network  (H1, UNP 5.14)`. The names of
/// the axes are here, so that rows need only their values.
fn heading(cases: &[&Outcome]) -> String {
    let Some(first) = cases.first() else {
        return String::new();
    };
    let mut heading = first.scenario.clone();
    if !first.axes.is_empty() {
        let axes: Vec<_> = first.axes.keys().map(String::as_str).collect();
        heading.push_str(&format!(": {}", axes.join(", ")));
    }
    if !first.source.is_empty() {
        heading.push_str(&format!("  ({})", first.source.join(", ")));
    }
    heading
}

fn row(outcome: &Outcome) -> Row {
    let axes: Vec<_> = outcome.axes.values().map(String::as_str).collect();
    let case = if axes.is_empty() {
        "-".to_owned()
    } else {
        axes.join(", ")
    };
    let book = outcome.book.as_ref().map_or_else(|| "-".to_owned(), book);
    let dash = || "-".to_owned();
    let (sign, by, after) = match (&outcome.status, &outcome.first_sign) {
        (Status::Ran, Some(first)) => {
            let by = [first.endpoint.as_str(), first.call.as_str()];
            let by = by
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
            (
                text::kind(&first.outcome),
                if by.is_empty() { dash() } else { by },
                first
                    .since_fault_ns
                    .map_or_else(dash, halfopen_net::span::human_ns),
            )
        }
        _ => (dash(), dash(), dash()),
    };
    [
        case,
        book,
        sign,
        by,
        after,
        predicted(outcome),
        text::verdict(verdict(outcome)).to_owned(),
    ]
    .map(|cell| text::unbroken(&cell))
}

/// The predicted time, with the predicted sign if another one was observed; `?`
/// when the rules do not decide.
fn predicted(outcome: &Outcome) -> String {
    let Some(prediction) = &outcome.prediction else {
        let open = outcome.unpredictable.is_some();
        return if open { "?" } else { "-" }.to_owned();
    };
    let seen = outcome.first_sign.as_ref().map(|first| &first.outcome);
    let same = seen == Some(&prediction.sign);
    let noticed = prediction.sign != SignKind::Unnoticed;
    match (same, noticed) {
        (true, true) => text::interval(prediction),
        (true, false) => "-".to_owned(),
        (false, true) => format!(
            "{}, {}",
            text::kind(&prediction.sign),
            text::interval(prediction)
        ),
        (false, false) => text::kind(&prediction.sign),
    }
}

/// The book's sign without lane and call, which the notes have.
fn book(said: &halfopen_scenario::case::Sign) -> String {
    let kind = text::kind(&said.sign);
    let after = |(a, b): (Duration, Duration)| {
        if a == b {
            human(a)
        } else {
            format!("{} - {}", human(a), human(b))
        }
    };
    said.after
        .map_or_else(|| kind.clone(), |times| format!("{kind}, {}", after(times)))
}

/// The width of each column: that of its widest cell, as long as the table fits.
/// Otherwise the widest of the wrapped columns is narrowed, down to its longest
/// word.
fn widths<'a>(rows: impl Iterator<Item = &'a Row>, allowed: usize) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    let mut longest_words = [0; COLUMNS];
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            widths[column] = widths[column].max(cell.chars().count());
            let longest = cell
                .split(' ')
                .map(|word| word.chars().count())
                .max()
                .unwrap_or(0);
            longest_words[column] = longest_words[column].max(longest);
        }
    }
    while INDENT + widths.iter().sum::<usize>() + GAP * (COLUMNS - 1) > allowed {
        let widest = WRAPPED
            .into_iter()
            .filter(|column| widths[*column] > longest_words[*column])
            .max_by_key(|column| widths[*column]);
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
    }
    widths
}

fn lines(rows: &[Row], widths: &[usize; COLUMNS]) -> String {
    let mut table = Table::new();
    // Wrapped columns break at spaces. set_width() is not called because the
    // width of every column is fixed below.
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.add_rows(rows.iter().map(|row| comfy_table::Row::from(row.iter())));
    for (index, width) in widths.iter().enumerate() {
        let left = if index == 0 { INDENT } else { 0 };
        let right = if index + 1 == COLUMNS { 0 } else { GAP };
        let column = table
            .column_mut(index)
            .expect("every row has all the columns");
        let narrow = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        column.set_padding((narrow(left), narrow(right)));
        let width = narrow(left + width + right);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        if index == AFTER {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = text::broken(&table.trim_fmt());
    text.push('\n');
    text
}
