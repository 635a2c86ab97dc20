//! Tables for snapshots: a scenario's matrix and what each case showed, as
//! aligned text that reads well in a review, and how two of them compare.

use halfopen_outcome::first_sign::asked_ns;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_outcome::states::states;
use halfopen_outcome::tolerance::Tolerance;
use halfopen_scenario::case::SignKind;

use super::finished::by_scenario;
use super::{recovery, text};
use halfopen_net::span;

/// Titles of the columns whose cells are measured times.
const TIMES: [&str; 2] = ["after", HEALED];
/// Title of the column that cases with a heal have: until the first byte.
const HEALED: &str = "healed";
/// Titles of the columns after those of the axes.
const SHOWN: [&str; 5] = ["first sign", "by", "after", "wire", "netstat"];
/// Where it stands among them.
const HEALED_AT: usize = 3;
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
    let mut rows = vec![header(cases.first().copied())];
    rows.extend(cases.iter().map(|case| row(case)));
    aligned(&rows)
}

/// `table` with the row of `case` put in, or put in its place. `order` lists
/// the ids of the scenario's cases; rows of others are left out.
pub fn with_row(table: &str, case: &Outcome, order: &[String]) -> String {
    let header = header(Some(case));
    let mut known: Vec<Vec<String>> = lines(table)
        .into_iter()
        .map(|cells| cells.into_iter().map(str::to_owned).collect())
        .collect();
    // Another header: the columns have changed, nothing can be kept.
    if known.first() != Some(&header) {
        known.clear();
    }
    let mut rows = vec![header];
    for id in order {
        let point = point_of(id);
        if *id == case.id {
            rows.push(row(case));
        } else if let Some(kept) = known.iter().skip(1).find(|r| r.starts_with(&point)) {
            rows.push(kept.clone());
        }
    }
    aligned(&rows)
}

/// Whether two tables say the same of one case, but for times within the
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

/// The first cells of a case's row, by its id (`scenario/axis=value,axis=value`).
fn point_of(id: &str) -> Vec<String> {
    let Some((_, axes)) = id.split_once('/') else {
        return vec![];
    };
    axes.split(',')
        .filter_map(|axis| axis.split_once('='))
        .map(|(_, value)| value.to_owned())
        .chain([BAR.to_owned()])
        .collect()
}

fn header(case: Option<&Outcome>) -> Vec<String> {
    let axes: Vec<String> = case.map_or(vec![], |case| case.axes.keys().cloned().collect());
    let bar = (!axes.is_empty()).then(|| BAR.to_owned());
    let mut shown = SHOWN.map(str::to_owned).to_vec();
    if case.is_some_and(|case| case.recovery.is_some()) {
        shown.insert(HEALED_AT, HEALED.to_owned());
    }
    axes.into_iter().chain(bar).chain(shown).collect()
}

fn row(case: &Outcome) -> Vec<String> {
    let bar = (!case.axes.is_empty()).then(|| BAR.to_owned());
    let mut cells = shown(case).to_vec();
    if let Some(recovery) = &case.recovery {
        cells.insert(HEALED_AT, recovery::cell(recovery, rounded));
    }
    case.axes
        .values()
        .cloned()
        .chain(bar)
        .chain(cells)
        .collect()
}

fn shown(case: &Outcome) -> [String; 5] {
    let dash = || "-".to_owned();
    let nothing = |why: &str| [why.to_owned(), dash(), dash(), dash(), dash()];
    let first = match (&case.status, &case.first_sign) {
        (Status::Ran, Some(first)) => first,
        (Status::Ran, None) => return nothing("no sign"),
        // The reason may name this machine; a snapshot must not.
        (Status::NotRun(_), _) => return nothing("not run"),
        (Status::Failed(_), _) => return nothing("failed"),
    };
    let by: Vec<&str> = [first.endpoint.as_str(), first.call.as_str()]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    [
        text::kind(&first.outcome),
        if by.is_empty() { dash() } else { by.join(" ") },
        first.since_fault_ns.map_or_else(dash, rounded),
        wire(case),
        netstat(case),
    ]
}

