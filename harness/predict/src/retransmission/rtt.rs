//! TCP's round-trip estimate: tcp_rtt_estimator() and __tcp_set_rto() in
//! net/ipv4/tcp_input.c and include/net/tcp.h.
//!
//! The first sample m sets srtt = m and rttvar = max(2 m, rto_min), so the first RTO is
//! three round trips and not less than one and 200 ms. Later ones move srtt by an eighth,
//! and the deviation by a quarter, but less when they are shorter than expected (Eifel);
//! rttvar follows a greater deviation at once, and a smaller one by a quarter once per
//! window (rtt_seq). Samples are microseconds since 4.1; a retransmitted segment is
//! measured by its time stamp, or not at all (Karn).

use std::time::Duration;

/// Maximum number of estimates that are kept apart.
const MAX_ESTIMATES: usize = 32;

/// The estimate, at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rtt {
    /// Smoothed.
    pub srtt: (Duration, Duration),
    /// What the RTO adds, unless rto_min is more.
    pub variation: (Duration, Duration),
}

impl Rtt {
    /// Of a round trip that hardly varies, somewhere between these.
    pub const fn steady(least: Duration, most: Duration) -> Self {
        Rtt {
            srtt: (least, most),
            variation: (Duration::ZERO, half(most)),
        }
    }

    /// The RTO, at least and at most: __tcp_set_rto().
    pub fn rto(&self, rto_min: Duration, rto_max: Duration) -> (Duration, Duration) {
        let rto = |srtt: Duration, variation: Duration| {
            srtt.saturating_add(variation.max(rto_min)).min(rto_max)
        };
        (
            rto(self.srtt.0, self.variation.0),
            rto(self.srtt.1, self.variation.1),
        )
    }
}

const fn half(time: Duration) -> Duration {
    Duration::from_nanos((time.as_nanos() / 2) as u64)
}

/// One estimate, in the kernel's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Estimate {
    /// Eight times the smoothed round trip, microseconds.
    srtt: u64,
    /// Four times the mean deviation.
    mdev: u64,
    /// The greatest deviation of this window.
    mdev_max: u64,
    rttvar: u64,
}

impl Estimate {
    fn first(m: u64, rto_min: u64) -> Self {
        let m = m.max(1);
        let rttvar = (m * 2).max(rto_min);
        Estimate {
            srtt: m * 8,
            mdev: m * 2,
            mdev_max: rttvar,
            rttvar,
        }
    }

    /// tcp_rtt_estimator() with a window that has ended.
    fn next(mut self, m: u64, rto_min: u64) -> Self {
        let m = m.max(1);
        let expected = self.srtt / 8;
        self.srtt = (self.srtt + m - expected).max(1);
        let deviation = m.abs_diff(expected);
        let mean = self.mdev / 4;
        self.mdev = if m < expected && deviation > mean {
            self.mdev + (deviation - mean) / 8
        } else {
            self.mdev + deviation - mean
        };
        if self.mdev > self.mdev_max {
            self.mdev_max = self.mdev;
            self.rttvar = self.rttvar.max(self.mdev_max);
        }
        if self.mdev_max < self.rttvar {
            self.rttvar -= (self.rttvar - self.mdev_max) / 4;
        }
        self.mdev_max = rto_min;
        self
    }
}

/// One end's estimates, for every possible value of its samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RttEstimator {
    all: Vec<Estimate>,
}

impl RttEstimator {
    /// Whether nothing was measured yet.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes a sample: the time from a segment to its acknowledgment.
    pub fn measure(&mut self, least: Duration, most: Duration, rto_min: Duration) {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 8);
        let rto_min = us(rto_min);
        let samples = [us(least), us(most)];
        let mut next: Vec<Estimate> = if self.all.is_empty() {
            samples.map(|m| Estimate::first(m, rto_min)).into()
        } else {
            let each = self.all.iter();
            each.flat_map(|e| samples.map(|m| e.next(m, rto_min)))
                .collect()
        };
        next.sort_unstable();
        next.dedup();
        if next.len() > MAX_ESTIMATES {
            // The outermost estimates bound the others.
            next.sort_unstable_by_key(|e| e.srtt / 8 + e.rttvar);
            let (low, high) = (
                next[..MAX_ESTIMATES / 2].to_vec(),
                &next[next.len() - MAX_ESTIMATES / 2..],
            );
            next = [low.as_slice(), high].concat();
        }
        self.all = next;
    }

    /// The resulting estimate; None when nothing was measured.
    pub fn estimate(&self) -> Option<Rtt> {
        let of = |value: fn(&Estimate) -> u64| {
            let least = self.all.iter().map(value).min()?;
            let most = self.all.iter().map(value).max()?;
            Some((Duration::from_micros(least), Duration::from_micros(most)))
        };
        Some(Rtt {
            srtt: of(|e| e.srtt / 8)?,
            variation: of(|e| e.rttvar)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTO_MIN: Duration = Duration::from_millis(200);
    const RTO_MAX: Duration = Duration::from_secs(120);

    fn rto(samples: &[u64]) -> Duration {
        let mut estimator = RttEstimator::default();
        for ms in samples {
            let m = Duration::from_millis(*ms);
            estimator.measure(m, m, RTO_MIN);
        }
        let rtt = estimator.estimate().expect("something was measured");
        let (least, most) = rtt.rto(RTO_MIN, RTO_MAX);
        assert_eq!(least, most);
        least
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// RFC 6298 2.2: SRTT = R, RTTVAR = R / 2, RTO = SRTT + 4 RTTVAR.
    #[test]
    fn the_first_rto_is_three_round_trips() {
        assert_eq!(rto(&[160]), ms(480));
        assert_eq!(rto(&[10]), ms(210));
        assert_eq!(rto(&[0]), ms(200) + Duration::from_micros(1));
    }

    /// Measured in virtual time on 6.12 behind a line of 100 ms each way: the
    /// SYN waited for ARP (400 ms), and the RTO was 1176 ms after one exchange.
    #[test]
    fn a_shorter_sample_moves_it_by_an_eighth() {
        assert_eq!(rto(&[400, 200]), ms(1175));
    }

    /// Steady samples let the variation sink to rto_min, a quarter a round trip.
    #[test]
    fn steady_round_trips_end_at_200_ms_and_one() {
        assert_eq!(rto(&[400, 400]), ms(400 + 800));
        let many = rto(&[400; 60]);
        assert!(many < ms(605) && many >= ms(600), "{many:?}");
    }

    /// A line that becomes longer: the deviation is followed at once.
    #[test]
    fn a_longer_sample_is_followed_at_once() {
        let longer = rto(&[1, 1, 1, 1601]);
        assert!(longer > ms(1700) && longer < ms(1810), "{longer:?}");
    }

    #[test]
    fn what_is_unknown_stays_between_the_outermost() {
        let mut estimator = RttEstimator::default();
        for _ in 0..40 {
            estimator.measure(ms(100), ms(140), RTO_MIN);
        }
        let rtt = estimator.estimate().expect("measured");
        assert!(rtt.srtt.0 >= ms(99) && rtt.srtt.1 <= ms(141), "{rtt:?}");
        assert!(estimator.all.len() <= MAX_ESTIMATES);
    }
}
