//! The SYN timer: connect() when nobody answers.
//!
//! The first SYN is sent again after one second (TCP_TIMEOUT_INIT), then
//! tcp_syn_linear_timeouts times (6.5) at the same distance, then doubling.
//! tcp_write_timeout() gives up after tcp_syn_retries + linear retransmissions, or when
//! (2^(n+1) - 1) s have passed since connect(), or TCP_USER_TIMEOUT.

use std::time::Duration;

use crate::retransmission::RESOURCE_PROBE_INTERVAL;
use crate::retransmission::budget;
use crate::span::Spans;
use crate::wheel::{Arms, Jiffies, Phase, Wheel};

/// TCP_TIMEOUT_INIT.
const TIMEOUT_INIT: Duration = Duration::from_secs(1);
const RTO_MAX: Duration = Duration::from_secs(120);

/// The settings of a connect() whose SYNs are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syn {
    /// TCP_SYNCNT or tcp_syn_retries.
    pub syn_retries: u32,
    /// tcp_syn_linear_timeouts; 0 before 6.5.
    pub linear: u32,
    /// TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// The own qdisc drops each SYN: again after half a second, without
    /// back-off (TCP_RESOURCE_PROBE_INTERVAL, 5.1).
    pub by_own_qdisc: bool,
}

impl Syn {
    /// The time limit.
    pub fn budget(&self) -> Duration {
        self.user_timeout
            .unwrap_or_else(|| budget(self.syn_retries, TIMEOUT_INIT, RTO_MAX))
    }

    /// When SYNs are sent again, in order, and when connect() fails with ETIMEDOUT, both
    /// counted from the call.
    pub fn course(&self, wheel: Wheel, phase: Phase) -> (Vec<Spans>, Spans) {
        let mut abort_at = Vec::new();
        let mut attempts: Vec<Vec<(Jiffies, Jiffies)>> = Vec::new();
        for began in wheel.beginnings(wheel.ticks(RTO_MAX), phase) {
            for before in since_tick(wheel, phase) {
                let run = self.run(wheel, began, before);
                for (n, at) in run.0.into_iter().enumerate() {
                    if attempts.len() <= n {
                        attempts.push(Vec::new());
                    }
                    attempts[n].push((began, at));
                }
                abort_at.push((began, run.1));
            }
        }
        let spans = |ticks: &Vec<_>| Spans::of_ticks(ticks, wheel, phase);
        (attempts.iter().map(spans).collect(), spans(&abort_at))
    }

    /// One course in ticks: the retransmissions and the failure. connect() came `before`
    /// after its tick, in the milliseconds that TCP counts.
    fn run(&self, wheel: Wheel, began: Jiffies, before: Duration) -> (Vec<Jiffies>, Jiffies) {
        let mut attempts = Vec::new();
        let mut rto = wheel.ticks(TIMEOUT_INIT);
        let mut now = wheel.fires(began, rto, Arms::Anyone);
        let most = self.syn_retries + self.linear;
        loop {
            let elapsed = wheel.span(now - began).saturating_sub(before);
            let retransmits = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
            if retransmits >= most || (retransmits > 0 && elapsed >= self.budget()) {
                return (attempts, now);
            }
            attempts.push(now);
            if retransmits + 1 > self.linear {
                rto = (rto * 2).min(wheel.ticks(RTO_MAX));
            }
            let mut wait = self.user_timeout.map_or(rto, |limit| {
                rto.min(wheel.ticks(limit.saturating_sub(elapsed)).max(1))
            });
            if self.by_own_qdisc {
                wait = wheel.ticks(RESOURCE_PROBE_INTERVAL);
            }
            now = wheel.fires(now, wait, Arms::Timer);
        }
    }
}

/// How long before connect() its tick may have been, as TCP counts it: whole milliseconds
/// (tcp_time_stamp_ts()), cut off at both ends.
fn since_tick(wheel: Wheel, phase: Phase) -> Vec<Duration> {
    let whole = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(0);
    let (least, most) = match phase {
        Phase::Known { into_tick, .. } => (whole(into_tick), whole(into_tick) + 1),
        Phase::Unknown => (0, whole(wheel.tick()) + 1),
    };
    (least..=most).map(Duration::from_millis).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abort_at(syn_retries: u32, linear: u32) -> (f64, f64) {
        let syn = Syn {
            syn_retries,
            linear,
            user_timeout: None,
            by_own_qdisc: false,
        };
        let hull = syn.course(Wheel::new(250), Phase::Unknown).1.hull();
        let hull = hull.expect("every connect() ends");
        (hull.earliest.as_secs_f64(), hull.latest.as_secs_f64())
    }

    #[test]
    fn defaults_before_and_after_6_5() {
        let (earliest, latest) = abort_at(6, 0);
        assert!(
            earliest >= 127.0 && latest < 133.0,
            "{earliest} to {latest}"
        );
        let (earliest, latest) = abort_at(6, 4);
        assert!(
            earliest >= 131.0 && latest < 137.0,
            "{earliest} to {latest}"
        );
    }

    #[test]
    fn one_retry_is_three_seconds_either_way() {
        for linear in [0, 4] {
            let (earliest, latest) = abort_at(1, linear);
            assert!(
                earliest >= 3.0 && latest < 3.2,
                "{linear}: {earliest} to {latest}"
            );
        }
    }
}
