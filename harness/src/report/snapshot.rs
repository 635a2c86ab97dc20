//! Tables for snapshots: a scenario's matrix and what each case showed, as
//! aligned text that reads well in a review, and how two of them compare.

use crate::outcome::record::{Outcome, Status};
use crate::outcome::tolerance::Tolerance;

use super::finished::by_scenario;
use super::{span, words};

/// Title of the column whose cells are measured times.
const TIMES: &str = "after";
/// Titles of the columns after those of the axes.
const SHOWN: [&str; 3] = ["first sign", "by", TIMES];
/// Between the axes and what the case showed.
const BAR: &str = "|";
/// Spaces between columns; one space belongs to a cell.
const GAP: &str = "  ";

/// One table a scenario, in the file's order: its name and its text.
///
/// ```text
/// detector         network  |  first sign  by           after
/// none             lan      |  ETIMEDOUT   client read  3.05 s
/// user-timeout-3s  lan      |  ETIMEDOUT   client read  3.21 s
/// ```
pub fn tables(outcomes: &[Outcome]) -> Vec<(String, String)> {
    by_scenario(outcomes)
        .into_iter()
        .map(|(name, cases)| (name.to_owned(), table(&cases)))
        .collect()
}

/// The table of one scenario's cases.
pub fn table(cases: &[&Outcome]) -> String {
    let axes: Vec<&str> = cases.first().map_or(vec![], |case| {
        case.axes.keys().map(String::as_str).collect()
    });
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(cases.len() + 1);
    let bar: &[&str] = if axes.is_empty() { &[] } else { &[BAR] };
    rows.push(
        axes.iter()
            .copied()
            .chain(bar.iter().copied())
            .chain(SHOWN)
            .map(str::to_owned)
            .collect(),
    );
    for case in cases {
        let points = axes
            .iter()
            .map(|axis| case.axes.get(*axis).map_or("-", String::as_str).to_owned());
        let bar = bar.iter().map(|bar| (*bar).to_owned());
        rows.push(points.chain(bar).chain(shown(case)).collect());
    }
    aligned(&rows)
}

fn shown(case: &Outcome) -> [String; 3] {
    let dash = || "-".to_owned();
    let first = match (&case.status, &case.first_sign) {
        (Status::Ran, Some(first)) => first,
        (Status::Ran, None) => return ["no sign".into(), dash(), dash()],
        // The reason may name this machine; a snapshot must not.
        (Status::NotRun(_), _) => return ["not run".into(), dash(), dash()],
        (Status::Failed(_), _) => return ["failed".into(), dash(), dash()],
    };
    let by: Vec<&str> = [first.endpoint.as_str(), first.call.as_str()]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    [
        words::kind(&first.outcome),
        if by.is_empty() { dash() } else { by.join(" ") },
        first.since_fault_ns.map_or_else(dash, rounded),
    ]
}

