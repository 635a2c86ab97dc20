//! The whole plot as one SVG file.

use std::fmt::Write as _;

use halfopen_report::finished::Finished;
use halfopen_report::{kernels, text};

use super::{Row, axis, rows, strip};
use crate::axis::WHOLE;
use crate::svg::{Drawing, shortened, text as write_text};

/// The column of names, and that of signs.
const NAMES: f64 = 330.0;
const SIGNS: f64 = 290.0;
const GROUP: f64 = 26.0;

/// Predictions and observations of a run on one kernel or several, grouped by
/// scenario.
pub fn file(runs: &[Finished<'_>]) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    let kernels: Vec<String> = runs
        .iter()
        .map(|run| kernels::short(&run.environment.kernel))
        .collect();
    let caption = match kernels.as_slice() {
        [] => String::new(),
        [one] => format!("Linux {one}"),
        several => format!(
            "Linux {}, from top to bottom where they differ",
            several.join(", ")
        ),
    };
    write_text(&mut body, 8.0, y + 11.0, "sign", "", &caption);
    let rows = rows(runs);
    legend(&mut body, NAMES + 8.0, y, &rows);
    y += 22.0;
    let mut scenario = "";
    for row in rows {
        let first = row.first();
        if first.scenario != scenario {
            scenario = &first.scenario;
            y += 8.0;
            write_text(&mut body, 8.0, y + 12.0, "group", "", scenario);
            let (words, _) = axis();
            let _ = write!(body, "<g transform=\"translate({NAMES} {y})\">{words}</g>");
            y += GROUP - 8.0;
        }
        y += one(&mut body, &row, y);
    }
    Drawing {
        width: NAMES + WHOLE + SIGNS,
        height: y + 8.0,
        body,
        title: "Predicted and observed first signs".into(),
    }
    .file()
}

/// A row; its height.
fn one(body: &mut String, row: &Row<'_>, y: f64) -> f64 {
    let (marks, height) = strip(row);
    let first = row.first();
    let axes: Vec<String> = first.axes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let name = match axes.is_empty() {
        true => "-".to_owned(),
        false => axes.join(", "),
    };
    let middle = y + height / 2.0 + 4.0;
    write_text(body, 20.0, middle, "", "", &shortened(&name, 48));
    let _ = write!(
        body,
        "<g transform=\"translate({NAMES} {y:.0})\">{marks}</g>"
    );
    let words = shortened(&text::observed(first), 44);
    write_text(body, NAMES + WHOLE + 8.0, middle, "sign", "", &words);
    height
}

/// What the marks mean, from `x` on; those that only some runs have when they are there.
fn legend(body: &mut String, mut x: f64, y: f64, rows: &[Row<'_>]) {
    let bar = |class: &str| {
        format!("<rect class=\"{class}\" x=\"0\" y=\"2.5\" width=\"20\" height=\"10\"/>")
    };
    let mut entries = vec![(bar("p"), "predicted")];
    if super::have_others(rows) {
        entries.push((bar("p else"), "or another sign"));
    }
    if super::have_shares(rows) {
        let share = "<text class=\"share\" x=\"0\" y=\"11\">93 %</text>";
        entries.push((share.into(), "of simulated runs"));
    }
    let dot = "<circle class=\"o\" cx=\"10\" cy=\"7.5\" r=\"3.2\"/>";
    let diamond = "<path class=\"b\" d=\"M5 7.5l4.5 -4.5l4.5 4.5l-4.5 4.5z\"/>";
    entries.push((dot.into(), "observed"));
    entries.push((diamond.into(), "the book's value"));
    for (mark, words) in entries {
        let _ = write!(body, "<g transform=\"translate({x:.0} {y:.0})\">{mark}</g>");
        write_text(body, x + 26.0, y + 11.0, "sign", "", words);
        x += 26.0 + 7.0 * words.len() as f64 + 16.0;
    }
}
