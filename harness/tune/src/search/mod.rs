//! The search: the cheapest settings that keep both promises, or the nearest.
//!
//! Every bound is monotone: a longer idle time is noticed later and leaves less
//! of a user timeout, a longer user timeout notices later and rides out more.
//! So the greatest idle time, which costs the fewest probes, is found by halving,
//! for each interval. An interval longer than the idle time is not tried: the
//! timer comes back after the interval even when the probe is answered, so
//! (2 s, 5 s) does at worst, and costs, what (5 s, 5 s) does.

use std::time::Duration;

mod proof;

use crate::keepalive::KeepaliveTiming;
use crate::retransmission::{Limit, RTO_MAX, UnackedData};
use crate::{
    Answer, Impossible, Keepalive, Promise, Promises, Reach, Settings, Tuned, Without, Worst,
};
use halfopen_predict::kernel::RTO_MAX_SYSCTL;
use halfopen_predict::retransmission::{RTO_MIN, budget};
use halfopen_predict::wheel::Wheel;

/// TCP_KEEPIDLE and TCP_KEEPINTVL, tcp(7).
const MAX_SECONDS: u32 = 32_767;
/// TCP_KEEPCNT.
const MAX_PROBES: u32 = 127;
/// tcp_retries2 is one byte; beyond 15 nobody waits.
const MAX_RETRIES2: u32 = 15;
/// A single lost probe must not kill.
const MIN_PROBES: u32 = 2;
/// TCP_RTO_MAX_MS, from the one that costs nothing to the one that costs most.
const RTO_MAX_CHOICES: [u64; 8] = [120, 60, 30, 20, 10, 5, 2, 1];
/// How long 15 retransmissions take on paper, rounded up.
const GIVEN_UP_BY_DEFAULT: Duration = Duration::from_secs(1_000);
/// Precision of the nearest settings.
const PRECISION: Duration = Duration::from_millis(10);
/// Longest time to notice that is searched.
const MAX_NOTICE: Duration = Duration::from_secs(40 * 86_400);

/// Finds settings that keep both promises on every kernel, or proves that
/// there are none.
pub fn tune(promises: &Promises) -> Answer {
    let mut nearest = None;
    for rto_max in rto_maxes(promises) {
        let bounds = Bounds::new(promises, rto_max);
        if let Some(settings) = bounds.find(promises.notice_within, promises.ride_out) {
            return Answer::Found {
                tuned: bounds.tuned(settings),
                without: bounds.without(settings.keepalive),
            };
        }
        // The last one, with the shortest RTO, comes nearest.
        nearest = Some(bounds);
    }
    let bounds = nearest.unwrap_or_else(|| Bounds::new(promises, RTO_MAX));
    Answer::Impossible(bounds.impossible())
}

/// What given settings do at worst, whatever is promised. Without a user timeout,
/// data is given up by net.ipv4.tcp_retries2, which is 15.
pub fn check(promises: &Promises, settings: Settings) -> Tuned {
    let limit = settings.user_timeout.map(Limit::UserTimeout);
    // As far as data is looked at: beyond the end of both limits.
    let until = settings.user_timeout.unwrap_or(GIVEN_UP_BY_DEFAULT) * 2;
    let promises = Promises {
        notice_within: promises.notice_within.max(until),
        ..promises.clone()
    };
    let bounds = Bounds::new(&promises, settings.rto_max.unwrap_or(RTO_MAX));
    let mut tuned = bounds.tuned(settings);
    if promises.when.sending() {
        tuned.worst.sending = Some(bounds.reach(limit.unwrap_or(Limit::Retries(MAX_RETRIES2))));
    }
    tuned
}

fn rto_maxes(promises: &Promises) -> Vec<Duration> {
    let has = |k: &halfopen_predict::KernelFacts| k.version >= RTO_MAX_SYSCTL;
    if promises.when.sending() && promises.kernels.iter().all(has) {
        RTO_MAX_CHOICES
            .into_iter()
            .map(Duration::from_secs)
            .collect()
    } else {
        vec![RTO_MAX]
    }
}

