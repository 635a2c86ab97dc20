//! The section on what detectors cost while nothing happens.

use std::fmt::Write as _;
use std::time::Duration;

use halfopen_outcome::cost::cost;
use halfopen_outcome::record::Outcome;

use halfopen_net::span::human;

/// One line for each case without a fault; empty when there is none.
pub(super) fn render(outcomes: &[Outcome]) -> String {
    let rows: Vec<[String; 4]> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome, cost(outcome)?)))
        .map(|(outcome, cost)| {
            let window = Duration::from_nanos(cost.window_ns.max(0).unsigned_abs());
            [
                outcome.id.clone(),
                format!("{:.0} packets", cost.packets_per_hour()),
                format!("{:.0} bytes", cost.bytes_per_hour()),
                format!("{} in {}", cost.packets, human(window)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\nWhat a quiet connection costs in an hour (TCP segments as Ethernet frames, both ways)\n\n",
    );
    let width = |i: usize| rows.iter().map(|row| row[i].len()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    for [id, packets, bytes, measured] in &rows {
        let _ = writeln!(
            text,
            "  {id:a$}  {packets:>b$}  {bytes:>c$}   measured: {measured}",
            a = widths[0],
            b = widths[1],
            c = widths[2]
        );
    }
    text
}
