//! Worst case of keepalive, over everything that is not chosen: the phase of the timer
//! wheel, when the last segment was received, when the fault occurs.
//!
//! tcp_keepalive_timer() fires; when it finds less than IDLE since the last segment it is
//! armed for the rest, else it sends a probe and is armed for INTERVAL, even when the probe
//! is answered. So the timer that leads to the first probe may have been armed for anything
//! up to IDLE, and is late by up to the granule of that; each granule implies an alignment,
//! and with it the lateness of the intervals that follow. All of it is computed here in
//! ticks, without trying every phase, for intervals no longer than IDLE (longer ones gain
//! nothing: see `search`, which uses this).

use std::time::Duration;

use halfopen_predict::wheel::Wheel;

/// Keepalive on one kernel, in ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeepaliveTiming {
    wheel: Wheel,
    idle: u64,
    interval: u64,
}

/// One way to the first probe: by a timer of one level of the wheel.
#[derive(Debug, Clone, Copy)]
struct FirstProbe {
    /// It is late by at most this.
    late: u64,
    /// The interval after it: at least, at most, and in which steps between.
    after: (u64, u64),
    step: u64,
}

impl KeepaliveTiming {
    /// Whole seconds.
    pub(super) fn new(wheel: Wheel, idle: u32, interval: u32) -> Self {
        let ticks = |seconds: u32| wheel.ticks(Duration::from_secs(seconds.into()));
        KeepaliveTiming {
            wheel,
            idle: ticks(idle),
            interval: ticks(interval),
        }
    }

    /// The granule of the timer that waits for an interval.
    fn granule(&self) -> u64 {
        // The timer's own function arms it, with the wheel's clock a tick ahead.
        self.wheel.granule(self.interval - 1)
    }

    /// From one probe to the next, once the first interval is over.
    fn stride(&self) -> u64 {
        let granule = self.granule();
        (self.interval / granule + 1) * granule
    }

    fn first_probes(&self) -> impl Iterator<Item = FirstProbe> {
        let (longest, granule) = (self.wheel.granule(self.idle), self.granule());
        let interval = self.interval;
        std::iter::successors(Some(1), |late: &u64| Some(late * 8))
            .take_while(move |late| *late <= longest)
            .map(move |late| {
                let step = late.min(granule);
                let over = interval % step;
                FirstProbe {
                    late,
                    after: (interval + step - over, interval + granule - over),
                    step,
                }
            })
    }

    /// From the last segment received to the end, at most, without user timeout.
    pub(super) fn latest(&self, count: u32) -> u64 {
        let more = u64::from(count.saturating_sub(1)) * self.stride();
        let first_probes = self.first_probes();
        let at = first_probes.map(|first| self.idle + first.late + first.after.1 + more);
        at.max().unwrap_or(0)
    }

    /// From the first probe to the last one before the end, at least: the
    /// longest silence that surely leaves a probe to be answered.
    pub(super) fn outage_survived(&self, count: u32) -> u64 {
        if count < 2 {
            return 0;
        }
        let more = u64::from(count - 2) * self.stride();
        let first_probes = self.first_probes();
        let at = first_probes.map(|first| first.after.0 + more);
        at.min().unwrap_or(0)
    }

    /// [`Probing::latest`] with TCP_USER_TIMEOUT: at the first tick at which
    /// that much time has passed and a probe is out, whatever the count.
    pub(super) fn latest_limited(&self, limit: Duration) -> u64 {
        let (limit, stride) = (self.wheel.ticks(limit), self.stride());
        let one = |first: FirstProbe| {
            // At the first tick after the probe the time since the last segment
            // is between these, and each tick after it is one stride later.
            let earliest = self.idle + first.after.0;
            let latest = self.idle + first.late + first.after.1;
            if earliest >= limit {
                return latest;
            }
            // The last tick that may come too early, and the one that follows.
            let early = (limit - 1 - earliest) / stride * stride;
            ((limit - 1).min(latest + early) + stride).max(latest)
        };
        self.first_probes().map(one).max().unwrap_or(0)
    }

    /// [`Probing::patience`] with TCP_USER_TIMEOUT.
    pub(super) fn outage_survived_limited(&self, limit: Duration) -> u64 {
        let (limit, stride) = (self.wheel.ticks(limit), self.stride());
        let one = |first: FirstProbe| {
            // Ticks this long after the first probe come too early at worst.
            let left = limit.saturating_sub(self.idle + first.late);
            let Some(left) = left.checked_sub(1) else {
                return 0;
            };
            // The last of them, for the first interval that suits worst.
            let last = |after: u64| {
                if after > left {
                    0
                } else {
                    after + (left - after) / stride * stride
                }
            };
            let (least, most) = first.after;
            // Just too long for one tick more.
            let wrapped = left % stride + 1;
            let wrapped = [wrapped, wrapped + stride].map(|after| {
                let steps = after.saturating_sub(least).div_ceil(first.step);
                least + steps * first.step
            });
            let worst = [least, most].into_iter().chain(wrapped);
            worst
                .filter(|after| (least..=most).contains(after))
                .map(last)
                .min()
                .unwrap_or(0)
        };
        self.first_probes().map(one).min().unwrap_or(0)
    }

