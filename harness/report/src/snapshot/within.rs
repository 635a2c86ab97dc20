//! Compares two snapshot tables: all cells are equal but the times, which agree
//! within a tolerance.

use super::{GAP, HEALED, lines, point_of};
use halfopen_net::span;
use halfopen_outcome::tolerance::Tolerance;

/// Titles of the columns whose cells are measured times.
const TIMES: [&str; 2] = ["after", HEALED];

/// Whether two tables have the same row for one case, with times within the
/// tolerance.
pub fn same_row_within(expected: &str, actual: &str, id: &str, tolerance: &Tolerance) -> bool {
    let pick = |table: &str| {
        let point = point_of(id);
        let all = lines(table);
        let header = all.first().cloned().unwrap_or_default();
        let row = all.into_iter().skip(1).find(|cells| {
            cells.len() >= point.len() && cells.iter().zip(&point).all(|(a, b)| a == b)
        });
        row.map(|row| format!("{}\n{}\n", header.join(GAP), row.join(GAP)))
    };
    match (pick(expected), pick(actual)) {
        (Some(expected), Some(actual)) => same_within(&expected, &actual, tolerance),
        _ => false,
    }
}

/// Whether two tables are the same, with times within the tolerance. Padding is
/// ignored, because a longer time moves a column.
pub fn same_within(expected: &str, actual: &str, tolerance: &Tolerance) -> bool {
    let (expected, actual) = (lines(expected), lines(actual));
    if expected.len() != actual.len() {
        return false;
    }
    let mut times: Vec<usize> = Vec::new();
    expected.iter().zip(&actual).all(|(expected, actual)| {
        if times.is_empty() {
            let is_time = |(_, cell): &(usize, &&str)| TIMES.contains(cell);
            times.extend(expected.iter().enumerate().filter(is_time).map(|(i, _)| i));
        }
        expected.len() == actual.len()
            && expected
                .iter()
                .zip(actual)
                .enumerate()
                .all(|(column, (expected, actual))| {
                    expected == actual
                        || (times.contains(&column) && same_time(expected, actual, tolerance))
                })
    })
}

fn same_time(expected: &str, actual: &str, tolerance: &Tolerance) -> bool {
    match (span::parse(expected), span::parse(actual)) {
        (Some(expected), Some(actual)) => tolerance.agree(expected, actual),
        _ => false,
    }
}
