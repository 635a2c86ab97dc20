//! Worst case of retransmission: when unacknowledged data is given up, and which outages it
//! outlasts, over every round trip and every phase of the timer wheel.
//!
//! TCP_USER_TIMEOUT ends a connection at the first expiry of the RTO at which that much
//! time has passed since the first retransmission. Until then attempts double their
//! distance, so an outage is outlasted only when an attempt falls after its end: with a
//! limit of 10 s the last attempt may come after 6.4 s.
//!
//! An unreachable that answers an attempt (from a router, or from the own host whose
//! neighbour entry has failed) reverts one back-off, and the wait it sets is not clamped to
//! the user timeout (tcp_ld_RTO_revert()): the last wait is half of the time passed by
//! then, and the abort may be postponed by as much.

use std::time::Duration;

use crate::Path;
use halfopen_predict::KernelFacts;
use halfopen_predict::retransmission::rtt::Rtt;
use halfopen_predict::retransmission::{Attempt, Flight, RTO_MIN, Run, budget};
use halfopen_predict::wheel::{Jiffies, Phase, Wheel};

/// TCP_RTO_MAX, where nothing says otherwise.
pub(super) const RTO_MAX: Duration = Duration::from_secs(120);
/// How far above a try's time the limit must be: what retransmits_timed_out()
/// cuts off, and one more so that nothing is too close to call.
const LIMIT_MARGIN: Duration = Duration::from_millis(2);
/// What waits for a neighbour's address hears after three requests, a second
/// apart, that nobody answers.
const NEIGHBOUR_FAILS_AFTER: Duration = Duration::from_secs(3);
/// Where the entry had failed already when the data was written, each question
/// after it is asked anew, and the wait begins anew when it has failed
/// (tcp_tsq_write(), 5.13): between two looks at the limit are two questions at
/// most, each with its lateness.
const TWO_RESOLUTIONS: Duration = Duration::from_millis(6_500);
/// Tries are told apart this finely over the longest time asked for.
const BUCKETS: u64 = 1 << 18;

/// When data is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// TCP_USER_TIMEOUT.
    UserTimeout(Duration),
    /// tcp_retries2.
    Retries(u32),
}

/// What a limit does at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// Given up so long after the write, at most.
    pub(super) latest: Duration,
    /// Tried for the last time so long after the write, at least.
    pub(super) last_try: Duration,
}

/// One course of data that nobody acknowledges, in ticks.
struct Course {
    /// From the write to the first retransmission, at least and at most.
    first: (u64, u64),
    /// The first retransmission.
    stamp: Jiffies,
    /// From there on.
    run: Run,
}

impl Course {
    /// Tries since the first retransmission, which is the first of them.
    fn tries(&self) -> impl Iterator<Item = u64> {
        self.run.attempts.iter().map(|at| at - self.stamp)
    }

    /// The end: at least, and at most when two expiries are too close to call.
    fn end(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.run.abort_at.first()?, self.run.abort_at.last()?);
        Some((first - self.stamp, last - self.stamp))
    }
}

/// Unacknowledged data on one kernel.
#[derive(Debug, Clone)]
pub(super) struct UnackedData {
    wheel: Wheel,
    /// The longest smoothed round trip.
    round_trip: Duration,
    path: Path,
    rto_max: Duration,
    /// Nothing later matters.
    horizon: Duration,
    /// Ticks a bucket.
    bucket: u64,
    /// By the time of a try: how late, since the first retransmission, the next
    /// one may be. Each is the greatest up to its time.
    next: Vec<u32>,
    /// The first retransmission, at the latest.
    first: Duration,
}

impl UnackedData {
    pub(super) fn new(
        kernel: KernelFacts,
        (round_trip, path): (Duration, Path),
        rto_max: Duration,
        horizon: Duration,
    ) -> Self {
        let wheel = kernel.wheel();
        let ticks = wheel.ticks(horizon) + 1;
        let bucket = ticks.div_ceil(BUCKETS);
        let mut data = UnackedData {
            wheel,
            round_trip,
            path,
            rto_max,
            horizon,
            bucket,
            next: vec![0; usize::try_from(ticks / bucket + 1).unwrap_or(1)],
            first: Duration::ZERO,
        };
        data.fill_next();
        data
    }