/// The kernels of two promises, with the bounds computed once for them.
pub(super) struct Bounds<'a> {
    pub(super) promises: &'a Promises,
    wheels: Vec<Wheel>,
    data: Vec<UnackedData>,
    rto_max: Duration,
}

impl<'a> Bounds<'a> {
    pub(super) fn new(promises: &'a Promises, rto_max: Duration) -> Self {
        // The rules used here are the same in all versions the predictor
        // knows, but for rto_max; so only HZ tells kernels apart.
        let mut kernels = promises.kernels.clone();
        kernels.sort_by_key(|k| k.hz);
        kernels.dedup_by_key(|k| k.hz);
        let horizon = promises.notice_within.max(promises.ride_out)
            + promises.round_trip
            + Duration::from_secs(1);
        let data = if promises.when.sending() {
            kernels
                .iter()
                .map(|k| {
                    UnackedData::new(*k, (promises.round_trip, promises.path), rto_max, horizon)
                })
                .collect()
        } else {
            Vec::new()
        };
        Bounds {
            promises,
            wheels: kernels.iter().map(|k| k.wheel()).collect(),
            data,
            rto_max,
        }
    }

    /// The same kernels with other promises.
    pub(super) fn with_promises<'b>(&self, promises: &'b Promises) -> Bounds<'b> {
        Bounds::new(promises, self.rto_max)
    }

    /// Whether any settings keep both promises.
    pub(super) fn is_possible(&self) -> bool {
        let Promises {
            notice_within,
            ride_out,
            ..
        } = *self.promises;
        self.find(notice_within, ride_out).is_some()
    }

    /// TCP_RTO_MAX_MS, where it is set.
    pub(super) fn rto_max_option(&self) -> Option<Duration> {
        Some(self.rto_max).filter(|max| *max != RTO_MAX)
    }

    /// Settings that keep both promises.
    fn find(&self, notice: Duration, ride_out: Duration) -> Option<Settings> {
        if !self.promises.when.sending() {
            return self.find_within(notice, ride_out, None);
        }
        let least = self.least_user_timeout(ride_out)?;
        if let Some(certain) = self
            .certain_user_timeout(notice)
            .filter(|certain| *certain >= least)
            && let Some(found) = self.find_within(notice, ride_out, Some((least, certain)))
        {
            return Some(found);
        }
        let greatest = self.greatest_user_timeout(notice).filter(|g| *g >= least);
        // `greatest` is as fine as a tick; the least may be a shade above.
        let fits = || self.reach(Limit::UserTimeout(least)).noticed <= notice;
        let greatest = greatest.or_else(|| fits().then_some(least))?;
        self.find_within(notice, ride_out, Some((least, greatest)))
    }

    /// The same, with user timeouts from these limits that suit data.
    fn find_within(
        &self,
        notice: Duration,
        ride_out: Duration,
        limits: Option<(Duration, Duration)>,
    ) -> Option<Settings> {
        let rto_max = self.rto_max_option();
        let settings = |keepalive, user_timeout| Settings {
            keepalive,
            user_timeout,
            rto_max,
        };
        let idle = self.promises.when.idle();
        let Some((least, greatest)) = limits else {
            let keepalive = self.keepalive(notice, ride_out, &|_| true)?;
            return Some(settings(Some(keepalive), None));
        };
        if !idle {
            return Some(settings(None, Some(round(least, greatest))));
        }
        let limited = |k: Keepalive| self.limits(k, notice, ride_out, least, greatest);
        // Values that hold with and without the user timeout, if there are any.
        let keepalive = self
            .keepalive(notice, ride_out, &|k| limited(k).is_some())
            .or_else(|| self.cheapest(notice, ride_out, &|k| limited(k).is_some()))?;
        let (least, greatest) = limited(keepalive)?;
        Some(settings(Some(keepalive), Some(round(least, greatest))))
    }

    /// The user timeouts between two that suit keepalive too.
    fn limits(
        &self,
        k: Keepalive,
        notice: Duration,
        ride_out: Duration,
        least: Duration,
        greatest: Duration,
    ) -> Option<(Duration, Duration)> {
        let (least, greatest) = (ms_up(least), ms(greatest));
        let rides = |limit| self.ridden(k, Some(limit)).is_some_and(|r| r >= ride_out);
        let in_time = |limit| self.noticed(k, Some(limit)) <= notice;
        let of = |n| Duration::from_millis(n);
        let least = least_for_which(least, greatest, |n| rides(of(n)))?;
        let beyond = least_for_which(least, greatest + 1, |n| n > greatest || !in_time(of(n)))?;
        (beyond > least).then(|| (of(least), of(beyond - 1)))
    }

    /// The cheapest values of keepalive that keep both promises without a user
    /// timeout, and suit `also`.
    fn keepalive(
        &self,
        notice: Duration,
        ride_out: Duration,
        also: &dyn Fn(Keepalive) -> bool,
    ) -> Option<Keepalive> {
        self.cheapest(notice, ride_out, &|k| {
            self.noticed(k, None) <= notice && also(k)
        })
    }

    /// The longest idle time for which `fits`, over all intervals; of equals
    /// the one that probes least during an outage.
    fn cheapest(
        &self,
        notice: Duration,
        ride_out: Duration,
        fits: &dyn Fn(Keepalive) -> bool,
    ) -> Option<Keepalive> {
        let mut best: Option<Keepalive> = None;
        let most = u32::try_from(notice.as_secs())
            .unwrap_or(MAX_SECONDS)
            .min(MAX_SECONDS)
            .min(self.promises.greatest_idle().unwrap_or(MAX_SECONDS));
        for interval in 1..=most {
            // No less than the idle time, the outage and one more interval
            // pass until the end.
            let passes = Duration::from_secs(interval.into()) + ride_out;
            let left = notice.saturating_sub(passes).as_secs();
            if best.is_some_and(|best| left < best.idle.into()) || left < interval.into() {
                break;
            }
            let Some(count) = self.count(interval, ride_out) else {
                continue;
            };
            let of = |idle| Keepalive {
                idle,
                interval,
                count,
            };
            let fails = |idle: u64| !fits(of(u32::try_from(idle).unwrap_or(MAX_SECONDS)));
            let low = u64::from(interval);
            if fails(low) {
                continue;
            }
            let high = u64::from(most).max(low) + 1;
            let Some(beyond) = least_for_which(low, high, |idle| idle == high || fails(idle))
            else {
                continue;
            };
            let found = of(u32::try_from(beyond - 1).unwrap_or(MAX_SECONDS));
            if best.is_none_or(|best| (best.idle, found.count) <= (found.idle, best.count)) {
                best = Some(found);
            }
        }
        best
    }

    /// The fewest probes that ride out an outage.
    fn count(&self, interval: u32, ride_out: Duration) -> Option<u32> {
        let enough = |count: u64| {
            let count = u32::try_from(count).unwrap_or(MAX_PROBES);
            let k = Keepalive {
                idle: interval,
                interval,
                count,
            };
            self.ridden(k, None).is_some_and(|r| r >= ride_out)
        };
        let count = least_for_which(MIN_PROBES.into(), MAX_PROBES.into(), enough)?;
        u32::try_from(count).ok()
    }

    fn timings(&self, k: Keepalive) -> impl Iterator<Item = (Wheel, KeepaliveTiming)> {
        self.wheels
            .iter()
            .map(move |wheel| (*wheel, KeepaliveTiming::new(*wheel, k.idle, k.interval)))
    }

    /// When an idle connection notices, at the latest.
    fn noticed(&self, k: Keepalive, limit: Option<Duration>) -> Duration {
        let one = |(wheel, timing): (Wheel, KeepaliveTiming)| {
            let ticks = limit.map_or_else(
                || timing.latest(k.count),
                |limit| timing.latest_limited(limit),
            );
            wheel.span(ticks)
        };
        // The last segment may still have been on its way.
        let latest = self.timings(k).map(one).max().unwrap_or_default();
        latest + self.promises.round_trip
    }

    /// The longest outage an idle connection surely rides out; None: not even
    /// a single lost probe.
    fn ridden(&self, k: Keepalive, limit: Option<Duration>) -> Option<Duration> {
        let one = |(wheel, timing): (Wheel, KeepaliveTiming)| {
            let ticks = limit.map_or_else(
                || timing.outage_survived(k.count),
                |limit| timing.outage_survived_limited(limit),
            );
            wheel.span(ticks)
        };
        // The outage may take the answer of a probe that arrived.
        let survived = self.timings(k).map(one).min()?;
        let survived = Some(survived).filter(|survived| !survived.is_zero())?;
        survived.checked_sub(self.promises.round_trip)
    }

    /// The least user timeout that rides out an outage while sending.
    pub(super) fn least_user_timeout(&self, ride_out: Duration) -> Option<Duration> {
        // What was sent a round trip before the outage may be unacknowledged.
        let time = ride_out + self.promises.round_trip;
        let each = self.data.iter().map(|s| s.least(time));
        each.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    fn certain_user_timeout(&self, notice: Duration) -> Option<Duration> {
        let time = notice.checked_sub(self.promises.round_trip)?;
        let each = self.data.iter().map(|s| s.certain(time));
        each.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// The greatest user timeout that notices in time while sending.
    pub(super) fn greatest_user_timeout(&self, notice: Duration) -> Option<Duration> {
        let time = notice.checked_sub(self.promises.round_trip)?;
        let each = self.data.iter().map(|s| s.greatest(time));
        each.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// What a limit does to data at worst.
    fn reach(&self, limit: Limit) -> Reach {
        let reaches: Vec<_> = self.data.iter().map(|s| s.reach(limit)).collect();
        let latest = reaches.iter().map(|r| r.latest).max().unwrap_or_default();
        let last = reaches.iter().map(|r| r.last_try).min().unwrap_or_default();
        Reach {
            noticed: latest + self.promises.round_trip,
            ridden: last.saturating_sub(self.promises.round_trip),
        }
    }

    pub(super) fn tuned(&self, settings: Settings) -> Tuned {
        let limit = settings.user_timeout;
        let idle = settings.keepalive.map(|k| Reach {
            noticed: self.noticed(k, limit),
            ridden: self.ridden(k, limit).unwrap_or_default(),
        });
        let sending = limit
            .filter(|_| self.promises.when.sending())
            .map(|limit| self.reach(Limit::UserTimeout(limit)));
        let probes = settings.keepalive.map(|k| {
            let periods = self.timings(k).map(|(w, p)| w.span(p.period()));
            let period = periods.min().unwrap_or(Duration::from_secs(1));
            (3600.0 / period.as_secs_f64()).ceil() as u32
        });
        Tuned {
            settings,
            worst: Worst { idle, sending },
            probes_an_hour: probes,
        }
    }

    /// What there is without TCP_USER_TIMEOUT: the same values of keepalive, if
    /// they hold without it.
    fn without(&self, same: Option<Keepalive>) -> Without {
        let Promises {
            notice_within,
            ride_out,
            when,
            ..
        } = *self.promises;
        let keeps = |k: Keepalive| {
            let rides = self.ridden(k, None).is_some_and(|r| r >= ride_out);
            rides && self.noticed(k, None) <= notice_within
        };
        let keepalive = same
            .filter(|k| keeps(*k))
            .or_else(|| same.and_then(|_| self.keepalive(notice_within, ride_out, &|_| true)));
        let fits = |n: &u32| {
            let reach = self.reach(Limit::Retries(*n));
            reach.noticed <= notice_within && reach.ridden >= ride_out
        };
        let in_time = |n: &u32| budget(*n, RTO_MIN, RTO_MAX) <= notice_within;
        // The most patient ones that may be in time: below, patience only shrinks.
        let retries = (1..=MAX_RETRIES2).rev().filter(in_time).take(3).find(fits);
        let thirds = |idle: u32| Keepalive {
            idle,
            interval: (idle / 3).max(1),
            count: 3,
        };
        let most = u32::try_from(notice_within.as_secs()).unwrap_or(MAX_SECONDS);
        let mut all = (1..=most.min(MAX_SECONDS)).rev();
        Without {
            keepalive,
            thirds: all.find(|idle| when.idle() && keeps(thirds(*idle))),
            retries2: retries.filter(|_| when.sending() && self.rto_max == RTO_MAX),
        }
    }

    fn impossible(&self) -> Impossible {
        let Promises {
            notice_within,
            ride_out,
            ..
        } = *self.promises;
        let quick = self.quickest(notice_within, ride_out);
        let patient = self.most_patient(ride_out);
        Impossible {
            breaks: match quick {
                // Even without any outage nothing is in time.
                None => Promise::NoticeWithin,
                Some(_) => Promise::RideOut,
            },
            because: proof::why(self, quick.as_ref(), patient.as_ref()),
            patient,
            quick,
            possible_with_rto_max: self.rto_max_option().is_none()
                && self.promises.when.sending()
                && Bounds::new(self.promises, Duration::from_secs(1)).is_possible(),
        }
    }

    /// What notices in time and rides out the longest outage.
    fn quickest(&self, notice: Duration, ride_out: Duration) -> Option<Tuned> {
        let greatest = if self.promises.when.sending() {
            Some(self.greatest_user_timeout(notice)?)
        } else {
            None
        };
        let find = |ride_out: Duration| {
            let limits = match greatest {
                Some(greatest) => Some((self.least_user_timeout(ride_out)?, greatest)),
                None => None,
            };
            if limits.is_some_and(|(least, greatest)| least > greatest) {
                return None;
            }
            self.find_within(notice, ride_out, limits)
        };
        let mut found = find(Duration::ZERO)?;
        let (mut low, mut high) = (Duration::ZERO, ride_out);
        while high - low > PRECISION {
            let middle = low + (high - low) / 2;
            match find(middle) {
                Some(better) => (found, low) = (better, middle),
                None => high = middle,
            }
        }
        Some(self.tuned(found))
    }

    /// What rides out the outage and notices soonest.
    fn most_patient(&self, ride_out: Duration) -> Option<Tuned> {
        let limits = if self.promises.when.sending() {
            let least = self.least_user_timeout(ride_out)?;
            Some((least, self.reach(Limit::UserTimeout(least)).noticed))
        } else {
            None
        };
        let find = |notice: Duration| {
            let limits = match limits {
                Some((_, noticed)) if noticed > notice => return None,
                Some((least, _)) => {
                    let certain = self.certain_user_timeout(notice).unwrap_or(least);
                    Some((least, certain.max(least)))
                }
                None => None,
            };
            self.find_within(notice, ride_out, limits)
        };
        let mut high = self.promises.notice_within.max(ride_out) * 2 + Duration::from_secs(4);
        let mut found = loop {
            match find(high) {
                Some(found) => break found,
                None if high > MAX_NOTICE => return None,
                None => high *= 2,
            }
        };
        let mut low = Duration::ZERO;
        while high - low > PRECISION {
            let middle = low + (high - low) / 2;
            match find(middle) {
                Some(better) => (found, high) = (better, middle),
                None => low = middle,
            }
        }
        Some(self.tuned(found))
    }
}

/// The least number from `low` to `high` for which `holds`, which holds for all
/// that follow.
fn least_for_which(low: u64, high: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if low > high || !holds(high) {
        return None;
    }
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn ms_up(time: Duration) -> u64 {
    let ms = time.as_nanos().div_ceil(1_000_000);
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// The greatest of the times between two that a person would write: in whole
/// seconds, else in tenths, else in milliseconds.
fn round(least: Duration, greatest: Duration) -> Duration {
    let least = ms_up(least);
    let greatest = ms(greatest).max(least);
    let written = [1000, 100, 1]
        .into_iter()
        .map(|unit| greatest / unit * unit)
        .find(|n| *n >= least && *n > 0)
        .unwrap_or(greatest);
    Duration::from_millis(written)
}

#[cfg(test)]
mod tests;
