//! Timers that are armed, and when they fire.

use super::clock::{MS, Ns};
use super::queue::TimerId;
use super::{Sim, Uncertain};
use crate::wheel::Arms;

/// From a timer's function to the softirqs that it raises.
const LATER: Ns = 5_000;

impl Sim<'_> {
    /// mod_timer(), called while a packet or a call is handled, or a timer.
    pub(crate) fn arm(&mut self, id: TimerId, generation: u32, ticks: u64) {
        let arms = if self.in_timer {
            Arms::Timer
        } else {
            Arms::Anyone
        };
        let (at, granule) = self.fires(ticks, arms);
        let armed = self.jiffies();
        self.queue
            .push_timer(at, (granule, armed), (id, generation));
    }

    /// When a sleep of the wheel ends (schedule_timeout()).
    pub(crate) fn schedule_timeout(&mut self, time: Ns) -> Ns {
        let ticks = self.clock.ticks(time);
        self.fires(ticks, Arms::Anyone).0
    }

    /// When a poll() with this limit ends (select_estimate_accuracy()).
    pub(crate) fn poll_timeout(&mut self, limit: Ns) -> Ns {
        let slack = (limit / 1000).clamp(50_000, 100 * MS);
        let late = self.choose(Uncertain::PollSlack);
        self.now + limit + late * slack
    }

    /// When the softirqs run that something raises now. Those that a timer raises run a
    /// little later than the timers of this tick: usecs_to_jiffies() counts that as a tick
    /// more.
    pub(crate) fn softirq(&self) -> Ns {
        self.now + if self.in_timer { LATER } else { 0 }
    }

    fn fires(&mut self, ticks: u64, arms: Arms) -> (Ns, u64) {
        let (at, granule) = self.clock.fires(self.now, ticks, arms);
        let due = self.now + self.clock.span(ticks.min(1 << 40));
        let earliest = self.due.entry(granule).or_insert(due);
        *earliest = due.min(*earliest);
        (at, granule)
    }

    /// The widest bucket of a timer that was due by then, in ticks: a run that begins so
    /// much later is the same.
    pub(crate) fn granule(&self, end: Ns) -> u64 {
        let due = self.due.iter().filter(|(_, due)| **due <= end);
        due.map(|(granule, _)| *granule).max().unwrap_or(1)
    }
}
