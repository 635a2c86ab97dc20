//! The probe timer for data that the own host cannot send.
//!
//! A segment that fails to leave (an error of ip_queue_xmit(), a drop by nft in `output` or
//! by the own qdisc) never gets into flight: tcp_check_probe_timer() arms the probe timer
//! with max(RTO, 200 ms). tcp_probe_timer() counts probes and aborts when tcp_retries2 of
//! them are out, which is a *number* here. An error doubles the wait; after a drop by the
//! own qdisc it is half a second (5.1). TCP_USER_TIMEOUT counts from the first probe
//! (5.11).

use std::time::Duration;

use crate::retransmission::RESOURCE_PROBE_INTERVAL;
use crate::retransmission::rtt::Rtt;
use crate::retransmission::{Course, RTO_MIN};
use crate::span::Spans;
use crate::wheel::{Arms, Jiffies, Phase, Wheel};

/// Data that waits for the probe timer and never leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsent {
    /// The round-trip estimate.
    pub rtt: Rtt,
    /// tcp_rto_min_us (6.11), else 200 ms.
    pub rto_min: Duration,
    /// tcp_rto_max_ms (6.15), else 120 s.
    pub rto_max: Duration,
    /// tcp_retries2.
    pub retries2: u32,
    /// TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// The own qdisc drops it (else an error below 0, or a closed window).
    pub by_own_qdisc: bool,
}

impl Unsent {
    /// When it is sent again and given up, counted from the write.
    pub fn course(&self, wheel: Wheel, phase: Phase) -> Course {
        let (least, most) = self.rtt.rto(self.rto_min, self.rto_max);
        let ticks = |rto: Duration| wheel.ticks(rto.max(RTO_MIN));
        let mut abort_at = Vec::new();
        let mut attempts: Vec<Vec<(Jiffies, Jiffies)>> = Vec::new();
        for began in wheel.beginnings(wheel.ticks(self.rto_max), phase) {
            for base in ticks(least)..=ticks(most) {
                let (tries, end) = self.run(wheel, began, base);
                for (n, at) in tries.into_iter().enumerate() {
                    if attempts.len() <= n {
                        attempts.push(Vec::new());
                    }
                    attempts[n].push((began, at));
                }
                abort_at.push((began, end));
            }
        }
        Course {
            attempts: attempts
                .iter()
                .map(|ticks| Spans::of_ticks(ticks, wheel, phase))
                .collect(),
            abort_at: Spans::of_ticks(&abort_at, wheel, phase),
        }
    }

    fn run(&self, wheel: Wheel, began: Jiffies, base: u64) -> (Vec<Jiffies>, Jiffies) {
        let limit = self.user_timeout.map(|t| wheel.ticks(t));
        let mut tries = Vec::new();
        let mut now = wheel.fires(began, base, Arms::Anyone);
        let mut backoff = 0;
        while (tries.len() as u64) < u64::from(self.retries2) {
            let first = tries.first().copied();
            if let (Some(first), Some(limit)) = (first, limit)
                && now - first >= limit
            {
                break;
            }
            tries.push(now);
            let mut wait = if self.by_own_qdisc {
                wheel.ticks(RESOURCE_PROBE_INTERVAL)
            } else {
                // tcp_probe0_when(): 2^10 times at most.
                backoff = (backoff + 1).min(self.retries2);
                (base << backoff.min(10)).min(wheel.ticks(self.rto_max))
            };
            if let Some(limit) = limit {
                let left = limit.saturating_sub(now - first.unwrap_or(now));
                wait = wait.min(left.max(2));
            }
            now = wheel.fires(now, wait, Arms::Timer);
        }
        (tries, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsent(retries2: u32, by_own_qdisc: bool) -> Unsent {
        Unsent {
            rtt: Rtt::steady(Duration::ZERO, Duration::from_millis(4)),
            rto_min: RTO_MIN,
            rto_max: Duration::from_secs(120),
            retries2,
            user_timeout: None,
            by_own_qdisc,
        }
    }

    fn abort_at(unsent: &Unsent) -> (f64, f64) {
        let course = unsent.course(Wheel::new(250), Phase::Unknown);
        let hull = course.abort_at.hull().expect("every count ends");
        (hull.earliest.as_secs_f64(), hull.latest.as_secs_f64())
    }

    #[test]
    fn errors_back_off_and_own_drops_do_not() {
        let (earliest, latest) = abort_at(&unsent(2, false));
        assert!(earliest > 1.42 && latest < 1.5, "{earliest} to {latest}");
        let (earliest, latest) = abort_at(&unsent(2, true));
        assert!(earliest > 1.2 && latest < 1.28, "{earliest} to {latest}");
    }

    #[test]
    fn user_timeout_counts_from_the_first_probe() {
        let mut limited = unsent(15, false);
        limited.user_timeout = Some(Duration::from_secs(2));
        let (earliest, latest) = abort_at(&limited);
        assert!(earliest > 2.2 && latest < 2.26, "{earliest} to {latest}");
    }
}
