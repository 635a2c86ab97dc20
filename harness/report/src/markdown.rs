//! Runs as Markdown, for the comment of a pull request: what needs attention is on
//! top, and the rest is folded.

use std::fmt::Write as _;

use halfopen_outcome::record::Outcome;

use super::finished::{Finished, needs_a_look, verdict};
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
        let (bad, rest): (Vec<&Outcome>, Vec<&Outcome>) =
            run.outcomes.iter().partition(|case| needs_a_look(case));
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
            (Some(prediction), _) => text::prediction(prediction),
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

/// A table. Characters with a meaning in Markdown are escaped.
pub(crate) fn table(text: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(text, "| {} |", header.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(header.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

pub(crate) fn escaped(cell: &str) -> String {
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
