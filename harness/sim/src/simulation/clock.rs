//! Time: nanoseconds since the start of the case, and the kernel's ticks.

use std::time::Duration;

use crate::wheel::{Arms, Jiffies, Phase, Wheel};

/// Nanoseconds since the start of the case.
pub(crate) type Ns = u64;

pub(crate) const MS: Ns = 1_000_000;
pub(crate) const SEC: Ns = 1_000_000_000;

/// A multiple of every granule of the wheel, far from 0.
const EPOCH: Jiffies = 1 << 40;

/// The clock of all hosts: they share a kernel, and so a wheel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wheel: Wheel,
    start: Jiffies,
    into_tick: Ns,
}

pub(crate) fn ns(time: Duration) -> Ns {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4)
}

impl Clock {
    /// A clock whose phase is known; an unknown one begins in the middle of a tick.
    pub fn new(wheel: Wheel, phase: Phase) -> Self {
        let (start, into_tick) = match phase {
            Phase::Known { jiffies, into_tick } => (jiffies, ns(into_tick)),
            Phase::Unknown => (0, ns(wheel.tick()) / 2),
        };
        Clock {
            wheel,
            start: EPOCH + start,
            into_tick,
        }
    }

    pub fn tick(&self) -> Ns {
        ns(self.wheel.tick())
    }

    /// `jiffies` at a moment.
    pub fn jiffies(&self, at: Ns) -> Jiffies {
        self.start + (at + self.into_tick) / self.tick()
    }

    /// The moment of a tick.
    pub fn moment(&self, jiffies: Jiffies) -> Ns {
        (jiffies.saturating_sub(self.start) * self.tick()).saturating_sub(self.into_tick)
    }

    /// When a timer fires that is armed now for so many ticks (mod_timer()): the moment,
    /// and its granule, which decides the order within a tick (__run_timers()).
    pub fn fires(&self, now: Ns, ticks: u64, arms: Arms) -> (Ns, u64) {
        let jiffies = self.jiffies(now);
        let fires = self.wheel.fires(jiffies, ticks, arms);
        let clock = u64::from(arms == Arms::Timer);
        (
            self.moment(fires),
            self.wheel.granule(ticks.saturating_sub(clock)),
        )
    }

    /// msecs_to_jiffies(), usecs_to_jiffies(): rounded up.
    pub fn ticks(&self, time: Ns) -> u64 {
        self.wheel.ticks(Duration::from_nanos(time))
    }

    /// So many ticks as a time.
    pub fn span(&self, ticks: u64) -> Ns {
        ns(self.wheel.span(ticks))
    }
}
