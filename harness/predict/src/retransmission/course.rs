//! The course of unacknowledged data: loss probe, retransmissions, abort.
//!
//! net/ipv4/tcp_timer.c and tcp_output.c: a tail loss probe after 2 x srtt + rto_min, or at
//! the RTO if that is sooner (tcp_schedule_loss_probe(), 3.10), then the RTO, which doubles
//! up to TCP_RTO_MAX. The connection is aborted at the first expiry of the RTO at which the
//! time since the first *RTO* retransmission has reached the budget of tcp_retries2
//! (retransmits_timed_out(); a failed attempt counts as the first since 5.1), or
//! TCP_USER_TIMEOUT, to which the RTO is clamped (4.19).

use std::time::Duration;

use crate::retransmission::rtt::Rtt;
use crate::span::Spans;
use crate::wheel::{Arms, Jiffies, Phase, Wheel};

/// TCP_RESOURCE_PROBE_INTERVAL (HZ / 2): the wait after a segment that the own qdisc
/// dropped.
pub(crate) const RESOURCE_PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// TCP_RTO_MIN, the constant that the budget is made of.
pub const RTO_MIN: Duration = Duration::from_millis(200);
/// How exactly a timer's function runs on its tick, and what milliseconds cut off
/// (tcp_time_stamp_ts()): within this distance of the budget both results are possible.
const BUDGET_TOLERANCE: Duration = Duration::from_millis(1);
/// TCP_TIMEOUT_MIN_US (6.6 and stable kernels since; two ticks before).
const TIMEOUT_MIN: Duration = Duration::from_millis(2);
/// icsk_retransmits is a byte: at every 256th retransmission it reads as none.
const RETRANSMITS_WRAP: u32 = 256;
/// TCP_THIN_LINEAR_RETRIES.
pub(crate) const THIN_LINEAR: u32 = 6;
/// Upper limit of expiries that are simulated.
const MAX_EXPIRIES: u32 = 4_000;

/// The time tcp_model_timeout() allows for `n` retransmissions: doubling from
/// `base` until `max`.
pub fn budget(n: u32, base: Duration, max: Duration) -> Duration {
    let doublings = (max.as_nanos() / base.as_nanos().max(1)).max(1).ilog2();
    let doubled = |n: u32| base.saturating_mul((2_u32 << n.min(30)) - 1);
    if n <= doublings {
        doubled(n)
    } else {
        doubled(doublings).saturating_add(max.saturating_mul(n - doublings))
    }
}

/// The fate of each retransmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It leaves and is lost, or fails with an error below 0.
    Lost,
    /// The own host's qdisc drops it: again after half a second, without
    /// back-off (TCP_RESOURCE_PROBE_INTERVAL).
    DroppedByOwnQdisc,
    /// An ICMP error comes back at once that reverts the back-off (tcp_ld_RTO_revert(), RFC
    /// 6069).
    Reverted {
        /// The first segment has drawn one, too.
        answered: bool,
        /// The burst of errors that may come at once, then one a second. None: each attempt
        /// draws one.
        limit: Option<u32>,
        /// Delay of each error, including the attempt that draws it.
        after: Duration,
    },
}

/// Unacknowledged data in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// The round-trip estimate.
    pub rtt: Rtt,
    /// tcp_rto_min_us (6.11), else 200 ms: the least rttvar.
    pub rto_min: Duration,
    /// tcp_rto_max_ms (6.15), else 120 s.
    pub rto_max: Duration,
    /// tcp_retries2.
    pub retries2: u32,
    /// TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// tcp_early_retrans is 3 or 4 and SACK is on.
    pub tail_loss_probe: bool,
    /// tcp_thin_linear_timeouts, and less than four segments are out.
    pub thin_linear: bool,
    /// More than one segment is out: the tail loss probe does not wait for a
    /// delayed acknowledgment.
    pub several: bool,
    /// Tries fail before they are stamped: the own host has no route
    /// (rebuild_header()), or the first packet still waits for a neighbour
    /// (skb_still_in_host_queue()). The budget then counts from the write.
    pub never_leaves: bool,
    /// The fate of retransmissions.
    pub attempt: Attempt,
}

/// All possible courses, counted from the write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// The loss probe and the retransmissions, in order.
    pub attempts: Vec<Spans>,
    /// The abort.
    pub abort_at: Spans,
}