/// What was on the wire from the fault on, by kind. Counts only where they
/// follow from the configuration: keepalive probes of a connection that died.
fn wire(case: &Outcome) -> String {
    let from = asked_ns(&case.faults);
    let died = case
        .first_sign
        .as_ref()
        .is_some_and(|s| s.outcome != SignKind::Unnoticed);
    let after: Vec<_> = case
        .wire
        .packets
        .iter()
        .filter(|p| p.sent_ns >= from)
        .collect();
    let mut kinds = Vec::new();
    // A packet shows up on every cable it passes; it counts where it was made.
    let made_here = |from: &str| case.endpoints.iter().any(|e| e.host == from);
    let probes = after
        .iter()
        .filter(|p| p.kind == "keepalive-probe" && made_here(&p.from));
    match (probes.count(), died) {
        (0, _) => {}
        (1, true) => kinds.push("1 probe".to_owned()),
        (n, true) => kinds.push(format!("{n} probes")),
        (_, false) => kinds.push("probes".to_owned()),
    }
    if after.iter().any(|p| p.retransmission) {
        kinds.push("again".into());
    }
    for (letter, name) in [('S', "SYN"), ('F', "FIN"), ('R', "RST")] {
        if after.iter().any(|p| p.flags.contains(letter)) {
            kinds.push(name.into());
        }
    }
    let mut icmp: Vec<&str> = after
        .iter()
        .filter_map(|p| p.kind.strip_prefix("icmp "))
        .collect();
    icmp.sort_unstable();
    icmp.dedup();
    kinds.extend(icmp.into_iter().map(str::to_owned));
    if kinds.is_empty() {
        "-".into()
    } else {
        kinds.join(" ")
    }
}

fn netstat(case: &Outcome) -> String {
    let states = states(case);
    if states.is_empty() {
        "-".into()
    } else {
        states.join(", ")
    }
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
    use halfopen_outcome::record::Verdict;
    use halfopen_outcome::testing;
    use halfopen_outcome::tolerance::{REAL_TIME, VIRTUAL_TIME};

    fn one(errno: &str, ms: i64) -> String {
        table(&[&testing::crash("none", errno, ms, Verdict::AsExpected)])
    }

    #[test]
    fn one_table_a_scenario() {
        let text: Vec<_> = tables(&testing::all())
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
        let (a, b) = (testing::unnoticed(), testing::unnoticed());
        assert!(!same_within(&table(&[&a]), &table(&[&a, &b]), &REAL_TIME));
        assert!(!same_within(&table(&[&a, &b]), &table(&[&a]), &REAL_TIME));
        assert!(!same_within("", &table(&[&a]), &REAL_TIME));
        assert!(same_within("", "", &REAL_TIME));
    }

    #[test]
    fn a_row_is_put_in_its_place_and_compared_alone() {
        let case =
            |detector: &str, ms| testing::crash(detector, "ETIMEDOUT", ms, Verdict::AsExpected);
        let (a, b) = (case("none", 3_000), case("user-timeout-3s", 5_000));
        let order = [a.id.clone(), b.id.clone()];
        let only_b = with_row("", &b, &order);
        let both = with_row(&only_b, &a, &order);
        assert_eq!(both, table(&[&a, &b]));
        let later = with_row(&both, &case("none", 6_000), &order);
        assert!(same_row_within(&both, &later, &b.id, &REAL_TIME));
        assert!(!same_row_within(&both, &later, &a.id, &REAL_TIME));
        assert!(!same_row_within(&only_b, &both, &a.id, &REAL_TIME));
    }

    #[test]
    fn text_without_the_column_has_no_tolerance() {
        assert!(!same_within("took  3 s\n", "took  3.1 s\n", &REAL_TIME));
    }
}
