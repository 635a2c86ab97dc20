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
    legend(&mut body, NAMES + 8.0, y);
    y += 22.0;
    let mut scenario = "";
    for row in rows(runs) {
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

fn legend(body: &mut String, x: f64, y: f64) {
    let _ = write!(
        body,
        "<rect class=\"p\" x=\"{x}\" y=\"{}\" width=\"20\" height=\"10\"/>\
         <circle class=\"o\" cx=\"{}\" cy=\"{}\" r=\"3.2\"/>\
         <path class=\"b\" d=\"M{} {}l4.5 -4.5l4.5 4.5l-4.5 4.5z\"/>",
        y + 2.5,
        x + 110.0,
        y + 7.5,
        x + 200.0,
        y + 7.5
    );
    for (dx, words) in [
        (26.0, "predicted"),
        (118.0, "observed"),
        (214.0, "the book's value"),
    ] {
        write_text(body, x + dx, y + 11.0, "sign", "", words);
    }
}
