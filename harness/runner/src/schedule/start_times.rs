//! When cases start in virtual time: each at a phase of the timer wheel that
//! follows from its id, whatever else runs beside it and however long building
//! took.
//!
//! A timer fires with its bucket, so the position of the wheel when it is armed
//! decides up to a granule of its time (kernel/time/timer.c). If cases started as
//! soon as they are built, each additional instruction in this program, and each
//! additional case in the run, would change the times of all cases that follow.

use std::collections::BTreeMap;

use crate::{machine, timer_wheel};
use halfopen_outcome::environment::WheelAt;
use halfopen_scenario::case::Case;
use halfopen_sys::clock::monotonic_ns;

/// The shortest distance of two start times. The distance is a power of eight of
/// ticks, so that all buckets up to that width begin where a case does.
const MIN_DISTANCE_NS: i64 = 2_000_000_000;
/// Start times in a lap, which is a bucket two levels up (LVL_CLK_SHIFT, timer.c).
const TIMES_IN_LAP: i64 = 64;
/// How long before its start time a case is built. Building takes some hundredth
/// of it.
const BUILD_TIME_NS: i64 = 1_000_000_000;

/// The times at which cases may start, CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTimes {
    /// The start time with number 0 of some lap.
    zero_ns: i64,
    distance_ns: i64,
    /// When the run started.
    start_ns: i64,
}

/// Which start time is a case's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartPosition {
    /// How many cases with the same number start before it, one a lap.
    pub lap: i64,
    /// The number of the start time in each lap.
    pub number: i64,
}

impl StartTimes {
    /// The start times from now on; None when the position of this machine's timer
    /// wheel cannot be read.
    pub fn of_this_machine() -> Option<Self> {
        let hz = machine::hz()?;
        Some(StartTimes::new(timer_wheel::read(hz)?, hz, monotonic_ns()))
    }

    /// The start times of a wheel with `hz` ticks a second, from `start_ns` on.
    fn new(wheel: WheelAt, hz: u32, start_ns: i64) -> Self {
        let tick_ns = 1_000_000_000 / i64::from(hz.max(1));
        let mut ticks = 1;
        while ticks * tick_ns < MIN_DISTANCE_NS {
            ticks *= 8;
        }
        let into_lap = i128::from(wheel.jiffies) % i128::from(ticks * TIMES_IN_LAP);
        let into_lap_ns = i64::try_from(into_lap).unwrap_or(0) * tick_ns;
        let tick_at_ns = i64::try_from(wheel.tick_ns).unwrap_or(0);
        StartTimes {
            // A quarter of a tick later, so that what follows at once is armed
            // before the next tick.
            zero_ns: tick_at_ns - into_lap_ns + tick_ns / 4,
            distance_ns: ticks * tick_ns,
            start_ns,
        }
    }

    /// The next start time for a position that leaves time to build.
    pub fn next(&self, position: StartPosition, now_ns: i64) -> i64 {
        let lap_ns = self.distance_ns * TIMES_IN_LAP;
        let of_number = self.zero_ns + position.number * self.distance_ns;
        let not_before = |at: i64| at + (of_number - at).rem_euclid(lap_ns);
        let first = not_before(self.start_ns + BUILD_TIME_NS) + position.lap * lap_ns;
        first.max(not_before(now_ns + BUILD_TIME_NS))
    }

    /// When to begin to build a case that starts at `start_ns`.
    pub fn build_at(start_ns: i64) -> i64 {
        start_ns - BUILD_TIME_NS
    }

    /// Whether it is too late to build a case that starts at `start_ns`.
    pub fn is_late(start_ns: i64, now_ns: i64) -> bool {
        now_ns > start_ns - BUILD_TIME_NS / 2
    }
}

/// The positions of cases, in the order of the cases. A case with many connections
/// comes after all others, with a lap of its own: it would keep the only processor
/// from cases whose faults are applied meanwhile.
pub fn positions(
    cases: &[Case],
    has_many_connections: impl Fn(&Case) -> bool,
) -> Vec<StartPosition> {
    let mut taken = BTreeMap::new();
    let mut position = |case: &Case| {
        let number = number(&case.id);
        let lap = taken.entry(number).or_insert(0);
        *lap += 1;
        StartPosition {
            lap: *lap - 1,
            number,
        }
    };
    let first: Vec<Option<StartPosition>> = cases
        .iter()
        .map(|case| (!has_many_connections(case)).then(|| position(case)))
        .collect();
    let mut lap = taken.into_values().max().unwrap_or(0);
    let mut last = |case: &Case| {
        lap += 1;
        StartPosition {
            lap: lap - 1,
            number: number(&case.id),
        }
    };
    cases
        .iter()
        .zip(first)
        .map(|(case, position)| position.unwrap_or_else(|| last(case)))
        .collect()
}

/// FNV-1a of the id: the same in every build, unlike std's hashers.
fn number(id: &str) -> i64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Its low bits depend on nothing but the low bits of the bytes.
    i64::from(hash.to_le_bytes()[5]) % TIMES_IN_LAP
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEEL: WheelAt = WheelAt {
        jiffies: 4_294_893_697,
        tick_ns: 5_600_000_000,
    };

    #[test]
    fn a_start_time_has_the_same_phase_however_late_it_is() {
        let times = StartTimes::new(WHEEL, 250, 5_000_000_000);
        let position = StartPosition { lap: 0, number: 3 };
        let first = times.next(position, 5_000_000_000);
        let jiffies = |at: i64| 4_294_893_697 + (at - 5_600_000_000).div_euclid(4_000_000);
        assert_eq!(jiffies(first) % 512, 0);
        assert_eq!(jiffies(first) / 512 % 64, 3);
        assert_eq!((first - 5_600_000_000) % 4_000_000, 1_000_000);
        assert!(first >= 6_000_000_000);
        let lap = 64 * 2_048_000_000;
        assert_eq!(times.next(position, first - 999_999_999), first + lap);
        assert_eq!(times.next(position, first - 1_000_000_000), first);
        assert_eq!(
            times.next(StartPosition { lap: 2, ..position }, 0),
            first + 2 * lap
        );
    }

    #[test]
    fn another_start_of_the_run_gives_the_same_phase() {
        let position = StartPosition { lap: 0, number: 9 };
        let early = StartTimes::new(WHEEL, 250, 4_000_000_000).next(position, 4_000_000_000);
        let late = StartTimes::new(WHEEL, 250, 77_000_000_000).next(position, 77_000_000_000);
        assert_eq!((late - early) % (64 * 2_048_000_000), 0);
    }

    #[test]
    fn with_faster_ticks_start_times_are_further_apart() {
        assert_eq!(StartTimes::new(WHEEL, 1000, 0).distance_ns, 4_096_000_000);
        assert_eq!(StartTimes::new(WHEEL, 100, 0).distance_ns, 5_120_000_000);
    }

    #[test]
    fn numbers_are_spread() {
        let mut count = [0; 64];
        for n in 0..640 {
            let id = format!("scenario-{}/axis={n}", n % 7);
            count[usize::try_from(number(&id)).expect("it is below 64")] += 1;
        }
        assert!(count.iter().all(|n| (1..30).contains(n)), "{count:?}");
    }
}