/// Below a millisecond only the order of size repeats from run to run.
fn rounded(ns: i64) -> String {
    if (0..1_000_000).contains(&ns) {
        "0 ms".into()
    } else {
        span::human_ns(ns)
    }
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|i| {
            rows.iter()
                .map(|row| row[i].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

/// Whether two texts of such tables show the same: everything is equal but
/// the times below `after`, and those agree within the tolerance. How cells
/// are padded does not count, because a longer time moves a column.
pub fn same_within(expected: &str, actual: &str, tolerance: &Tolerance) -> bool {
    let (expected, actual) = (lines(expected), lines(actual));
    if expected.len() != actual.len() {
        return false;
    }
    let mut times = None;
    expected.iter().zip(&actual).all(|(expected, actual)| {
        if expected.last() == Some(&TIMES) {
            times = Some(expected.len() - 1);
        }
        expected.len() == actual.len()
            && expected
                .iter()
                .zip(actual)
                .enumerate()
                .all(|(column, (expected, actual))| {
                    expected == actual
                        || (times == Some(column) && same_time(expected, actual, tolerance))
                })
    })
}

fn same_time(expected: &str, actual: &str, tolerance: &Tolerance) -> bool {
    match (span::parse(expected), span::parse(actual)) {
        (Some(expected), Some(actual)) => tolerance.agree(expected, actual),
        _ => false,
    }
}

fn lines(text: &str) -> Vec<Vec<&str>> {
    text.trim()
        .lines()
        .map(|line| {
            line.split(GAP)
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::record::Verdict;
    use crate::outcome::tolerance::{REAL_TIME, VIRTUAL_TIME};
    use crate::report::fixture;

    fn one(errno: &str, ms: i64) -> String {
        table(&[&fixture::crash("none", errno, ms, Verdict::AsExpected)])
    }

    #[test]
    fn one_table_a_scenario() {
        let text: Vec<_> = tables(&fixture::all())
            .into_iter()
            .map(|(name, table)| format!("{name}\n{table}"))
            .collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn times_agree_within_the_tolerance() {
        assert!(same_within(
            &one("ETIMEDOUT", 3_050),
            &one("ETIMEDOUT", 3_210),
            &REAL_TIME
        ));
        assert!(!same_within(
            &one("ETIMEDOUT", 3_000),
            &one("ETIMEDOUT", 6_000),
            &REAL_TIME
        ));
        assert!(!same_within(
            &one("ETIMEDOUT", 6_000),
            &one("ETIMEDOUT", 3_000),
            &REAL_TIME
        ));
    }

    #[test]
    fn a_time_of_another_width_moves_no_column() {
        assert!(same_within(
            &one("ETIMEDOUT", 9_990),
            &one("ETIMEDOUT", 10_112),
            &REAL_TIME
        ));
        assert!(same_within(
            &one("ETIMEDOUT", 3_000),
            &one("ETIMEDOUT", 3_051),
            &REAL_TIME
        ));
    }

    #[test]
    fn in_virtual_time_times_are_equal() {
        assert!(same_within(
            &one("ETIMEDOUT", 3_050),
            &one("ETIMEDOUT", 3_050),
            &VIRTUAL_TIME
        ));
        assert!(!same_within(
            &one("ETIMEDOUT", 3_050),
            &one("ETIMEDOUT", 3_060),
            &VIRTUAL_TIME
        ));
    }

    #[test]
    fn another_errno_is_another_table() {
        assert!(!same_within(
            &one("ETIMEDOUT", 3_050),
            &one("ECONNRESET", 3_050),
            &REAL_TIME
        ));
    }

    #[test]
    fn a_time_is_not_a_dash() {
        let none = "first sign  by  after\nunnoticed   -   -\n";
        let some = "first sign  by  after\nunnoticed   -   0 ms\n";
        assert!(same_within(none, none, &REAL_TIME));
        assert!(!same_within(none, some, &REAL_TIME));
        assert!(!same_within(some, none, &REAL_TIME));
    }

    #[test]
    fn times_of_an_axis_are_names() {
        let at = |delay: &str| {
            format!(
                "delay  |  first sign  by           after\n{delay}    |  EOF         client read  3 s\n"
            )
        };
        assert!(same_within(&at("3 s"), &at("3 s"), &REAL_TIME));
        assert!(!same_within(&at("3 s"), &at("3.1 s"), &REAL_TIME));
    }

    #[test]
    fn a_row_too_many_or_few_is_seen() {
        let (a, b) = (fixture::unnoticed(), fixture::unnoticed());
        assert!(!same_within(&table(&[&a]), &table(&[&a, &b]), &REAL_TIME));
        assert!(!same_within(&table(&[&a, &b]), &table(&[&a]), &REAL_TIME));
        assert!(!same_within("", &table(&[&a]), &REAL_TIME));
        assert!(same_within("", "", &REAL_TIME));
    }

    #[test]
    fn text_without_the_column_has_no_tolerance() {
        assert!(!same_within("took  3 s\n", "took  3.1 s\n", &REAL_TIME));
    }
}