    /// Fills `next` and `first`.
    fn fill_next(&mut self) {
        // The try after the last one within the horizon is looked at too: its
        // distance is twice what has passed, or less.
        let beyond = |n: &u32| budget(*n, RTO_MIN, self.rto_max) > self.horizon * 3;
        let retries = (1..255).find(beyond).unwrap_or(255);
        let (bucket, mut first) = (self.bucket, 0);
        let mut next = std::mem::take(&mut self.next);
        self.courses(Limit::Retries(retries), |course| {
            first = first.max(course.first.1);
            // The sooner a try, the more depends on the next one.
            let mut before = course.first.0;
            for tried in course.tries().skip(1) {
                let Some(slot) = next.get_mut((before / bucket) as usize) else {
                    break;
                };
                *slot = (*slot).max(u32::try_from(tried).unwrap_or(u32::MAX));
                before = course.first.0 + tried;
            }
        });
        let mut most = 0;
        for slot in &mut next {
            most = (*slot).max(most);
            *slot = most;
        }
        self.next = next;
        self.first = self.wheel.span(first);
    }

    /// Every course there may be. What follows the first retransmission depends
    /// on where the wheel stands then, and not on how it came about; so the way
    /// to it (with and without an early loss probe) is worked out on its own.
    fn courses(&self, limit: Limit, mut visit: impl FnMut(&Course)) {
        let (user_timeout, retries2) = match limit {
            Limit::UserTimeout(limit) => (Some(limit), 15),
            Limit::Retries(n) => (None, n),
        };
        let longest = match limit {
            Limit::UserTimeout(limit) => limit,
            Limit::Retries(n) => budget(n, RTO_MIN, self.rto_max).saturating_mul(2),
        };
        let longest = self.wheel.ticks(longest.min(self.rto_max));
        for round_trip_ticks in 0..=self.wheel.ticks(self.round_trip) {
            let rtt = self.wheel.span(round_trip_ticks).min(self.round_trip);
            let flight = Flight {
                rtt: Rtt::steady(rtt, rtt),
                rto_min: RTO_MIN,
                rto_max: self.rto_max,
                retries2,
                user_timeout,
                tail_loss_probe: false,
                thin_linear: false,
                several: false,
                never_leaves: false,
                attempt: Attempt::Lost,
            };
            let rto = (rtt + (rtt / 2).max(RTO_MIN)).min(self.rto_max);
            let rto = self.wheel.ticks(rto);
            let first = self.first(&flight, rto);
            let step = usize::try_from(self.wheel.granule(rto)).unwrap_or(1);
            let beginnings = self.wheel.beginnings(longest, Phase::Unknown);
            for began in beginnings.step_by(step) {
                let run = flight.run(self.wheel, began, rto);
                if let Some(stamp) = run.attempts.first().copied() {
                    visit(&Course { first, stamp, run });
                }
            }
        }
    }

    /// From the write to the first retransmission, at least and at most.
    fn first(&self, flight: &Flight, rto: u64) -> (u64, u64) {
        let mut hull = (u64::MAX, 0);
        for several in [false, true] {
            let flight = Flight {
                tail_loss_probe: true,
                several,
                retries2: 1,
                user_timeout: None,
                ..*flight
            };
            for began in self.wheel.beginnings(rto, Phase::Unknown) {
                let run = flight.run(self.wheel, began, rto);
                // After the loss probe.
                if let Some(at) = run.attempts.get(1) {
                    hull = (hull.0.min(at - began), hull.1.max(at - began));
                }
            }
        }
        hull
    }

    /// What a limit does at worst.
    pub(super) fn reach(&self, limit: Limit) -> Reach {
        let (mut latest, mut last_try) = (0, u64::MAX);
        self.courses(limit, |course| {
            let Some((end, certain)) = course.end() else {
                return;
            };
            latest = latest.max(course.first.1 + certain);
            let last = course.tries().take_while(|at| *at < end).last();
            last_try = last_try.min(course.first.0 + last.unwrap_or(0));
        });
        let latest = self.wheel.span(latest);
        let postponed_end = match limit {
            Limit::UserTimeout(limit) => self.postponed_end(limit),
            // An expiry that comes sooner is checked sooner.
            Limit::Retries(_) => None,
        };
        Reach {
            latest: latest.max(postponed_end.unwrap_or_default()),
            last_try: self.wheel.span(last_try),
        }
    }

    /// The least user timeout under which some try always falls at or after
    /// `time` from the write; None when that is beyond what was looked at.
    pub(super) fn least(&self, time: Duration) -> Option<Duration> {
        let time = self.wheel.ticks(time);
        let Some(before) = time.checked_sub(1) else {
            return Some(LIMIT_MARGIN);
        };
        let ticks = self.next.get((before / self.bucket) as usize)?;
        Some(self.wheel.span(u64::from(*ticks)) + LIMIT_MARGIN)
    }

