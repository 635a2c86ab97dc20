//! The timer wheel: when a timer of the kernel really fires.
//!
//! kernel/time/timer.c, calc_wheel_index() and calc_index(), since 4.8: nine
//! levels of 64 buckets (eight at HZ=100); a level's buckets are eight times
//! as wide as those of the level below. A timer is never cascaded down, so it
//! fires with its bucket: never early, late by up to one granule of the level
//! that its distance put it on.

use std::time::Duration;

/// Times in ticks since some moment before the simulation: the kernel's `jiffies`. Only the
/// remainder by a granule matters.
pub type Jiffies = u64;

/// Buckets of a level (LVL_SIZE).
const BUCKETS: u64 = 64;
/// Each level's granule is 2^3 times that of the level below (LVL_CLK_SHIFT).
const SHIFT: u32 = 3;
/// A multiple of every granule, far enough from 0.
const EPOCH: Jiffies = 1 << 40;

/// The wheel of a kernel built with this HZ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel {
    hz: u32,
}

/// Who arms a timer, which decides what the wheel's clock says meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arms {
    /// A system call or a packet.
    Anyone,
    /// A timer's function: __run_timers() has moved the wheel's clock one tick
    /// ahead of `jiffies` by then.
    Timer,
}

/// The phase of the wheel, and of the tick, at the start of a simulation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// Unknown: all phases are possible.
    #[default]
    Unknown,
    /// As in virtual time, where a machine boots the same way every time.
    Known {
        /// `jiffies` at that moment.
        jiffies: Jiffies,
        /// How long before it the tick was.
        into_tick: Duration,
    },
}

impl Phase {
    /// The phase so much later.
    pub fn later(self, by: Duration, wheel: Wheel) -> Phase {
        match self {
            Phase::Unknown => Phase::Unknown,
            Phase::Known { jiffies, into_tick } => {
                let tick = wheel.tick().as_nanos().max(1);
                let all = (into_tick + by).as_nanos();
                let rest = u64::try_from(all % tick).unwrap_or(0);
                Phase::Known {
                    jiffies: jiffies + u64::try_from(all / tick).unwrap_or(0),
                    into_tick: Duration::from_nanos(rest),
                }
            }
        }
    }

    /// The phases a timer armed within an interval may have: the offset from its beginning,
    /// and the phase then. One for each tick when the phase is known.
    pub fn within(self, late: Duration, wheel: Wheel) -> Vec<(Duration, Phase)> {
        let first = (Duration::ZERO, self);
        let Phase::Known { into_tick, .. } = self else {
            return vec![first];
        };
        let tick = wheel.tick();
        let to_next = tick.saturating_sub(into_tick);
        let more = (0..MAX_TICKS_WITHIN)
            .map(|n| to_next + tick * n)
            .take_while(|at| *at <= late)
            .map(|at| (at, self.later(at, wheel)));
        std::iter::once(first).chain(more).collect()
    }
}

impl Wheel {
    /// The wheel of a kernel with `hz` ticks a second (at least 1).
    pub fn new(hz: u32) -> Self {
        Wheel { hz: hz.max(1) }
    }

    /// Ticks a second.
    pub fn hz(self) -> u32 {
        self.hz
    }

    /// One tick.
    pub fn tick(self) -> Duration {
        self.span(1)
    }

    /// So many ticks as a time.
    pub fn span(self, ticks: u64) -> Duration {
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.hz);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// A time as ticks, rounded up, as msecs_to_jiffies() and
    /// usecs_to_jiffies() do.
    pub fn ticks(self, time: Duration) -> u64 {
        let ticks = (time.as_nanos() * u128::from(self.hz)).div_ceil(1_000_000_000);
        // A wheel's turn is years; longer is as good as never.
        u64::try_from(ticks).unwrap_or(u64::MAX).min(EPOCH >> 8)
    }

    /// A time as ticks that have passed in it.
    pub fn whole_ticks(self, time: Duration) -> u64 {
        let more = time.saturating_add(Duration::from_nanos(1));
        self.ticks(more).saturating_sub(1)
    }

    fn depth(self) -> u32 {
        if self.hz > 100 { 9 } else { 8 }
    }

    /// The level for a timer that is `delta` ticks away: the first one whose
    /// range reaches that far (LVL_START()).
    fn level(self, delta: u64) -> u32 {
        (0..self.depth() - 1)
            .find(|level| delta < (BUCKETS - 1) << (level * SHIFT))
            .unwrap_or(self.depth() - 1)
    }

    /// The granule, in ticks, for a timer `delta` ticks away.
    pub fn granule(self, delta: u64) -> u64 {
        1 << (self.level(delta) * SHIFT)
    }

    /// When a timer fires that is armed at `now` for `after` ticks from then.
    pub fn fires(self, now: Jiffies, after: u64, arms: Arms) -> Jiffies {
        let clock = now + u64::from(arms == Arms::Timer);
        let most = ((BUCKETS - 1) << ((self.depth() - 1) * SHIFT)) - 1;
        let expires = now + after.min(most);
        if expires < clock {
            // Due already: the bucket that is next.
            return clock;
        }
        let shift = self.level(expires - clock) * SHIFT;
        ((expires >> shift) + 1) << shift
    }

