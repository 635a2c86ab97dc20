//! The table of a run: one row for each case, grouped by scenario.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use halfopen_outcome::record::{FirstSign, Outcome, Status};

use super::finished::{by_scenario, verdict};
use super::text;
use halfopen_net::span::{human, short_interval};
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
/// Columns that may be wrapped. Times and verdicts are never wrapped, and signs only
/// where a row would be wider than what is there.
const WRAPPED: [usize; 4] = [0, 1, 3, 5];
const SIGN: usize = 2;
/// Spaces before a case below its scenario's heading.
const INDENT: usize = 2;
/// Spaces between columns.
const GAP: usize = 2;

/// The column of cases is no narrower before signs are wrapped, and after.
const LEAST_CASE: [usize; 2] = [16, 12];

type Row = [String; COLUMNS];

/// The table as plain text, at most `width` columns wide unless a single word is
/// wider.
pub fn render(outcomes: &[Outcome], width: u16) -> String {
    let groups: Vec<(String, Vec<Row>)> = by_scenario(outcomes)
        .into_values()
        .map(|cases| {
            let rows = cases.iter().flat_map(|case| rows(case));
            (heading(&cases), rows.collect())
        })
        .collect();
    let header = HEADER.map(str::to_owned);
    let allowed = usize::from(width);
    let common = common_widths(&header, groups.iter().map(|(_, rows)| rows), allowed);
    let mut text = lines(std::slice::from_ref(&header), &common);
    for (heading, rows) in &groups {
        text.push('\n');
        text.push_str(heading);
        text.push('\n');
        let own = needs(rows);
        let widths = match union(&common, &own) == common {
            true => common,
            false => narrowed(union(&common, &own), &own, rows, allowed),
        };
        text.push_str(&lines(rows, &widths));
    }
    text
}

/// The row of a case and, when several lanes are watched, one for each of the others.
fn rows(outcome: &Outcome) -> Vec<Row> {
    let first = outcome.first_sign.as_ref().map(|first| &first.endpoint);
    let mut rows = vec![row(outcome)];
    // Where nobody noticed anything, the case's row says so of all.
    let quiet = outcome.lane_signs.iter().all(|of| of.signs.is_empty());
    if outcome.lane_signs.len() < 2 || outcome.status != Status::Ran || quiet {
        return rows;
    }
    let others = outcome
        .lane_signs
        .iter()
        .filter(|of| Some(&of.lane) != first);
    rows.extend(others.map(|of| {
        let (sign, call, after) = match of.signs.first() {
            Some(sign) => (text::kind(&sign.outcome), call(sign), after(outcome, sign)),
            None => (text::kind(&SignKind::Unnoticed), "", "-".to_owned()),
        };
        let by = format!("{} {call}", of.lane);
        let empty = String::new;
        [
            empty(),
            empty(),
            sign,
            by.trim_end().to_owned(),
            after,
            empty(),
            empty(),
        ]
        .map(|cell| text::unbroken(&cell))
    }));
    rows
}

/// The call that showed a sign, where the sign does not name it.
fn call(sign: &FirstSign) -> &str {
    match sign.outcome {
        SignKind::HeartbeatLost | SignKind::PollHangup => "",
        _ => sign.call.as_str(),
    }
}

/// The time of a sign: since the fault, or since the start when there was none.
fn after(outcome: &Outcome, sign: &FirstSign) -> String {
    let Some(ns) = sign.since_fault_ns else {
        return "-".to_owned();
    };
    let time = halfopen_net::span::human_ns(ns);
    match text::fault(outcome) {
        Some(_) => time,
        None => format!("start + {time}"),
    }
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
            let by = [first.endpoint.as_str(), call(first)];
            let by = by
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ");
            (
                text::kind(&first.outcome),
                if by.is_empty() { dash() } else { by },
                after(outcome, first),
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
        (true, true) => text::short_interval(prediction),
        (true, false) => "-".to_owned(),
        (false, true) => format!(
            "{}, {}",
            text::kind(&prediction.sign),
            text::short_interval(prediction)
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
            short_interval(a, b)
        }
    };
    said.after
        .map_or_else(|| kind.clone(), |times| format!("{kind}, {}", after(times)))
}

type Widths = [usize; COLUMNS];

/// What each column needs for its cells to stay on one line.
fn needs<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Widths {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

fn union(a: &Widths, b: &Widths) -> Widths {
    std::array::from_fn(|column| a[column].max(b[column]))
}

fn total(widths: &Widths) -> usize {
    INDENT + widths.iter().sum::<usize>() + GAP * (COLUMNS - 1)
}

/// The widths that most scenarios share: those of the narrow ones, as many as fit
/// together. One long cell does not wrap the rows of all others.
fn common_widths<'a>(
    header: &Row,
    groups: impl Iterator<Item = &'a Vec<Row>>,
    allowed: usize,
) -> Widths {
    let mut all: Vec<Widths> = groups.map(needs).collect();
    all.sort_by_key(total);
    let header = needs([header]);
    all.iter().fold(header, |common, own| {
        let both = union(&common, own);
        match total(&both) <= allowed {
            true => both,
            false => common,
        }
    })
}

/// `widths` for the rows of a scenario that needs more than the common ones: what it
/// does not need itself is given up first; then the widest of the wrapped columns is
/// narrowed, down to its longest word; then the case's words are broken at hyphens; at
/// last signs are wrapped.
fn narrowed(mut widths: Widths, own: &Widths, rows: &[Row], allowed: usize) -> Widths {
    let mut longest_words = [0; COLUMNS];
    for row in rows {
        for (longest, cell) in longest_words.iter_mut().zip(row) {
            let words = cell.split(' ').map(|word| word.chars().count());
            *longest = (*longest).max(words.max().unwrap_or(0));
        }
    }
    while total(&widths) > allowed {
        let spare = (0..COLUMNS)
            .filter(|column| widths[*column] > own[*column])
            .max_by_key(|column| widths[*column] - own[*column]);
        let widest = || {
            WRAPPED
                .into_iter()
                .filter(|column| widths[*column] > longest_words[*column])
                .max_by_key(|column| widths[*column])
        };
        let hyphens = |least: usize| (widths[0] > least).then_some(0);
        let sign = || (widths[SIGN] > longest_words[SIGN]).then_some(SIGN);
        let column = spare
            .or_else(widest)
            .or_else(|| hyphens(LEAST_CASE[0]))
            .or_else(sign)
            .or_else(|| hyphens(LEAST_CASE[1]));
        let Some(column) = column else {
            break;
        };
        widths[column] -= 1;
    }
    widths
}

/// Words that are longer than `width` are broken after their hyphens.
fn hyphenated(cell: &str, width: usize) -> String {
    let word = |word: &str| {
        let mut lines = String::new();
        let mut length = 0;
        for part in word.split_inclusive('-') {
            let more = part.chars().count();
            if length > 0 && length + more > width {
                lines.push('\n');
                length = 0;
            }
            lines.push_str(part);
            length += more;
        }
        lines
    };
    let words: Vec<String> = cell.split(' ').map(word).collect();
    words.join(" ")
}

fn lines(rows: &[Row], widths: &[usize; COLUMNS]) -> String {
    let mut table = Table::new();
    // Wrapped columns break at spaces. set_width() is not called because the
    // width of every column is fixed below.
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.add_rows(rows.iter().map(|row| {
        let mut row = row.clone();
        row[0] = hyphenated(&row[0], widths[0]);
        comfy_table::Row::from(row.iter())
    }));
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