    /// The latest end when an unreachable that answers the last try puts it off;
    /// None when none can.
    ///
    /// How soon a neighbour's entry fails is nothing to rely on: one that was
    /// idle for a while is stale when the data is written, and fails 8 s later;
    /// one that a keepalive probe has asked for has failed already.
    fn postponed_end(&self, limit: Duration) -> Option<Duration> {
        let rto = self.round_trip + (self.round_trip / 2).max(RTO_MIN);
        // Each wait is twice the one before: together they are the last one
        // less the first.
        let half = |last: Duration| (last / 2 + rto).min(self.rto_max);
        let end = |last: Duration, wait: Duration| self.first + last + wait + self.late(wait);
        match self.path {
            Path::Silent => None,
            Path::Neighbour => {
                let last = limit.checked_sub(NEIGHBOUR_FAILS_AFTER)?;
                let asked = half(limit).min(TWO_RESOLUTIONS);
                Some(end(last, half(last)).max(end(limit, asked)))
            }
            Path::Unreachable => Some(end(limit, half(limit))),
        }
    }

    /// How late a timer may be.
    fn late(&self, time: Duration) -> Duration {
        let ticks = self.wheel.ticks(time);
        self.wheel.span(self.wheel.granule(ticks) + 1)
    }

    /// The greatest user timeout that surely gives up within `time` of the
    /// write: by the wheel's greatest lateness, so a little less than the best.
    pub(super) fn certain(&self, time: Duration) -> Option<Duration> {
        let late = self.late(time.min(self.rto_max));
        let most = time.checked_sub(self.first)?.checked_sub(late)?;
        let in_time = |ms: u64| {
            let postponed_end = self.postponed_end(Duration::from_millis(ms));
            postponed_end.is_none_or(|end| end <= time)
        };
        let (mut fits, mut breaks) = (0, u64::try_from(most.as_millis()).ok()? + 1);
        while breaks - fits > 1 {
            let middle = fits + (breaks - fits) / 2;
            if in_time(middle) {
                fits = middle;
            } else {
                breaks = middle;
            }
        }
        (fits > 0).then(|| Duration::from_millis(fits))
    }

    /// The greatest user timeout that gives up within `time` of the write.
    pub(super) fn greatest(&self, time: Duration) -> Option<Duration> {
        let mut fits = self.certain(time).unwrap_or(Duration::ZERO);
        // It never comes early.
        let mut breaks = time.checked_sub(self.first)? + Duration::from_millis(1);
        while breaks.saturating_sub(fits) > self.wheel.tick().max(Duration::from_millis(4)) {
            let middle = whole_ms(fits + (breaks - fits) / 2)?;
            if middle <= fits {
                break;
            }
            if self.reach(Limit::UserTimeout(middle)).latest <= time {
                fits = middle;
            } else {
                breaks = middle;
            }
        }
        (!fits.is_zero()).then_some(fits)
    }
}

