//! The same cases on several kernels, side by side: the table of `run --kernel`
//! with more than one kernel.

use std::collections::HashMap;

use indexmap::IndexSet;

use halfopen_outcome::record::{Outcome, Status, Verdict};
use halfopen_scenario::case::SignKind;

use super::finished::{Finished, verdict};
use super::notes::cases::predicted;
use super::text;
use halfopen_net::span;

/// One row for each case and one column for each kernel; rows in which kernels
/// differ are marked.
pub fn render(runs: &[Finished<'_>]) -> String {
    let mut header = vec!["case".to_owned(), "the book says".to_owned()];
    header.extend(runs.iter().map(|run| short(&run.environment.kernel)));
    header.push(String::new());
    let mut rows = vec![(true, header)];
    let mut scenario = "";
    for cases in side_by_side(runs) {
        let Some(first) = cases.iter().flatten().next() else {
            continue;
        };
        if first.scenario != scenario {
            scenario = &first.scenario;
            rows.push((true, vec![String::new()]));
            let axes: Vec<&str> = first.axes.keys().map(String::as_str).collect();
            let axes = if axes.is_empty() {
                String::new()
            } else {
                format!(": {}", axes.join(", "))
            };
            rows.push((true, vec![format!("{scenario}{axes}")]));
        }
        let axes: Vec<&str> = first.axes.values().map(String::as_str).collect();
        let name = if axes.is_empty() {
            "  -".to_owned()
        } else {
            format!("  {}", axes.join(", "))
        };
        let book = first.book.as_ref().map_or("-".to_owned(), text::sign);
        let mut row = vec![name, book];
        row.extend(cases.iter().map(|case| cell(*case)));
        row.push(remark(&cases).to_owned());
        rows.push((false, row));
    }
    aligned(&rows) + &outside(runs)
}

/// Each case with its outcome in each run, if that has it, in the order of the run with
/// the most cases.
pub fn side_by_side<'a>(runs: &[Finished<'a>]) -> Vec<Vec<Option<&'a Outcome>>> {
    let by_id: Vec<HashMap<&str, &Outcome>> = runs
        .iter()
        .map(|run| run.outcomes.iter().map(|o| (o.id.as_str(), o)).collect())
        .collect();
    let of = |id: &str| by_id.iter().map(|run| run.get(id).copied()).collect();
    ids(runs).into_iter().map(of).collect()
}

/// The cases outside their prediction, kernel by kernel.
fn outside(runs: &[Finished<'_>]) -> String {
    let mut text = String::new();
    for run in runs {
        let known = |case: &&Outcome| verdict(case) == Verdict::Known;
        let cases = run.outcomes.iter().filter(|case| !known(case));
        for case in cases {
            if case.outside.is_none() {
                continue;
            }
            let kernel = short(&run.environment.kernel);
            let observed = text::observed(case);
            text.push_str(&format!(
                "\n{} on {kernel} is outside its prediction\n    observed  {observed}\n",
                case.id
            ));
            predicted(&mut text, case);
        }
    }
    text
}

fn ids<'a>(runs: &[Finished<'a>]) -> IndexSet<&'a str> {
    let mut ids: IndexSet<&str> = IndexSet::new();
    // A run that has all cases has them in the file's order.
    let mut by_length: Vec<&Finished<'a>> = runs.iter().collect();
    by_length.sort_by_key(|run| std::cmp::Reverse(run.outcomes.len()));
    for outcome in by_length.iter().flat_map(|run| run.outcomes) {
        ids.insert(&outcome.id);
    }
    ids
}

/// `6.12.107` of `6.12.107+deb13-cloud-amd64`.
pub fn short(release: &str) -> String {
    let end = release
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(release.len());
    release[..end].to_owned()
}

fn cell(case: Option<&Outcome>) -> String {
    let Some(case) = case else {
        return "no result".into();
    };
    match (&case.status, &case.first_sign) {
        (Status::Ran, Some(first)) => {
            let kind = text::kind(&first.outcome);
            let time = first
                .since_fault_ns
                .map_or(String::new(), |ns| format!(" {}", span::human_ns(ns)));
            let mark = if verdict(case) == Verdict::Differs {
                " (!)"
            } else {
                ""
            };
            let byte = case.recovery.as_ref().and_then(|r| r.since_heal_ns);
            let byte = byte
                .filter(|_| first.outcome == SignKind::Unnoticed)
                .map_or(String::new(), |ns| {
                    format!(", byte {} after heal", span::human_ns(ns))
                });
            format!("{kind}{time}{byte}{mark}")
        }
        (Status::Ran, None) => "no sign".into(),
        (Status::NotRun(_), _) => "not run".into(),
        (Status::Failed(_), _) => "failed".into(),
    }
}

/// The mark of a row in which kernels differ; empty where they agree. Times that differ by less than a
/// tenth count as the same; the JSON has them to the nanosecond.
pub fn remark(cases: &[Option<&Outcome>]) -> &'static str {
    let signs: Vec<_> = cases
        .iter()
        .flatten()
        .filter_map(|case| case.first_sign.as_ref())
        .collect();
    if signs.windows(2).any(|two| two[0].outcome != two[1].outcome) {
        return "<- another sign";
    }
    let times: Vec<i64> = signs.iter().filter_map(|s| s.since_fault_ns).collect();
    let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) else {
        return "";
    };
    // Differences below 10 ms are the harness's own.
    if most - least > (most / 10).max(10_000_000) {
        "<- another time"
    } else {
        ""
    }
}

fn aligned(rows: &[(bool, Vec<String>)]) -> String {
    let columns = rows.iter().map(|(_, row)| row.len()).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter(|(_, row)| row.len() == columns)
            .map(|(_, row)| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (_, row) in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_outcome::testing;

    #[test]
    fn differences_are_marked() {
        let mut other = testing::environment();
        other.kernel = "5.10.0-32-cloud-amd64".into();
        let one = testing::environment();
        let a = [
            testing::crash("none", "ETIMEDOUT", 3_000, Verdict::AsExpected),
            testing::crash("keepalive-2-1-3", "ETIMEDOUT", 3_000, Verdict::AsExpected),
            testing::unnoticed(),
        ];
        let b = [
            testing::crash("none", "EHOSTUNREACH", 3_000, Verdict::Differs),
            testing::crash("keepalive-2-1-3", "ETIMEDOUT", 5_000, Verdict::AsExpected),
        ];
        let run = |environment, outcomes| Finished {
            environment,
            outcomes,
            interrupted: false,
            elapsed: Duration::from_secs(1),
        };
        insta::assert_snapshot!(render(&[run(&one, &a), run(&other, &b)]));
    }

    #[test]
    fn a_case_outside_its_prediction_is_named_with_its_kernel() {
        let environment = testing::environment();
        let mut case = testing::all()
            .into_iter()
            .find(|case| case.prediction.is_some() && case.verdict == Verdict::AsExpected)
            .expect("one is as predicted");
        case.outside = Some("ETIMEDOUT was predicted 2.000 to 2.004 s after the fault".into());
        let outcomes = [case];
        let one = Finished {
            environment: &environment,
            outcomes: &outcomes,
            interrupted: false,
            elapsed: Duration::from_secs(1),
        };
        let text = render(&[one, one]);
        let lines = text.lines().filter(|line| line.contains("is outside"));
        assert_eq!(lines.count(), 2, "{text}");
        for part in [
            "observed  ETIMEDOUT",
            "predicted ",
            "surprise  ETIMEDOUT was predicted",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
