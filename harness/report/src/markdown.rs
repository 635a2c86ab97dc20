//! Reports for a pull request's comment. What needs a look is on top; the rest
//! is folded.

use std::fmt::Write as _;

use halfopen_outcome::compare::{Compared, What};
use halfopen_outcome::comparison::Comparison;
use halfopen_outcome::record::{Outcome, Verdict};

use super::compared::{showed, title, totals};
use super::compared_json::Ignored;
use super::finished::{Finished, verdict};
use super::{notes, text};

/// Runs, each with its totals and tables.
pub fn runs(runs: &[Finished<'_>]) -> String {
    let mut text = String::new();
    for run in runs {
        let environment = run.environment;
        let _ = writeln!(
            text,
            "### halfopen on {} ({} time)\n\n{}\n",
            environment.kernel,
            environment.time,
            notes::totals(run)
        );
        let look = |case: &&Outcome| {
            let fine = matches!(verdict(case), Verdict::AsExpected | Verdict::Observed);
            !fine && verdict(case) != Verdict::NotRun || case.outside.is_some()
        };
        let (bad, rest): (Vec<&Outcome>, Vec<&Outcome>) = run.outcomes.iter().partition(look);
        if !bad.is_empty() {
            cases(&mut text, &bad);
        }
        if !rest.is_empty() {
            let n = text::counted(rest.len(), "other case", "other cases");
            let _ = writeln!(text, "<details><summary>{n}</summary>\n");
            cases(&mut text, &rest);
            text.push_str("</details>\n\n");
        }
    }
    text
}

fn cases(text: &mut String, outcomes: &[&Outcome]) {
    let rows = outcomes.iter().map(|case| {
        let predicted = match (&case.prediction, &case.unpredictable) {
            (Some(told), _) => text::prediction(told),
            (None, Some(_)) => "?".to_owned(),
            (None, None) => "-".to_owned(),
        };
        vec![
            format!("`{}`", case.id),
            case.expect.as_ref().map_or("-".to_owned(), text::sign),
            text::observed(case),
            predicted,
            text::verdict(verdict(case)).to_owned(),
        ]
    });
    table(
        text,
        &["case", "expected", "observed", "predicted", "verdict"],
        rows,
    );
}

/// Comparisons.
pub fn comparisons(comparisons: &[Comparison]) -> String {
    let mut text = String::new();
    for comparison in comparisons {
        let _ = writeln!(
            text,
            "### halfopen, {}\n\n{}\n",
            title(comparison),
            totals(&comparison.totals())
        );
        if !comparison.environment.is_empty() {
            let rows = comparison.environment.iter();
            table(
                &mut text,
                &["environment", "before", "now"],
                rows.map(|d| vec![d.what.clone(), d.old.clone(), d.new.clone()]),
            );
        }
        let of = |what: What| comparison.cases.iter().filter(move |c| c.what == what);
        let changes: Vec<&Compared> = of(What::Changed).chain(of(What::Known)).collect();
        if !changes.is_empty() {
            let header = ["case", "", "before", "now", "why"];
            table(&mut text, &header, changes.into_iter().map(change));
        }
        let others: Vec<&Compared> = of(What::New).chain(of(What::Gone)).collect();
        if !others.is_empty() {
            let header = ["case", "", "before", "now"];
            table(&mut text, &header, others.into_iter().map(other));
        }
        let mended: Vec<&Compared> = comparison.cases.iter().filter(|c| c.is_mended()).collect();
        if !mended.is_empty() {
            text.push_str("No longer differs: remove `known` from the baseline.\n\n");
            for case in mended {
                let _ = writeln!(text, "- `{}`", case.id);
            }
            text.push('\n');
        }
        let not_run: Vec<&Compared> = of(What::NotRun).collect();
        if !not_run.is_empty() {
            let n = text::counted(not_run.len(), "case", "cases");
            let _ = writeln!(text, "<details><summary>{n} not run</summary>\n");
            for case in not_run {
                let _ = writeln!(text, "- `{}`", case.id);
            }
            text.push_str("\n</details>\n\n");
        }
    }
    text
}

/// Sysctls that take no part, folded; nothing without any.
pub fn ignored(all: &[Ignored]) -> String {
    let mut text = String::new();
    if all.is_empty() {
        return text;
    }
    let n = text::counted(all.len(), "sysctl", "sysctls");
    let _ = writeln!(text, "<details><summary>{n} ignored</summary>\n");
    let rows = all.iter();
    table(
        &mut text,
        &["sysctl", "why"],
        rows.map(|i| vec![format!("`{}`", i.key), i.why.clone()]),
    );
    text.push_str("</details>\n");
    text
}

/// What differs of a case is in one cell; packets by kind as they are counted.
fn change(case: &Compared) -> Vec<String> {
    let side = |pick: fn(&halfopen_outcome::compare::Difference) -> &String| {
        let parts: Vec<String> = case
            .differences
            .iter()
            .map(|d| format!("{} {}", d.what, pick(d)))
            .collect();
        parts.join("; ")
    };
    let known = case.known.as_ref().filter(|_| case.what == What::Known);
    let why = known.map(text::known).or_else(|| case.cause.clone());
    vec![
        format!("`{}`", case.id),
        if known.is_some() { "known" } else { "changed" }.to_owned(),
        side(|d| &d.old),
        side(|d| &d.new),
        why.unwrap_or_default(),
    ]
}

fn other(case: &Compared) -> Vec<String> {
    let side = |entry: &Option<halfopen_outcome::baseline::Entry>| {
        entry.as_ref().map_or("-".to_owned(), |e| showed(&e.showed))
    };
    vec![
        format!("`{}`", case.id),
        if case.what == What::New {
            "new"
        } else {
            "gone"
        }
        .to_owned(),
        side(&case.old),
        side(&case.new),
    ]
}

/// A table; what Markdown would take for its own is escaped.
pub(super) fn table(text: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(text, "| {} |", header.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(header.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

fn escaped(cell: &str) -> String {
    let code = cell.starts_with('`');
    let mut text = String::new();
    for c in cell.chars() {
        match c {
            '|' => text.push_str("\\|"),
            '\n' | '\r' => text.push(' '),
            '<' if !code => text.push_str("&lt;"),
            '>' if !code => text.push_str("&gt;"),
            '*' | '_' if !code => {
                text.push('\\');
                text.push(c);
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use halfopen_outcome::testing;

    #[test]
    fn a_run_for_a_pull_request() {
        let (environment, outcomes) = (testing::environment(), testing::all());
        let run = Finished {
            environment: &environment,
            outcomes: &outcomes,
            interrupted: false,
            elapsed: Duration::from_secs(31),
        };
        insta::assert_snapshot!(runs(&[run]));
    }

    #[test]
    fn cells_stay_cells() {
        assert_eq!(escaped("a|b\nc <d> e_f"), "a\\|b c &lt;d&gt; e\\_f");
        assert_eq!(escaped("`a_b`"), "`a_b`");
    }
}
