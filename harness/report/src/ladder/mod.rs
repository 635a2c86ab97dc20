//! The packet ladder: one case as text, with calls and packets on the lifelines of
//! its hosts in order of time. `run --ladder` prints it, and reports show it as
//! evidence.

mod rows;

#[cfg(test)]
mod tests;

use halfopen_outcome::record::Outcome;

use super::text;
use halfopen_net::span::human_ns;
pub use halfopen_wire::ladder::far_end;
use halfopen_wire::ladder::{draw, sent};
pub use rows::hosts;
use rows::rows;

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
    let mut text = match fault {
        Some(fault) => format!(
            "times in seconds since the fault (`{}`, {} after the start)\n",
            fault.what,
            human_ns(fault.effective_ns)
        ),
        None => "times in seconds since the start\n".to_owned(),
    };
    text.push_str(&draw(
        &rows,
        &hosts,
        view.width,
        view.most_rows,
        zero,
        "run --ladder",
    ));
    text.push_str(&sent(&outcome.wire.counts));
    text
}
