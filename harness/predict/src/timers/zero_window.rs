//! The probe timer while the peer's window is closed.
//!
//! tcp_probe_timer() and tcp_send_probe0() in net/ipv4/tcp_timer.c and tcp_output.c: a
//! window probe max(RTO, 200 ms) after the window closed, then doubling, up to 2^10 times
//! or TCP_RTO_MAX, whether it is answered or not (tcp_ack_probe() keeps the back-off as
//! long as the window is closed). An answer restarts the count of unanswered ones;
//! tcp_retries2 of them end the connection. The peer answers no sooner than
//! tcp_invalid_ratelimit (500 ms) after its last answer (tcp_oow_rate_limited()), and the
//! second probe comes 0.4 s after the first: it stays unanswered even by a healthy peer, so
//! tcp_retries2 = 1 ends every connection whose window stays closed for two seconds.
//! TCP_USER_TIMEOUT counts from the first probe and ends even a connection whose peer
//! answers every one (5.11, and stable kernels since).

use std::time::Duration;

use crate::retransmission::RESOURCE_PROBE_INTERVAL;
use crate::retransmission::RTO_MIN;
use crate::span::Spans;
use crate::timers::keepalive::ProbeFate;
use crate::wheel::{Arms, Jiffies, Phase, Wheel};

/// How long the peer's last acknowledgments may take, which it delays by up to 40 ms
/// (TCP_DELACK_MIN): they end the filling of its window, and the RTO is computed from them.
const FILL_TIME: Duration = Duration::from_millis(550);
/// The smoothed RTT by then.
const RTT: Duration = Duration::from_millis(45);
/// tcp_invalid_ratelimit, of the peer's host.
const RATE_LIMIT: Duration = Duration::from_millis(500);
/// The doublings that tcp_probe0_when() allows: ilog2(TCP_RTO_MAX / TCP_RTO_MIN) + 1.
const DOUBLINGS: u32 = 10;
/// Number of fill times that are tried.
const FILL_STEPS: u32 = 12;
/// Maximum number of probes that are followed.
const MAX_PROBES: u32 = 3_000;

/// Data that waits for the window to open.
#[derive(Debug, Clone, PartialEq)]
pub struct ZeroWindow {
    /// tcp_rto_min_us (6.11), else 200 ms.
    pub rto_min: Duration,
    /// tcp_rto_max_ms (6.15), else 120 s.
    pub rto_max: Duration,
    /// tcp_retries2: a number of probes here.
    pub retries2: u32,
    /// TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// Fate of probes from each time on, counted from the write, in order.
    pub probes: Vec<(Duration, ProbeFate)>,
}

/// The possible ends, counted from the write that filled the window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct End {
    /// Given up.
    pub abort_at: Spans,
    /// An RST came back.
    pub reset: Spans,
    /// In some phases the connection survives.
    pub may_survive: bool,
}

impl ZeroWindow {
    /// The ends over every phase, fill time and RTO.
    pub fn end(&self, wheel: Wheel) -> End {
        let mut end = End::default();
        let (mut abort_at, mut reset) = (Vec::new(), Vec::new());
        let least = wheel.ticks(self.rto_min.max(RTO_MIN));
        let most = wheel.ticks(self.rto_min.max(RTO_MIN) + RTT);
        for began in self.beginnings(wheel) {
            for late in 0..=FILL_STEPS {
                let filled = began + wheel.ticks(FILL_TIME * late / FILL_STEPS);
                for base in least..=most {
                    match self.run(wheel, began, filled, base) {
                        Fate::Aborted(at) => abort_at.push((began, at)),
                        Fate::Reset(at) => reset.push((began, at)),
                        Fate::Survives => end.may_survive = true,
                    }
                }
            }
        }
        // Only some of the possibilities are tried; what lies between is possible, too.
        let whole = |ticks: &[_]| {
            let hull = Spans::of_ticks(ticks, wheel, Phase::Unknown).hull();
            hull.map(Spans::one).unwrap_or_default()
        };
        end.abort_at = whole(&abort_at);
        end.reset = whole(&reset);
        end
    }

