//! One strip of the plot.

use std::fmt::Write as _;
use std::time::Duration;

use halfopen_net::span::human_ns;
use halfopen_outcome::baseline::CaseResult;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_report::{kernels, text};
use halfopen_scenario::case::{Sign, SignKind};

use super::Row;
use super::predicted::predicted;
use crate::axis;
use crate::svg::escaped;

/// The height of one kernel's line.
pub(crate) const LINE: f64 = 9.0;
const PADDING: f64 = 4.0;

/// The strip of a case, and its height. Kernels that differ have a line each; those
/// that agree share one.
pub(crate) fn strip(row: &Row<'_>) -> (String, f64) {
    let differ = !kernels::remark(&row.on).is_empty();
    let line = if differ { LINE } else { 0.0 };
    let lines = if differ { row.on.len() as f64 } else { 1.0 };
    let height = (PADDING * 2.0 + LINE * lines).max(22.0);
    let top = (height - LINE * lines) / 2.0;
    let mut out = String::new();
    ticks(&mut out, height);
    for (number, outcome) in row.on.iter().enumerate() {
        let Some(outcome) = outcome else { continue };
        let y = top + line * number as f64 + LINE * 0.5;
        let _ = write!(out, "<g class=\"k{number}\">");
        if let Some(prediction) = &outcome.prediction {
            predicted(&mut out, prediction, y);
        }
        if let Some(book) = &outcome.book {
            said(&mut out, book, y);
        }
        observed(&mut out, outcome, y);
        out.push_str("</g>");
    }
    (out, height)
}

/// The lines of the axis.
pub(crate) fn ticks(out: &mut String, height: f64) {
    for (seconds, _) in axis::TICKS {
        let x = axis::at_seconds(seconds);
        let _ = write!(
            out,
            "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height:.0}\"/>"
        );
    }
}

/// The words of the axis: elements, and their height.
pub(crate) fn axis() -> (String, f64) {
    let mut out = String::new();
    let last = axis::TICKS.len() - 1;
    for (number, (seconds, words)) in axis::TICKS.iter().enumerate() {
        let x = axis::at_seconds(*seconds);
        let (anchor, x) = match number {
            0 => ("start", x),
            n if n == last => ("end", x),
            _ => ("middle", x),
        };
        let _ = write!(
            out,
            "<text class=\"axis\" x=\"{x:.1}\" y=\"11\" text-anchor=\"{anchor}\">{words}</text>"
        );
    }
    let _ = write!(
        out,
        "<text class=\"axis\" x=\"{:.0}\" y=\"11\" text-anchor=\"middle\">unnoticed</text>",
        axis::UNNOTICED
    );
    (out, 15.0)
}

/// The book's value.
fn said(out: &mut String, book: &Sign, y: f64) {
    let title = escaped(&format!("the book: {}", text::sign(book)));
    let x = match (&book.sign, book.after) {
        (SignKind::Unnoticed, _) => axis::UNNOTICED,
        (_, Some((earliest, latest))) => {
            let (from, to) = (axis::at(earliest), axis::at(latest));
            if to - from > 6.0 {
                let _ = write!(
                    out,
                    "<line class=\"b\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
                );
            }
            (from + to) / 2.0
        }
        // A sign without a time has no place on the axis; the table names it.
        (_, None) => return,
    };
    let _ = write!(
        out,
        "<path class=\"b\" d=\"M{:.1} {y:.1}l4.5 -4.5l4.5 4.5l-4.5 4.5z\"><title>{title}</title></path>",
        x - 4.5
    );
}

fn observed(out: &mut String, outcome: &Outcome, y: f64) {
    let (Status::Ran, Some(first)) = (&outcome.status, &outcome.first_sign) else {
        return;
    };
    let class = if outcome.outside.is_some() {
        "o off"
    } else {
        "o"
    };
    let title = escaped(&format!("observed: {}", text::first_sign(first)));
    match first.since_fault_ns {
        Some(ns) if first.outcome != SignKind::Unnoticed => {
            let x = axis::at_ns(ns).max(3.0);
            let _ = write!(
                out,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.8\"><title>{title}, {}</title></circle>",
                human_ns(ns)
            );
        }
        _ => {
            let (x, size) = (axis::UNNOTICED, 2.8);
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{title}</title></rect>",
                x - size,
                y - size,
                size * 2.0,
                size * 2.0
            );
        }
    }
}

/// The earlier and the later result of a case that is compared.
pub(crate) struct Was<'a> {
    pub(crate) then: Option<&'a CaseResult>,
    pub(crate) now: Option<&'a CaseResult>,
}

/// The strip of a comparison: the earlier result hollow, the later one filled.
pub(crate) fn changed(was: &Was<'_>) -> (String, f64) {
    let (height, y) = (20.0, 10.0);
    let mut out = String::new();
    ticks(&mut out, height);
    let place = |result: Option<&CaseResult>| match result? {
        CaseResult::Ran(ran) => match (&ran.sign.sign, ran.sign.after) {
            (SignKind::Unnoticed, _) => Some(axis::UNNOTICED),
            (_, Some((earliest, latest))) => Some(axis::at(middle(earliest, latest)).max(3.0)),
            (_, None) => None,
        },
        _ => None,
    };
    let (then, now) = (place(was.then), place(was.now));
    if let (Some(then), Some(now)) = (then, now) {
        let _ = write!(
            out,
            "<line class=\"move\" x1=\"{then:.1}\" x2=\"{now:.1}\" y1=\"{y}\" y2=\"{y}\"/>"
        );
    }
    if let Some(x) = then {
        let _ = write!(
            out,
            "<circle class=\"was\" cx=\"{x:.1}\" cy=\"{y}\" r=\"4.2\"><title>before</title></circle>"
        );
    }
    if let Some(x) = now {
        let _ = write!(
            out,
            "<circle class=\"o\" cx=\"{x:.1}\" cy=\"{y}\" r=\"3.2\"><title>now</title></circle>"
        );
    }
    (out, height)
}

fn middle(earliest: Duration, latest: Duration) -> Duration {
    earliest + latest.saturating_sub(earliest) / 2
}