    /// From one answered probe to the next on a quiet connection, at least.
    pub(super) fn period(&self) -> u64 {
        let after = self.interval + 1;
        let rest = self.idle.saturating_sub(after);
        after.max(self.idle) + u64::from(rest > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_predict::wheel::Arms;

    fn waits(wheel: Wheel, now: u64, after: u64, by_timer: bool) -> u64 {
        let arms = if by_timer { Arms::Timer } else { Arms::Anyone };
        wheel.fires(now, after, arms)
    }

    const HZ: [u32; 4] = [100, 250, 300, 1000];

    fn random() -> impl FnMut(u64) -> u64 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below.max(1)
        }
    }

    /// tcp_keepalive_timer(), tick by tick: a connection that talks at random,
    /// then a silence that begins at random. From the last segment to the end,
    /// and from the first lost probe to the last one.
    fn simulate(
        timing: &KeepaliveTiming,
        count: u32,
        limit: Option<u64>,
        random: &mut impl FnMut(u64) -> u64,
    ) -> (u64, u64) {
        let (wheel, idle) = (timing.wheel, timing.idle);
        let began = (1 << 40) + random(1 << 22);
        let quiet_from = began + random(4 * idle);
        // Data comes until then, now and then.
        let mut heard = began;
        let mut next_data = began + 1 + random(3 * idle);
        let mut now = waits(wheel, began, idle, false);
        let (mut out, mut first) = (0, None);
        let mut last = 0;
        loop {
            while next_data < now && next_data <= quiet_from {
                heard = next_data;
                next_data += 1 + random(3 * idle);
            }
            let elapsed = now - heard.min(now);
            if elapsed < idle {
                now = waits(wheel, now, idle - elapsed, true);
                continue;
            }
            let over = limit.map_or(out >= count, |limit| elapsed >= limit && out > 0);
            if over {
                return (now - heard, last - first.unwrap_or(last));
            }
            if now < quiet_from {
                heard = now;
            } else {
                out += 1;
                first.get_or_insert(now);
                last = now;
            }
            now = waits(wheel, now, timing.interval, true);
        }
    }

    #[test]
    fn no_story_is_worse_than_the_bounds_and_some_come_close() {
        let mut random = random();
        for hz in HZ {
            for _ in 0..60 {
                let interval = 1 + random(20) as u32;
                let idle = interval + random(40) as u32;
                let count = 2 + random(6) as u32;
                let timing = KeepaliveTiming::new(Wheel::new(hz), idle, interval);
                let (latest, outage_survived) =
                    (timing.latest(count), timing.outage_survived(count));
                let (mut seen_latest, mut seen_outage) = (0, u64::MAX);
                for _ in 0..400 {
                    let (end, held) = simulate(&timing, count, None, &mut random);
                    seen_latest = seen_latest.max(end);
                    seen_outage = seen_outage.min(held);
                }
                let about = format!("{idle}/{interval}/{count} at {hz} Hz");
                assert!(seen_latest <= latest, "{about}: {seen_latest} > {latest}");
                assert!(seen_outage >= outage_survived, "{about}");
                let near = timing.granule() + timing.wheel.granule(timing.idle);
                assert!(
                    latest - seen_latest <= near,
                    "{about}: {seen_latest} {latest}"
                );
                assert!(seen_outage - outage_survived <= timing.granule(), "{about}");
            }
        }
    }

    #[test]
    fn nor_with_a_user_timeout() {
        let mut random = random();
        for hz in HZ {
            for _ in 0..80 {
                let interval = 1 + random(12) as u32;
                let idle = interval + random(30) as u32;
                let most = u64::from(idle + 6 * interval) * 1000;
                let limit = Duration::from_millis(500 + random(most));
                let timing = KeepaliveTiming::new(Wheel::new(hz), idle, interval);
                let latest = timing.latest_limited(limit);
                let outage_survived = timing.outage_survived_limited(limit);
                let ticks = timing.wheel.ticks(limit);
                let (mut seen_latest, mut seen_outage) = (0, u64::MAX);
                for _ in 0..400 {
                    let (end, held) = simulate(&timing, 1, Some(ticks), &mut random);
                    seen_latest = seen_latest.max(end);
                    seen_outage = seen_outage.min(held);
                }
                let about = format!("{idle}/{interval} limit {limit:?} at {hz} Hz");
                assert!(seen_latest <= latest, "{about}: {seen_latest} > {latest}");
                assert!(
                    seen_outage >= outage_survived,
                    "{about}: {seen_outage} < {outage_survived}"
                );
                let near = timing.stride() + timing.wheel.granule(timing.idle);
                assert!(
                    latest - seen_latest <= near,
                    "{about}: {seen_latest} {latest}"
                );
            }
        }
    }

    #[test]
    fn a_quiet_connection_is_probed_no_oftener_than_its_period() {
        let timing = KeepaliveTiming::new(Wheel::new(250), 18, 1);
        assert!(timing.period() > 18 * 250);
        assert!(timing.period() < 19 * 250);
    }
}