/// One course, in ticks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// The loss probe and the retransmissions.
    pub attempts: Vec<Jiffies>,
    /// The abort: several moments when an expiry is too close to the budget to decide.
    pub abort_at: Vec<Jiffies>,
}

impl Flight {
    /// The time budget that applies.
    pub fn budget(&self) -> Duration {
        self.user_timeout
            .unwrap_or_else(|| budget(self.retries2, RTO_MIN, self.rto_max))
    }

    /// The RTO, at least and at most, in ticks: __tcp_set_rto().
    pub(crate) fn rtos(&self, wheel: Wheel) -> std::ops::RangeInclusive<u64> {
        let (least, most) = self.rtt.rto(self.rto_min, self.rto_max);
        wheel.ticks(least)..=wheel.ticks(most)
    }

    /// The RTO with the times the loss probe may come after: tcp_schedule_loss_probe().
    pub(crate) fn probes(&self, wheel: Wheel, rto: u64) -> impl Iterator<Item = (u64, u64)> {
        let probe = |rtt: Duration| {
            let more = if self.several {
                TIMEOUT_MIN
            } else {
                self.rto_min
            };
            wheel.ticks(rtt * 2 + more).min(rto)
        };
        (probe(self.rtt.srtt.0)..=probe(self.rtt.srtt.1)).map(move |probe| (rto, probe))
    }

    /// The longest timer, which determines how many phases of the wheel have to be tried.
    fn longest_wait(&self) -> Duration {
        let (_, first) = self.rtt.rto(self.rto_min, self.rto_max);
        let doubled = self.rto_max.min(self.budget().saturating_mul(2));
        match self.attempt {
            Attempt::Lost => doubled,
            Attempt::DroppedByOwnQdisc => first.max(RESOURCE_PROBE_INTERVAL),
            // Back-off is taken back at once; only where the byte that counts
            // retransmissions wraps, one is left.
            Attempt::Reverted { limit: None, .. } => doubled.min(first.saturating_mul(2)),
            // Errors come once a second, and so tries come about as often.
            Attempt::Reverted { .. } => doubled.min(first.saturating_mul(32)),
        }
    }

