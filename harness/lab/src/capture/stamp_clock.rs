//! Converts the time stamps of captured frames to the clock of everything else.

use halfopen_sys::clock::{monotonic_ns, realtime_ns};

/// Converts time stamps of frames, which are CLOCK_REALTIME, to CLOCK_MONOTONIC.
///
/// Both clocks are one counter with one rate: NTP slews both, and their difference
/// changes only in steps (settimeofday(2), a leap second; `struct timekeeper`,
/// wall_to_monotonic). So one sample of the difference holds until the next step,
/// and its error is the time between two reads of the vDSO: below a microsecond
/// unless the thread was preempted in all tries. For frames that waited while the
/// clock was stepped, two differences are possible; the one that puts a frame between
/// the last sample and this one is used.
#[derive(Debug)]
pub(super) struct StampClock {
    /// REALTIME - MONOTONIC at the last sample.
    difference: i64,
    /// REALTIME - MONOTONIC at the sample before.
    earlier: i64,
    /// MONOTONIC at the last sample and at the one before.
    sampled: i64,
    sampled_before: i64,
}

/// Stamps this much outside the interval still count as within it.
const SLACK_NS: i64 = 1_000_000;

impl StampClock {
    /// With a first sample of the difference.
    pub fn now() -> Self {
        let (difference, sampled) = difference();
        StampClock {
            difference,
            earlier: difference,
            sampled,
            sampled_before: sampled,
        }
    }

    /// Samples the difference again.
    pub fn sample(&mut self) {
        self.earlier = self.difference;
        self.sampled_before = self.sampled;
        (self.difference, self.sampled) = difference();
    }

    /// The stamp as CLOCK_MONOTONIC; without a stamp, the present time.
    pub fn monotonic(&self, stamp: Option<i64>) -> i64 {
        let Some(stamp) = stamp else {
            return monotonic_ns();
        };
        let at = stamp - self.difference;
        // Frames arrive while others are read, so the interval ends later than the last
        // sample; a second is long enough.
        let plausible = self.sampled_before - SLACK_NS..self.sampled + 1_000_000_000;
        if !plausible.contains(&at) {
            let by_earlier = stamp - self.earlier;
            if plausible.contains(&by_earlier) {
                return by_earlier;
            }
        }
        at
    }
}

/// REALTIME - MONOTONIC, and MONOTONIC then: the sample of five that took the least
/// time.
fn difference() -> (i64, i64) {
    let one = || {
        let before = monotonic_ns();
        let real = realtime_ns();
        let after = monotonic_ns();
        (
            after - before,
            real - (before + (after - before) / 2),
            after,
        )
    };
    let mut best = one();
    for _ in 1..5 {
        let (gap, difference, at) = one();
        if gap < best.0 {
            best = (gap, difference, at);
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_converted_to_monotonic() {
        let mut clock = StampClock::now();
        let real = realtime_ns();
        let expected = monotonic_ns();
        clock.sample();
        let got = clock.monotonic(Some(real));
        assert!((expected - got).abs() < 50_000_000, "{expected} {got}");
    }

    #[test]
    fn a_step_of_the_clock_does_not_move_waiting_frames() {
        let hour = 3_600_000_000_000;
        let clock = StampClock {
            difference: 5_000 + hour,
            earlier: 5_000,
            sampled: 2_000_000_000,
            sampled_before: 1_000_000_000,
        };
        // Stamped before the step, then after it.
        assert_eq!(clock.monotonic(Some(1_500_005_000)), 1_500_000_000);
        assert_eq!(clock.monotonic(Some(1_900_005_000 + hour)), 1_900_000_000);
    }
}
