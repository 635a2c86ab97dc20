//! Tables for snapshots: a scenario's matrix and what each case showed, as aligned
//! text for reviews, and how two of them compare. The tests of the catalogue use
//! them.

mod within;

#[cfg(test)]
mod tests;

use halfopen_outcome::record::{Outcome, Recovery, Status, asked_ns};
use halfopen_outcome::states::states;
use halfopen_scenario::case::SignKind;

use super::finished::by_scenario;
use super::text;
use halfopen_net::span;

pub use within::{same_row_within, same_within};

/// Title of the column of cases with a heal: the time until the first byte.
const HEALED: &str = "healed";
/// Titles of the columns after those of the axes.
const SHOWN: [&str; 5] = ["first sign", "by", "after", "wire", "netstat"];
/// The position of [`HEALED`] among them.
const HEALED_AT: usize = 3;
/// Separates the axes from what the case showed.
const BAR: &str = "|";
/// Separates columns. A single space is part of a cell.
const GAP: &str = "  ";

/// One table for each scenario, in the file's order: its name and its text.
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

/// `table` with the row of `case` inserted or replaced. `order` lists the ids of
/// the scenario's cases; other rows are removed.
pub fn with_row(table: &str, case: &Outcome, order: &[String]) -> String {
    let header = header(Some(case));
    let mut known: Vec<Vec<String>> = lines(table)
        .into_iter()
        .map(|cells| cells.into_iter().map(str::to_owned).collect())
        .collect();
    // With another header the columns have changed, and no row can be kept.
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
        cells.insert(HEALED_AT, healed(recovery));
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
        // The reason may depend on the machine, and a snapshot must not.
        (Status::NotRun(_), _) => return nothing("not run"),
        (Status::Failed(_), _) => return nothing("failed"),
    };
    let by: Vec<&str> = [first.endpoint.as_str(), first.call.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    [
        text::kind(&first.outcome),
        if by.is_empty() { dash() } else { by.join(" ") },
        first.since_fault_ns.map_or_else(dash, rounded),
        wire(case),
        netstat(case),
    ]
}

/// The kinds of packets on the wire from the fault on. Only keepalive probes of a
/// connection that died are counted, because their number follows from the
/// configuration.
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
    // A packet is recorded on every cable it passes, and counted on the first.
    let sent_by_host = |from: &str| case.endpoints.iter().any(|e| e.host == from);
    let probes = after
        .iter()
        .filter(|p| p.kind == "keepalive-probe" && sent_by_host(&p.from));
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

/// A time; below a millisecond it does not repeat from run to run.
fn rounded(ns: i64) -> String {
    if (0..1_000_000).contains(&ns) {
        "0 ms".into()
    } else {
        span::human_ns(ns)
    }
}

/// The time until the first byte after the heal; `never` when none came.
fn healed(recovery: &Recovery) -> String {
    match (recovery.healed_ns, recovery.since_heal_ns) {
        (None, _) => "-".into(),
        (_, None) => "never".into(),
        (_, Some(ns)) => rounded(ns),
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
