//! What was predicted, in a strip of the plot: bars, and shares where chance decides.

use std::fmt::Write as _;

use halfopen_predict::Prediction;
use halfopen_predict::span::Span;
use halfopen_report::text;
use halfopen_scenario::case::SignKind;

use crate::axis;
use crate::svg::escaped;

/// The height of a bar, and its least width: below it nobody sees it beside a dot.
const BAR: f64 = 10.0;
const LEAST: f64 = 3.0;
/// How wide a character of a share is.
const DIGIT: f64 = 5.0;

/// The predicted signs: a bar for each interval. Those that may come instead are
/// hollow; where chance decides, each has its share of the runs beside it.
pub(super) fn predicted(out: &mut String, p: &Prediction, y: f64) {
    let title = escaped(&format!("predicted: {}", text::prediction(p)));
    let of = |sign: &SignKind, spans: &mut dyn Iterator<Item = Span>| match sign {
        SignKind::Unnoticed => vec![(axis::UNNOTICED - 10.0, axis::UNNOTICED + 10.0)],
        _ => spans.map(bar).collect(),
    };
    let mut labels = Vec::new();
    for other in &p.others {
        let bars = of(&other.sign, &mut other.at.iter().copied());
        bars_of(out, &bars, y, "p else", &title);
        labels.extend(label(&bars, other.share));
    }
    let bars = of(&p.sign, &mut p.intervals());
    bars_of(out, &bars, y, "p", &title);
    labels.extend(label(&bars, p.share));
    shares(out, labels, y);
}

/// From where to where the bar of an interval is.
fn bar(span: Span) -> (f64, f64) {
    let (from, to) = (axis::at(span.earliest), axis::at(span.latest));
    let width = (to - from).max(LEAST);
    let x = ((from + to - width) / 2.0).max(0.0);
    (x, x + width)
}

/// The bars of one sign, linked.
fn bars_of(out: &mut String, bars: &[(f64, f64)], y: f64, class: &str, title: &str) {
    if let [(from, _), .., (_, to)] = bars {
        let _ = write!(
            out,
            "<line class=\"link\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        );
    }
    for (from, to) in bars {
        let (top, width) = (y - BAR / 2.0, to - from);
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR}\"><title>{title}</title></rect>"
        );
    }
}

/// Where a share belongs, behind the last of its bars, and its text.
fn label(bars: &[(f64, f64)], share: Option<f64>) -> Option<(f64, String)> {
    let (_, end) = bars.last()?;
    Some((end + 2.0, text::percent(share?)))
}

/// Writes the shares beside each other: two signs may come at the same time. What has no
/// place before the end of the strip is written before the place of the unnoticed.
fn shares(out: &mut String, mut labels: Vec<(f64, String)>, y: f64) {
    labels.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut free = 0.0;
    for (x, words) in labels {
        let width = DIGIT * words.chars().count() as f64;
        let words = escaped(&words);
        let x = match f64::max(x, free) {
            x if x + width > axis::WHOLE => axis::UNNOTICED - 12.0 - width,
            x => x,
        };
        free = x + width + 3.0;
        let _ = write!(
            out,
            "<text class=\"l share\" x=\"{x:.1}\" y=\"{:.1}\">{words}</text>",
            y + 3.0
        );
    }
}