    /// The `jiffies` at which a simulation may begin when its longest timer is `longest`
    /// ticks: one of each remainder that the wheel distinguishes.
    pub fn beginnings(self, longest: u64, phase: Phase) -> Beginnings {
        match phase {
            Phase::Known { jiffies, .. } => Beginnings {
                next: EPOCH + jiffies,
                end: EPOCH + jiffies + 1,
                step: 1,
            },
            Phase::Unknown => {
                let granule = self.granule(longest);
                // For timers of days millions of runs would add nothing: their ends are
                // sampled closely enough for a prediction in minutes.
                let step = (granule / MAX_BEGINNINGS).max(1);
                Beginnings {
                    next: EPOCH,
                    end: EPOCH + granule,
                    step,
                }
            }
        }
    }
}

const MAX_BEGINNINGS: u64 = 1 << 15;
/// An interval of more ticks is taken for so many.
const MAX_TICKS_WITHIN: u32 = 64;

/// See [`Wheel::beginnings`].
#[derive(Debug, Clone)]
pub struct Beginnings {
    next: Jiffies,
    end: Jiffies,
    step: u64,
}

impl Iterator for Beginnings {
    type Item = Jiffies;

    fn next(&mut self) -> Option<Jiffies> {
        let at = self.next;
        self.next += self.step;
        (at < self.end).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_HZ: [u32; 4] = [100, 250, 300, 1000];

    /// Numbers without a pattern (xorshift), the same every time.
    fn random(count: usize) -> impl Iterator<Item = u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        })
        .take(count)
    }

    #[test]
    fn never_early_and_late_by_one_granule_at_most() {
        for (hz, r) in ALL_HZ
            .into_iter()
            .flat_map(|hz| random(20_000).map(move |r| (hz, r)))
        {
            let wheel = Wheel::new(hz);
            let now = EPOCH + (r & 0xff_ffff);
            // All magnitudes up to 2^22 ticks, more than two hours at HZ=250.
            let after = 1 + ((r >> 24) & ((1 << (1 + r % 22)) - 1));
            for arms in [Arms::Anyone, Arms::Timer] {
                let fires = wheel.fires(now, after, arms);
                assert!(fires > now + after, "hz {hz} now {now} after {after}");
                assert!(fires - now - after <= wheel.granule(after));
            }
        }
    }

    #[test]
    fn later_timers_fire_no_sooner() {
        for r in random(20_000) {
            let wheel = Wheel::new(250);
            let (now, after) = (EPOCH + (r & 0xffff), (r >> 20) & 0x3f_ffff);
            let fires = |after| wheel.fires(now, after, Arms::Anyone);
            assert!(fires(after) <= fires(after + 1));
        }
    }

    /// The table in kernel/time/timer.c.
    #[test]
    fn granules_of_the_kernels_table() {
        let granule = |hz, ms| {
            let wheel = Wheel::new(hz);
            let ticks = wheel.ticks(Duration::from_millis(ms));
            wheel.span(wheel.granule(ticks)).as_millis()
        };
        let rows_250 = [
            (200, 4),
            (260, 32),
            (2_100, 256),
            (17_000, 2_048),
            (75_000, 2_048),
        ];
        for (ms, late) in rows_250 {
            assert_eq!(granule(250, ms), late, "{ms} ms");
        }
        assert_eq!(granule(250, 7_200_000), 131_072);
        let rows_1000 = [(60, 1), (70, 8), (600, 64), (4_100, 512), (75_000, 4_096)];
        for (ms, late) in rows_1000 {
            assert_eq!(granule(1000, ms), late, "{ms} ms");
        }
        assert_eq!(granule(1000, 7_200_000), 262_144);
    }

    #[test]
    fn a_timers_own_function_arms_one_tick_ahead() {
        let wheel = Wheel::new(250);
        // 63 ticks are one too many for the first level, unless the wheel's
        // clock is one ahead.
        assert_eq!(wheel.fires(EPOCH, 63, Arms::Anyone), EPOCH + 64);
        assert_eq!(wheel.fires(EPOCH + 1, 63, Arms::Anyone), EPOCH + 72);
        assert_eq!(wheel.fires(EPOCH + 1, 63, Arms::Timer), EPOCH + 65);
        assert_eq!(wheel.fires(EPOCH, 0, Arms::Timer), EPOCH + 1);
    }

    #[test]
    fn ticks_round_up() {
        let wheel = Wheel::new(250);
        assert_eq!(wheel.ticks(Duration::from_micros(200_050)), 51);
        assert_eq!(wheel.ticks(Duration::from_secs(75)), 18_750);
        assert_eq!(Wheel::new(300).ticks(Duration::from_millis(10)), 3);
        assert!(wheel.ticks(Duration::MAX) < EPOCH);
    }
}