/// TCP_USER_TIMEOUT is whole milliseconds; 0 would mean none.
fn whole_ms(limit: Duration) -> Option<Duration> {
    let ms = u64::try_from(limit.as_millis()).ok()?;
    (ms > 0).then(|| Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_predict::Version;

    fn data(hz: u32, round_trip_ms: u64, horizon: u64) -> UnackedData {
        let kernel = KernelFacts::new(Version(6, 12), hz);
        let round_trip_ticks = Duration::from_millis(round_trip_ms);
        let horizon = Duration::from_secs(horizon);
        UnackedData::new(kernel, (round_trip_ticks, Path::Silent), RTO_MAX, horizon)
    }

    fn secs(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn ten_seconds_do_not_outlast_ten_seconds() {
        let reach = data(250, 0, 20).reach(Limit::UserTimeout(secs(10.0)));
        assert!(
            reach.last_try > secs(6.2) && reach.last_try < secs(7.0),
            "{reach:?}"
        );
        assert!(
            reach.latest > secs(10.4) && reach.latest < secs(10.8),
            "{reach:?}"
        );
    }

    /// Course by course from the write, as the predictor does it.
    #[test]
    fn the_way_to_the_first_retransmission_stands_alone() {
        for (hz, round_trip_ticks, limit) in [(100, 40, 3.0), (250, 12, 7.3), (1000, 6, 2.0)] {
            let data = data(hz, round_trip_ticks, 20);
            let reach = data.reach(Limit::UserTimeout(secs(limit)));
            let (mut latest, mut last_try) = (0, u64::MAX);
            let wheel = data.wheel;
            for (round_trip_ticks, several) in
                (0..=wheel.ticks(data.round_trip)).flat_map(|t| [(t, false), (t, true)])
            {
                let rtt = wheel.span(round_trip_ticks);
                let flight = Flight {
                    rtt: Rtt::steady(rtt, rtt),
                    rto_min: RTO_MIN,
                    rto_max: RTO_MAX,
                    retries2: 15,
                    user_timeout: Some(secs(limit)),
                    tail_loss_probe: true,
                    thin_linear: false,
                    several,
                    never_leaves: false,
                    attempt: Attempt::Lost,
                };
                let rto = wheel.ticks(rtt + RTO_MIN);
                for began in wheel.beginnings(wheel.ticks(secs(limit)), Phase::Unknown) {
                    let run = flight.run(wheel, began, rto);
                    let end = run.abort_at[0];
                    latest = latest.max(run.abort_at.last().expect("it ends") - began);
                    let last = run.attempts.iter().rev().find(|at| **at < end);
                    last_try = last_try.min(last.expect("it tries") - began);
                }
            }
            assert_eq!(reach.latest, wheel.span(latest), "{hz}");
            assert_eq!(reach.last_try, wheel.span(last_try), "{hz}");
        }
    }

    #[test]
    fn the_least_limit_is_enough_and_less_is_not() {
        for (hz, round_trip_ticks) in [(100, 100), (250, 30), (1000, 10)] {
            let data = data(hz, round_trip_ticks, 40);
            for outage in [0.3, 1.0, 3.0, 10.0] {
                let least = data.least(secs(outage)).expect("within the horizon");
                let reach = data.reach(Limit::UserTimeout(least));
                assert!(
                    reach.last_try >= secs(outage),
                    "{hz} {outage}: {least:?} {reach:?}"
                );
                let less = least.saturating_sub(LIMIT_MARGIN + data.wheel.tick() * 2);
                let Some(less) = whole_ms(less) else { continue };
                let reach = data.reach(Limit::UserTimeout(less));
                assert!(
                    reach.last_try < secs(outage),
                    "{hz} {outage}: {less:?} {reach:?}"
                );
            }
        }
    }

    #[test]
    fn the_greatest_limit_is_in_time_and_more_is_not() {
        let data = data(250, 50, 40);
        let greatest = data.greatest(secs(12.0)).expect("there is one");
        assert!(
            data.certain(secs(12.0))
                .is_some_and(|sure| sure <= greatest)
        );
        assert!(data.reach(Limit::UserTimeout(greatest)).latest <= secs(12.0));
        let more = greatest + Duration::from_millis(20);
        assert!(data.reach(Limit::UserTimeout(more)).latest > secs(12.0));
        assert_eq!(data.greatest(secs(0.1)), None);
    }

    /// Measured in virtual time on 6.12, over a cable between the two hosts: a
    /// user timeout of 97 s noticed a crash after 108 s, one of 893 s after 906 s.
    #[test]
    fn unreachables_put_the_end_off() {
        let mut data = data(250, 0, 120);
        let latest = |data: &UnackedData, limit| {
            let reach = data.reach(Limit::UserTimeout(secs(limit)));
            reach.latest.as_secs_f64()
        };
        assert!(latest(&data, 97.0) < 100.0);
        data.path = Path::Neighbour;
        assert!(latest(&data, 2.9) < 3.5, "nothing is told so soon");
        // After a minute without a segment the entry is stale from the beginning.
        for (limit, measured) in [(16.0, 19.96), (17.0, 20.13), (23.0, 26.78)] {
            let latest = latest(&data, limit);
            assert!(
                (measured..limit + 8.0).contains(&latest),
                "{limit}: {latest}"
            );
        }
        // IPv6, where the entry was gone.
        for (limit, measured) in [(3.5, 4.75), (7.0, 9.67), (8.0, 9.67)] {
            let latest = latest(&data, limit);
            assert!(
                (measured..limit * 1.9).contains(&latest),
                "{limit}: {latest}"
            );
        }
        assert!((108.0..150.0).contains(&latest(&data, 97.0)));
        assert!((906.0..1020.0).contains(&latest(&data, 893.0)));
        let greatest = data.greatest(secs(100.0)).expect("there is one");
        assert!(latest(&data, greatest.as_secs_f64()) <= 100.0);
        assert!(
            (60.0..70.0).contains(&greatest.as_secs_f64()),
            "{greatest:?}"
        );
        data.path = Path::Unreachable;
        assert!((14.0..17.0).contains(&latest(&data, 10.0)));
    }
}
