//! A grid as one SVG file.

use std::fmt::Write as _;

use halfopen_net::span::human;
use halfopen_report::grid::Grid;
use halfopen_report::grid_plan::Cell;
use halfopen_report::kernels;

use super::Look;
use crate::svg::{Drawing, shortened, text};

const NAMES: f64 = 250.0;
const CELL: f64 = 146.0;
const ROW: f64 = 24.0;
const TURNED: f64 = 120.0;

/// The grid of one kernel, a map for each state.
pub fn file(grid: &Grid<'_>) -> String {
    let plan = grid.plan;
    let mut body = String::from(
        "<defs><pattern id=\"hatch\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"7\"/>\
         </pattern></defs>",
    );
    // Many detectors: narrow columns with turned names.
    let narrow = plan.detectors.len() > 6;
    let (cell, head) = if narrow {
        (CELL * 0.6, TURNED)
    } else {
        (CELL, ROW * 2.0)
    };
    let mut y = 10.0;
    for (state, about) in plan.states.iter().enumerate() {
        text(&mut body, 8.0, y + 12.0, "group", "", about.about());
        y += 20.0;
        for (number, detector) in plan.detectors.iter().enumerate() {
            let x = NAMES + cell * (number as f64 + 0.5);
            if narrow {
                let turned = format!(" transform=\"rotate(-32 {x:.0} {:.0})\"", y + head - 8.0);
                text(&mut body, x, y + head - 8.0, "", &turned, &detector.name);
            } else {
                heading(&mut body, x, y + head, &detector.name);
            }
        }
        y += head;
        for (fault, row) in plan.faults.iter().enumerate() {
            text(&mut body, 8.0, y + 16.0, "", "", &shortened(row.title, 40));
            for detector in 0..plan.detectors.len() {
                let content = grid.content(Cell {
                    state,
                    fault,
                    detector,
                });
                let at = (NAMES + cell * detector as f64, y, cell);
                let words = if narrow {
                    content.short()
                } else {
                    content.full()
                };
                one(&mut body, at, Look::of(&content), &words);
            }
            y += ROW;
        }
        y += 16.0;
    }
    let caption = format!(
        "Linux {}, {} time. Hatched: nothing within {} of the fault. In parentheses: not measured, by the rules.",
        kernels::short(&grid.environment.kernel),
        grid.environment.time,
        human(plan.limit)
    );
    text(&mut body, 8.0, y + 6.0, "axis", "", &caption);
    Drawing {
        width: (NAMES + cell * plan.detectors.len() as f64 + if narrow { 90.0 } else { 10.0 })
            .max(720.0),
        height: y + 18.0,
        body,
        title: "Who notices what, after how long".into(),
    }
    .file()
}

/// A detector's name above its column, in two lines if it is long.
fn heading(body: &mut String, x: f64, bottom: f64, name: &str) {
    let split = match name.len() > 16 {
        true => name[..16].rfind('-').map_or(name.len(), |at| at + 1),
        false => name.len(),
    };
    let (first, rest) = name.split_at(split);
    let middle = " text-anchor=\"middle\"";
    let lines: &[&str] = if rest.is_empty() {
        &[first]
    } else {
        &[first, rest]
    };
    for (number, line) in lines.iter().rev().enumerate() {
        let y = bottom - 8.0 - 13.0 * number as f64;
        text(body, x, y, "", middle, line);
    }
}

fn one(body: &mut String, (x, y, width): (f64, f64, f64), look: Look, words: &str) {
    let place = format!("x=\"{x:.0}\" y=\"{y:.0}\" width=\"{width:.0}\" height=\"{ROW:.0}\"");
    let middle = " text-anchor=\"middle\"";
    let mut class = "";
    match look {
        Look::Noticed(share) | Look::Later(share) => {
            let _ = write!(
                body,
                "<rect class=\"cell\" {place} style=\"{}\"/>",
                fill(share)
            );
            class = if share > HOT { "on-hot" } else { "" };
        }
        Look::Unnoticed => {
            let _ = write!(
                body,
                "<rect class=\"paper\" {place}/><rect fill=\"url(#hatch)\" {place}/><rect class=\"none\" fill=\"none\" {place}/>"
            );
            class = "l name";
        }
        Look::Nothing => {
            let _ = write!(body, "<rect class=\"box\" {place}/>");
        }
    }
    text(body, x + width / 2.0, y + 16.0, class, middle, words);
}

/// From which share on a cell is so dark that its text is light.
pub(crate) const HOT: f64 = 0.8;

/// The colour of a share of the axis.
pub(crate) fn fill(share: f64) -> String {
    format!(
        "fill:color-mix(in srgb,var(--hot) {:.0}%,var(--cold))",
        share * 100.0
    )
}
