//! When cases begin in virtual time: each at a phase of the timer wheel that
//! is its own, whatever else is run beside it and however long building took.
//!
//! A timer fires with its bucket, so where the wheel stands when it is armed
//! decides up to a granule of its time (kernel/time/timer.c). Were cases to
//! begin as soon as they are built, every instruction more in this program, and
//! every case more in the run, would show in the times of all that follow.

use std::collections::BTreeMap;

use halfopen_outcome::environment::WheelAt;
use halfopen_scenario::case::Case;

/// Moments are a power of eight of ticks apart, so that all buckets up to that
/// width begin where a case does; the smallest that is at least this.
const APART_NS: i64 = 2_000_000_000;
/// Moments in a lap, which is a bucket two levels up (LVL_CLK_SHIFT, timer.c).
const MOMENTS: i64 = 64;
/// How long before its moment a case is built. It takes some hundredth of it.
const BUILDING_NS: i64 = 1_000_000_000;

/// The moments at which cases begin. All times are CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// The one with number 0 of some lap.
    zero_ns: i64,
    apart_ns: i64,
    /// When the run started.
    start_ns: i64,
}

/// Which moment is a case's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// How many cases have the moment before it.
    pub lap: i64,
    /// The moment's number in each lap.
    pub number: i64,
}

impl Moments {
    /// The moments of a wheel with `hz` ticks a second, from `start_ns` on.
    pub fn of(wheel: WheelAt, hz: u32, start_ns: i64) -> Self {
        let tick_ns = 1_000_000_000 / i64::from(hz.max(1));
        let mut ticks = 1;
        while ticks * tick_ns < APART_NS {
            ticks *= 8;
        }
        let into_lap = i128::from(wheel.jiffies) % i128::from(ticks * MOMENTS);
        let into_lap_ns = i64::try_from(into_lap).unwrap_or(0) * tick_ns;
        let tick_at_ns = i64::try_from(wheel.tick_ns).unwrap_or(0);
        Moments {
            // A quarter of a tick later, so that what follows at once is armed
            // before the next tick.
            zero_ns: tick_at_ns - into_lap_ns + tick_ns / 4,
            apart_ns: ticks * tick_ns,
            start_ns,
        }
    }

    /// The next moment of a place that leaves time to build.
    pub fn next(&self, place: Place, now_ns: i64) -> i64 {
        let lap_ns = self.apart_ns * MOMENTS;
        let of_number = self.zero_ns + place.number * self.apart_ns;
        let not_before = |at: i64| at + (of_number - at).rem_euclid(lap_ns);
        let first = not_before(self.start_ns + BUILDING_NS) + place.lap * lap_ns;
        first.max(not_before(now_ns + BUILDING_NS))
    }

    /// When to begin to build what begins at a moment.
    pub fn build_at(moment_ns: i64) -> i64 {
        moment_ns - BUILDING_NS
    }

    /// Whether it is too late to build for a moment.
    pub fn is_late(moment_ns: i64, now_ns: i64) -> bool {
        now_ns > moment_ns - BUILDING_NS / 2
    }
}

/// The places of cases, in their order. A crowd comes after all others, with a
/// lap of its own: it would keep the one processor from those whose faults
/// strike meanwhile.
pub fn places(cases: &[Case], has_many_connections: impl Fn(&Case) -> bool) -> Vec<Place> {
    let mut taken = BTreeMap::new();
    let mut place = |case: &Case| {
        let number = number(&case.id);
        let lap = taken.entry(number).or_insert(0);
        *lap += 1;
        Place {
            lap: *lap - 1,
            number,
        }
    };
    let first: Vec<Option<Place>> = cases
        .iter()
        .map(|case| (!has_many_connections(case)).then(|| place(case)))
        .collect();
    let mut lap = taken.into_values().max().unwrap_or(0);
    let mut last = |case: &Case| {
        lap += 1;
        Place {
            lap: lap - 1,
            number: number(&case.id),
        }
    };
    cases
        .iter()
        .zip(first)
        .map(|(case, place)| place.unwrap_or_else(|| last(case)))
        .collect()
}

/// FNV-1a of the id: the same in every build, unlike std's hashers.
fn number(id: &str) -> i64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Its low bits depend on nothing but the low bits of the bytes.
    i64::from(hash.to_le_bytes()[5]) % MOMENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEEL: WheelAt = WheelAt {
        jiffies: 4_294_893_697,
        tick_ns: 5_600_000_000,
    };

    #[test]
    fn a_moment_is_the_same_phase_however_late_it_is() {
        let moments = Moments::of(WHEEL, 250, 5_000_000_000);
        let place = Place { lap: 0, number: 3 };
        let first = moments.next(place, 5_000_000_000);
        let jiffies = |at: i64| 4_294_893_697 + (at - 5_600_000_000).div_euclid(4_000_000);
        assert_eq!(jiffies(first) % 512, 0);
        assert_eq!(jiffies(first) / 512 % 64, 3);
        assert_eq!((first - 5_600_000_000) % 4_000_000, 1_000_000);
        assert!(first >= 6_000_000_000);
        let lap = 64 * 2_048_000_000;
        assert_eq!(moments.next(place, first - 999_999_999), first + lap);
        assert_eq!(moments.next(place, first - 1_000_000_000), first);
        assert_eq!(moments.next(Place { lap: 2, ..place }, 0), first + 2 * lap);
    }

    #[test]
    fn another_start_is_the_same_phase() {
        let place = Place { lap: 0, number: 9 };
        let early = Moments::of(WHEEL, 250, 4_000_000_000).next(place, 4_000_000_000);
        let late = Moments::of(WHEEL, 250, 77_000_000_000).next(place, 77_000_000_000);
        assert_eq!((late - early) % (64 * 2_048_000_000), 0);
    }

    #[test]
    fn with_faster_ticks_moments_are_further_apart() {
        assert_eq!(Moments::of(WHEEL, 1000, 0).apart_ns, 4_096_000_000);
        assert_eq!(Moments::of(WHEEL, 100, 0).apart_ns, 5_120_000_000);
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
