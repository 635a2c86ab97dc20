//! Heights: items in order of time get rows, silence gets room by its logarithm.

use super::items::{Item, What};

/// Between two texts one above the other.
pub(super) const ROW: f64 = 21.0;

/// At least between two items at different times, so that their order shows.
const STEP: f64 = 7.0;

/// Silence of at least this is named.
const NAMED_NS: i64 = 1_000_000_000;

/// A ladder whose items have heights.
pub(super) struct Placed {
    pub(super) items: Vec<(f64, Item)>,
    /// Silence: from, to, how long.
    pub(super) breaks: Vec<(f64, f64, i64)>,
    pub(super) height: f64,
}

/// Gives each item its height. Items of different columns may share a row.
pub(super) fn place(items: Vec<Item>, hosts: usize) -> Placed {
    // Columns from the left: the texts of the first host, its lifeline, the cable
    // to the next, and so on.
    let mut free = vec![0.0_f64; 2 * hosts + 2];
    let mut placed: Vec<(f64, Item)> = Vec::with_capacity(items.len());
    let mut breaks = Vec::new();
    let (mut y, mut before) = (0.0_f64, None);
    for item in items {
        let gap = item.at_ns - before.unwrap_or(item.at_ns);
        let room = silence(gap);
        let from = y;
        if gap > 0 {
            y += STEP;
        }
        if room > 0.0 {
            // Below everything, so that the break crosses no text.
            y = y.max(free.iter().copied().fold(0.0, f64::max)) + room;
        }
        let columns = columns(&item.what, hosts);
        for column in columns.clone() {
            y = y.max(free[column]);
        }
        if gap >= NAMED_NS {
            breaks.push((from + ROW * 0.6, y - ROW * 0.6, gap));
        }
        for column in columns {
            free[column] = y + height(&item.what);
        }
        before = Some(item.at_ns);
        placed.push((y, item));
    }
    Placed {
        items: placed,
        breaks,
        height: y + ROW * 1.5,
    }
}

/// Room for a time without anything: none below 2 ms, and 12 more for each tenfold.
fn silence(gap_ns: i64) -> f64 {
    let ms = gap_ns as f64 / 1e6;
    match ms {
        ms if ms < 2.0 => 0.0,
        ms => 8.0 + 12.0 * (ms / 2.0).log10(),
    }
}

fn height(what: &What) -> f64 {
    match what {
        What::Fault { .. } => ROW + 5.0,
        What::Arrival { .. } => 4.0,
        _ => ROW,
    }
}

fn columns(what: &What, hosts: usize) -> std::ops::Range<usize> {
    let side = |host: usize| match host {
        0 => 0..1,
        host => 2 * host + 2..2 * host + 3,
    };
    match what {
        What::Packet { from, to, .. } => {
            let (low, high) = (from.min(to), from.max(to));
            2 * low + 2..2 * high + 1
        }
        What::Arrival { .. } => 0..0,
        What::Text { host, .. } | What::Began { host, .. } | What::Returned { host, .. } => {
            let side = side(*host);
            // The last host's texts lie outside of all cables.
            side.start.min(2 * hosts + 1)..side.end.min(2 * hosts + 2)
        }
        What::Fault { .. } | What::States { .. } | What::LeftOut(_) => 0..2 * hosts + 2,
    }
}
