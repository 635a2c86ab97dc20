//! The packet ladder as SVG: one case, its hosts as lifelines, packets as arrows,
//! calls as boxes, faults as bands, the sockets' states and what programs wrote
//! beside the lifelines. Time runs down; silence is compressed, and named where it
//! lasts.
//!
//! `items` lists what is drawn, `layout` gives each its height, `draw` draws it.

mod draw;
mod items;
mod layout;
#[cfg(test)]
mod tests;

use halfopen_net::span::human_ns;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_report::{ladder, text};

use crate::svg::Drawing;

/// The ladder of a case as an SVG file, or None when there is nothing to draw: it
/// did not run.
pub fn file(outcome: &Outcome) -> Option<String> {
    drawing(outcome).map(|drawing| drawing.file())
}

/// The same as an element of the page.
pub(crate) fn inline(outcome: &Outcome) -> Option<String> {
    drawing(outcome).map(|drawing| drawing.inline("ladder"))
}

fn drawing(outcome: &Outcome) -> Option<Drawing> {
    if outcome.status != Status::Ran {
        return None;
    }
    let hosts = ladder::hosts(outcome);
    let items = items::of(outcome, &hosts);
    if hosts.is_empty() || items.is_empty() {
        return None;
    }
    let zero = text::fault(outcome).map_or(0, |fault| fault.effective_ns);
    let placed = layout::place(items, hosts.len());
    let title = format!("Packets and calls of {}", outcome.id);
    Some(draw::draw(&hosts, &placed, zero, title))
}

/// A row of the ladder as text.
pub(crate) struct Row {
    /// Since the fault.
    pub(crate) time: String,
    /// The host, or from where to where.
    pub(crate) place: String,
    pub(crate) what: String,
}

/// The rows of a ladder, in order of time.
pub(crate) fn rows(outcome: &Outcome) -> Vec<Row> {
    use items::What;
    let hosts = ladder::hosts(outcome);
    let zero = text::fault(outcome).map_or(0, |fault| fault.effective_ns);
    let mut rows = Vec::new();
    for item in items::of(outcome, &hosts) {
        let time = human_ns(item.at_ns - zero);
        let mut push = |place: &str, what: String| {
            rows.push(Row {
                time: time.clone(),
                place: place.to_owned(),
                what,
            });
        };
        match item.what {
            What::Packet {
                from, to, label, ..
            } => push(&format!("{} to {}", hosts[from], hosts[to]), label),
            What::Arrival { .. } => {}
            What::Text { host, label, .. }
            | What::Began { host, label, .. }
            | What::Returned { host, label, .. } => push(&hosts[host], label),
            What::Fault { label, .. } => push("event", label),
            What::States {
                moment,
                hosts: states,
            } => {
                for (host, states) in states {
                    push(&hosts[host], format!("sockets {moment}: {states}"));
                }
            }
            What::LeftOut(n) => push("", format!("{n} more events are left out")),
        }
    }
    rows
}