    /// The courses over every phase and every RTO.
    pub fn course(&self, wheel: Wheel, phase: Phase) -> Course {
        let mut attempts: Vec<Vec<(Jiffies, Jiffies)>> = Vec::new();
        let mut abort_at = Vec::new();
        let longest = wheel.ticks(self.longest_wait());
        for began in wheel.beginnings(longest, phase) {
            for (rto, probe) in self.rtos(wheel).flat_map(|rto| self.probes(wheel, rto)) {
                let run = self.run_with(wheel, began, rto, probe);
                if phase == Phase::Unknown {
                    let shifted = self.shifted_abort(wheel, &run);
                    abort_at.extend(shifted.map(|at| (began, at)));
                }
                for (n, at) in run.attempts.into_iter().enumerate() {
                    if attempts.len() <= n {
                        attempts.push(Vec::new());
                    }
                    attempts[n].push((began, at));
                }
                abort_at.extend(run.abort_at.into_iter().map(|at| (began, at)));
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

    /// Where retransmissions are evenly spaced, sooner moments at which the abort may come,
    /// too: each expiry that runs a tick late moves all later ones, and of a hundred
    /// another one may be the first behind the budget.
    fn shifted_abort(&self, wheel: Wheel, run: &Run) -> std::ops::Range<Jiffies> {
        let evenly = matches!(self.attempt, Attempt::Reverted { limit: None, .. });
        let first = run.attempts.get(usize::from(self.tail_loss_probe));
        match (first, run.abort_at.first()) {
            (Some(first), Some(abort)) if evenly && !self.never_leaves => {
                (first + wheel.ticks(self.budget())).min(*abort)..*abort
            }
            _ => 0..0,
        }
    }

    /// One course from a known moment and with a known RTO; several ends when an expiry is
    /// too close to the budget to decide.
    pub fn run(&self, wheel: Wheel, began: Jiffies, rto: u64) -> Run {
        let (_, probe) = self.probes(wheel, rto).last().unwrap_or((rto, rto));
        self.run_with(wheel, began, rto, probe)
    }

    /// The same, with the loss probe after so many ticks.
    fn run_with(&self, wheel: Wheel, began: Jiffies, rto: u64, probe: u64) -> Run {
        let mut run = Run {
            attempts: Vec::new(),
            abort_at: Vec::new(),
        };
        let rto_max = wheel.ticks(self.rto_max);
        let mut now = began;
        let mut wait = rto;
        let mut arms = Arms::Anyone;
        let (answered, limit, after) = match self.attempt {
            Attempt::Reverted {
                answered,
                limit,
                after,
            } => (answered, limit, wheel.whole_ticks(after)),
            _ => (false, None, 0),
        };
        let mut errors = ErrorTokens::new(limit, wheel, began);
        if answered {
            errors.take_token(began);
        }
        if self.tail_loss_probe {
            now = wheel.fires(now, probe, Arms::Anyone);
            arms = Arms::Timer;
            if self.never_leaves {
                // tcp_rearm_rto(): what is left of the RTO, one tick at least.
                wait = (began + rto).saturating_sub(now).max(1);
            } else {
                run.attempts.push(now);
                errors.take_token(now);
            }
        }
        let mut base = rto;
        let mut backoff = 0_u32;
        let mut first = self.never_leaves.then_some(began);
        let budget = self.budget();
        for retransmits in 0..MAX_EXPIRIES {
            now = wheel.fires(now, wait, arms);
            arms = Arms::Timer;
            // retransmits_timed_out() asks for one retransmission at least.
            if let Some(first) = first.filter(|_| !retransmits.is_multiple_of(RETRANSMITS_WRAP)) {
                let elapsed = wheel.span(now - first);
                if elapsed + BUDGET_TOLERANCE >= budget {
                    run.abort_at.push(now);
                }
                if elapsed >= budget + BUDGET_TOLERANCE || elapsed == budget {
                    break;
                }
            }
            run.attempts.push(now);
            let first = *first.get_or_insert(now);
            wait = match self.attempt {
                Attempt::DroppedByOwnQdisc => wheel.ticks(RESOURCE_PROBE_INTERVAL),
                Attempt::Reverted { .. } => {
                    backoff += 1;
                    let wait = |backoff: u32| (rto << backoff.min(20)).min(rto_max);
                    let counted = !(retransmits + 1).is_multiple_of(RETRANSMITS_WRAP);
                    if errors.take_token(now) && counted {
                        backoff -= 1;
                        // The error's softirq arms it, not the timer's function,
                        // for what is left: the way there and back is a tick.
                        arms = Arms::Anyone;
                        now += after;
                        wait(backoff).saturating_sub(after + 1).max(1)
                    } else {
                        self.clamped(wait(backoff), wheel, wheel.span(now - first))
                    }
                }
                Attempt::Lost => {
                    if !(self.thin_linear && retransmits < THIN_LINEAR) {
                        base = (base * 2).min(rto_max);
                    }
                    self.clamped(base, wheel, wheel.span(now - first))
                }
            };
        }
        run
    }

    /// tcp_clamp_rto_to_user_timeout(): what is left of TCP_USER_TIMEOUT.
    fn clamped(&self, rto: u64, wheel: Wheel, elapsed: Duration) -> u64 {
        let Some(limit) = self.user_timeout else {
            return rto;
        };
        let left = wheel.ticks(limit.saturating_sub(elapsed));
        rto.min(left.max(1))
    }
}

/// Token bucket of the ICMP errors that a router without a route may send.
struct ErrorTokens {
    /// Capacity; None: unlimited.
    burst: Option<u32>,
    second: u64,
    /// In ticks, as the kernel counts them.
    tokens: u64,
    last: Jiffies,
}

impl ErrorTokens {
    fn new(burst: Option<u32>, wheel: Wheel, now: Jiffies) -> Self {
        let second = wheel.ticks(Duration::from_secs(1));
        ErrorTokens {
            burst,
            second,
            tokens: second * u64::from(burst.unwrap_or(0)),
            last: now,
        }
    }

    /// Whether a packet draws an error.
    fn take_token(&mut self, now: Jiffies) -> bool {
        let Some(burst) = self.burst else { return true };
        let most = self.second * u64::from(burst);
        self.tokens = (self.tokens + (now - self.last)).min(most);
        self.last = now;
        let enough = self.tokens >= self.second;
        if enough {
            self.tokens -= self.second;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(retries2: u32) -> Flight {
        Flight {
            rtt: Rtt::steady(Duration::ZERO, Duration::from_millis(4)),
            rto_min: RTO_MIN,
            rto_max: Duration::from_secs(120),
            retries2,
            user_timeout: None,
            tail_loss_probe: true,
            thin_linear: false,
            several: false,
            never_leaves: false,
            attempt: Attempt::Lost,
        }
    }

    fn abort_range(flight: &Flight) -> (f64, f64) {
        let course = flight.course(Wheel::new(250), Phase::Unknown);
        let hull = course.abort_at.hull().expect("every budget ends");
        (hull.earliest.as_secs_f64(), hull.latest.as_secs_f64())
    }

    fn nominal(n: u32) -> f64 {
        budget(n, RTO_MIN, Duration::from_secs(120)).as_secs_f64()
    }

    /// Documentation/networking/ip-sysctl.rst: "the default value of 15 yields
    /// a hypothetical timeout of 924.6 seconds".
    #[test]
    fn published_budgets() {
        assert!((nominal(15) - 924.6).abs() < 1e-6);
        assert!((nominal(8) - 102.2).abs() < 1e-6);
        assert!((nominal(2) - 1.4).abs() < 1e-6);
        assert!((nominal(0) - 0.2).abs() < 1e-6);
        // tcp_syn_retries 6: 127 s (the same text).
        let syn = budget(6, Duration::from_secs(1), Duration::from_secs(120));
        assert_eq!(syn, Duration::from_secs(127));
    }

    /// KERNEL.md 11: measured in virtual time on 5.10 to 7.3.
    #[test]
    fn defaults_cover_what_was_measured() {
        let (earliest, latest) = abort_range(&flight(15));
        for measured in [938.0, 939.6] {
            assert!(
                (earliest..=latest).contains(&measured),
                "{earliest} to {latest}"
            );
        }
        assert!(latest - earliest < 20.0, "{earliest} to {latest}");
    }

    #[test]
    fn two_retries_take_three_seconds_and_a_half() {
        let (earliest, latest) = abort_range(&flight(2));
        assert!(earliest > 3.2 && latest < 3.45, "{earliest} to {latest}");
    }

    #[test]
    fn the_cliff_is_two_branches_not_their_mean() {
        let course = flight(4).course(Wheel::new(250), Phase::Unknown);
        assert!(course.abort_at.iter().count() >= 2, "{:?}", course.abort_at);
        assert!(
            !course
                .abort_at
                .iter()
                .any(|s| s.contains(Duration::from_secs(10)))
        );
    }

    #[test]
    fn user_timeout_is_kept_from_the_first_retransmission() {
        let mut limited = flight(15);
        limited.user_timeout = Some(Duration::from_secs(2));
        let (earliest, latest) = abort_range(&limited);
        assert!(earliest > 2.4 && latest < 2.46, "{earliest} to {latest}");
    }

    #[test]
    fn a_reverted_backoff_ends_sooner() {
        let mut reverted = flight(2);
        reverted.attempt = Attempt::Reverted {
            answered: true,
            limit: None,
            after: Duration::ZERO,
        };
        let (earliest, latest) = abort_range(&reverted);
        // Measured in virtual time on 6.12: 1.841 to 1.843 s.
        assert!(earliest > 1.8 && latest < 1.85, "{earliest} to {latest}");
    }

    /// Measured on 6.18: 1.46 to 1.5 s, where silence takes 3.3 s.
    #[test]
    fn what_never_leaves_is_given_up_sooner() {
        let mut stuck = flight(2);
        stuck.never_leaves = true;
        let (earliest, latest) = abort_range(&stuck);
        assert!(earliest > 1.43 && latest < 1.51, "{earliest} to {latest}");
    }

    #[test]
    fn own_drops_come_every_half_second() {
        let mut dropped = flight(2);
        dropped.attempt = Attempt::DroppedByOwnQdisc;
        let (earliest, latest) = abort_range(&dropped);
        assert!(earliest > 1.9 && latest < 2.0, "{earliest} to {latest}");
    }
}