    /// The start is so uncertain that few phases are enough.
    fn beginnings(&self, wheel: Wheel) -> impl Iterator<Item = Jiffies> {
        let all = wheel.beginnings(wheel.ticks(self.rto_max), Phase::Unknown);
        let every = usize::try_from(wheel.granule(wheel.ticks(self.rto_max)) / 16).unwrap_or(1);
        all.step_by(every.max(1))
    }

    fn run(&self, wheel: Wheel, began: Jiffies, filled: Jiffies, base: u64) -> Fate {
        let limit = self.user_timeout.map(|t| wheel.ticks(t));
        let most = wheel.ticks(self.rto_max);
        let mut now = wheel.fires(filled, base.min(most), Arms::Anyone);
        let (mut first, mut unanswered, mut backoff) = (None, 0, 0);
        let mut answered: Option<Jiffies> = None;
        for _ in 0..MAX_PROBES {
            let stamp = *first.get_or_insert(now);
            let over = limit.is_some_and(|limit| now - stamp >= limit && now > stamp);
            if over || unanswered >= self.retries2 {
                return Fate::Aborted(now);
            }
            let at = wheel.span(now - began);
            let mut fate = self.fate(at);
            let limited = answered.is_some_and(|last| now - last < wheel.ticks(RATE_LIMIT));
            if fate == ProbeFate::Answered && limited {
                fate = ProbeFate::Lost;
            }
            unanswered += 1;
            let mut arms = Arms::Timer;
            let mut wait = 0;
            match fate {
                ProbeFate::Reset => return Fate::Reset(now),
                ProbeFate::DroppedByOwnQdisc => wait = wheel.ticks(RESOURCE_PROBE_INTERVAL),
                ProbeFate::Lost | ProbeFate::Answered => {
                    if backoff < self.retries2 {
                        backoff += 1;
                    }
                }
            }
            if fate == ProbeFate::Answered {
                unanswered = 0;
                let again = answered.replace(now).is_some();
                arms = Arms::Anyone;
                if again
                    && limit.is_none()
                    && self.probes.last().is_none_or(|(from, _)| *from <= at)
                {
                    return Fate::Survives;
                }
            }
            if wait == 0 {
                wait = (base << backoff.min(DOUBLINGS)).min(most);
            }
            if let Some(limit) = limit {
                // tcp_clamp_probe0_to_user_timeout(): two ticks at least.
                wait = wait.min(limit.saturating_sub(now - stamp).max(2));
            }
            now = wheel.fires(now, wait, arms);
        }
        Fate::Survives
    }

    fn fate(&self, at: Duration) -> ProbeFate {
        self.probes
            .iter()
            .rev()
            .find(|(from, _)| *from <= at)
            .map_or(ProbeFate::Answered, |(_, fate)| *fate)
    }
}

enum Fate {
    Aborted(Jiffies),
    Reset(Jiffies),
    Survives,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zero_window(retries2: u32, probes: Vec<(Duration, ProbeFate)>) -> ZeroWindow {
        ZeroWindow {
            rto_min: RTO_MIN,
            rto_max: Duration::from_secs(120),
            retries2,
            user_timeout: None,
            probes,
        }
    }

    #[test]
    fn an_answered_probe_keeps_it_for_ever() {
        let end = zero_window(3, Vec::new()).end(Wheel::new(250));
        assert!(end.may_survive && end.abort_at.is_empty());
    }

    /// Measured in virtual time on 6.12: packets are lost from 1.96 s after the write on,
    /// and the connection is aborted 1313.57 s after it.
    #[test]
    fn silence_is_given_up_after_so_many_probes() {
        let silence = vec![(Duration::from_millis(1_961), ProbeFate::Lost)];
        let end = zero_window(15, silence).end(Wheel::new(250));
        let hull = end.abort_at.hull().expect("it ends");
        assert!(hull.contains(Duration::from_millis(1_313_571)), "{hull:?}");
    }

    /// Measured on 6.12: 5.995 s after the write, though two probes were answered.
    #[test]
    fn the_user_timeout_ends_a_peer_that_answers() {
        let mut limited = zero_window(15, Vec::new());
        limited.user_timeout = Some(Duration::from_millis(5_182));
        limited.rto_min = Duration::from_millis(613);
        let end = limited.end(Wheel::new(250));
        let hull = end.abort_at.hull().expect("it ends");
        assert!(hull.contains(Duration::from_millis(5_995)), "{hull:?}");
    }
}
