//! The packet ladder: one case as text, with calls and packets on the lifelines of
//! its hosts in order of time. `run --ladder` prints it, and reports show it as
//! evidence.

mod canvas;
mod rows;

#[cfg(test)]
mod tests;

use halfopen_outcome::record::Outcome;

use super::text;
use canvas::Canvas;
use halfopen_net::span::human_ns;
use rows::rows;
pub use rows::{far_end, hosts};

/// Which part of a case a ladder shows, and its size.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Columns of text.
    pub width: usize,
    /// The most rows; of more, those in the middle are left out.
    pub most_rows: usize,
    /// Whether to leave out what happened well before the fault.
    pub from_fault: bool,
}

/// A whole case.
pub const WHOLE: View = View {
    width: 100,
    most_rows: usize::MAX,
    from_fault: false,
};

/// The evidence for a difference: the fault, what followed it, and the end.
pub const EVIDENCE: View = View {
    width: 96,
    most_rows: 24,
    from_fault: true,
};

/// How much of the time before a fault belongs to the evidence: it covers packets
/// in flight and calls that have just returned.
const BEFORE_FAULT_NS: i64 = 5_000_000;

/// Width of the column of times.
const CLOCK: usize = 13;

/// Draws a case. Times are in seconds since the first fault took effect, or since
/// the start of the case without one.
pub fn render(outcome: &Outcome, view: &View) -> String {
    let fault = text::fault(outcome);
    let zero = fault.map_or(0, |fault| fault.effective_ns);
    let hosts = hosts(outcome);
    let mut rows = rows(outcome, &hosts);
    rows.sort_by_key(|row| row.at_ns);
    if let (true, Some(fault)) = (view.from_fault, fault) {
        let begin = fault.asked_ns - BEFORE_FAULT_NS;
        rows.retain(|row| row.at_ns >= begin || row.until_ns >= begin);
    }
    let canvas = Canvas::new(&hosts, view.width);
    let mut text = match fault {
        Some(fault) => format!(
            "times in seconds since the fault (`{}`, {} after the start)\n",
            fault.what,
            human_ns(fault.effective_ns)
        ),
        None => "times in seconds since the start\n".to_owned(),
    };
    text.push_str(&canvas.names(&hosts));
    let hidden = rows.len().saturating_sub(view.most_rows);
    let head = view.most_rows.div_ceil(2).min(rows.len());
    for (index, row) in rows.iter().enumerate() {
        if hidden > 0 && index == head {
            text.push_str(&format!(
                "{:>CLOCK$}  ({hidden} more rows: run --ladder)\n",
                "..."
            ));
        }
        if hidden > 0 && (head..head + hidden).contains(&index) {
            continue;
        }
        let line = canvas.draw(&row.what);
        let seconds = (row.at_ns - zero) as f64 / 1e9;
        text.push_str(format!("{seconds:>+CLOCK$.6}  {line}").trim_end());
        text.push('\n');
    }
    let counts = text::counts(&outcome.wire.counts);
    if !counts.is_empty() {
        text.push_str(&format!("{:>CLOCK$}  {counts}\n", "sent:"));
    }
    text
}
