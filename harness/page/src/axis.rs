//! The logarithmic time axis: from a millisecond to three hours, and behind its end
//! the place of what nobody noticed.

use std::time::Duration;

/// Its ends. What is shorter or longer is drawn at them.
const FIRST: f64 = 1e-3;
const LAST: f64 = 10_800.0;

/// How wide the axis is, and the whole with the place of the unnoticed.
pub(crate) const WIDTH: f64 = 520.0;
pub(crate) const WHOLE: f64 = WIDTH + 64.0;

/// Where unnoticed faults are marked.
pub(crate) const UNNOTICED: f64 = WIDTH + 36.0;

/// The marked times.
pub(crate) const TICKS: [(f64, &str); 9] = [
    (1e-3, "1 ms"),
    (1e-2, "10 ms"),
    (0.1, "100 ms"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 m"),
    (600.0, "10 m"),
    (3_600.0, "1 h"),
    (10_800.0, "3 h"),
];

/// The position of a time in seconds.
pub(crate) fn at_seconds(seconds: f64) -> f64 {
    share(seconds) * WIDTH
}

/// The position of a time.
pub(crate) fn at(time: Duration) -> f64 {
    at_seconds(time.as_secs_f64())
}

/// The position of a measured time, in nanoseconds. One before the fault is drawn
/// at the beginning.
pub(crate) fn at_ns(ns: i64) -> f64 {
    at(Duration::from_nanos(ns.max(0).unsigned_abs()))
}

/// Which share of the axis lies before a time, 0 to 1.
pub(crate) fn share(seconds: f64) -> f64 {
    (seconds.clamp(FIRST, LAST) / FIRST).ln() / (LAST / FIRST).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_hold_everything() {
        assert_eq!(at(Duration::ZERO), 0.0);
        assert_eq!(at_ns(-5), 0.0);
        assert_eq!(at(Duration::from_secs(3 * 3600)), WIDTH);
        assert_eq!(at(Duration::from_secs(30 * 3600)), WIDTH);
    }

    #[test]
    fn a_decade_is_as_wide_as_another() {
        let decade = |from: f64| at_seconds(from * 10.0) - at_seconds(from);
        assert!((decade(0.01) - decade(100.0)).abs() < 1e-9);
    }
}
