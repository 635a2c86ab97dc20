//! The keepalive timer: tcp_keepalive_timer() in net/ipv4/tcp_timer.c.
//!
//! The timer first fires IDLE after the connection is established; each time it checks how
//! long nothing was received (keepalive_time_elapsed()). If that is less than IDLE, it is
//! armed for the rest. Else a probe is sent, and the timer is armed for INTVL, whatever the
//! answer; after CNT unanswered probes, or with TCP_USER_TIMEOUT (2.6.37) once that much
//! time has passed and one probe is out, the connection is aborted. A probe that the own
//! host's qdisc drops does not count and is tried again after half a second.

use std::time::Duration;

use crate::neighbour::replaced::{ProbedEntry, Replaced};
use crate::retransmission::RESOURCE_PROBE_INTERVAL;
use crate::span::{Span, Spans};
use crate::wheel::{Arms, Jiffies, Phase, Wheel};

/// The settings of one socket, from its options and its host's sysctls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// TCP_KEEPIDLE or tcp_keepalive_time.
    pub idle: Duration,
    /// TCP_KEEPINTVL or tcp_keepalive_intvl.
    pub interval: Duration,
    /// TCP_KEEPCNT or tcp_keepalive_probes.
    pub count: u32,
    /// TCP_USER_TIMEOUT, if any.
    pub user_timeout: Option<Duration>,
}

impl Settings {
    /// Time from the last segment received to the abort, without the lateness of the wheel.
    pub fn nominal(&self) -> Duration {
        let Some(limit) = self.user_timeout else {
            return self
                .idle
                .saturating_add(self.interval.saturating_mul(self.count));
        };
        let beyond = limit.saturating_sub(self.idle).as_nanos();
        let probes = beyond.div_ceil(self.interval.as_nanos().max(1)).max(1);
        let probes = u32::try_from(probes).unwrap_or(u32::MAX);
        self.idle
            .saturating_add(self.interval.saturating_mul(probes))
    }
}

/// The fate of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeFate {
    /// An answer comes back.
    Answered,
    /// No answer comes back; the probe may also have failed to leave (an error below 0
    /// counts).
    Lost,
    /// The own host's qdisc drops it (an error above 0 does not count).
    DroppedByOwnQdisc,
    /// An RST comes back: the peer's kernel knows no such connection.
    Reset,
}

/// An idle connection: times since the keepalive timer was armed.
#[derive(Debug, Clone, PartialEq)]
pub struct IdleConnection {
    /// The socket's settings.
    pub settings: Settings,
    /// When segments were received, in order; the arming counts as one.
    pub received: Vec<Span>,
    /// Fate of probes from each time on, in order. Before the first: answered.
    pub probes: Vec<(Duration, ProbeFate)>,
    /// Round-trip time of an answer from each time on, in order. Before: zero.
    pub round_trips: Vec<(Duration, Duration)>,
    /// Probes are lost because the address has a new owner.
    pub replaced: Option<Replaced>,
}

/// The possible ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct End {
    /// Given up: ETIMEDOUT (or the soft error, if there were one).
    pub abort_at: Spans,
    /// An RST came back.
    pub reset: Spans,
    /// In some phases the connection survives.
    pub may_survive: bool,
    /// A probe waits for an address when its new owner appears.
    pub undecided: bool,
}

/// Longer times are not simulated: 40 days.
const MAX_SECONDS: u64 = 40 * 86_400;
/// Maximum number of expiries of the timer that are simulated.
const MAX_TICKS: u32 = 200_000;

impl IdleConnection {
    /// The ends over every phase and every possible receive time.
    pub fn end(&self, wheel: Wheel, phase: Phase) -> End {
        let longest = wheel.ticks(self.settings.idle.max(self.settings.interval));
        let mut end = End::default();
        let (mut abort_at, mut reset) = (Vec::new(), Vec::new());
        let into_tick = match phase {
            Phase::Known { into_tick, .. } => into_tick,
            Phase::Unknown => Duration::ZERO,
        };
        let ticks = |at: Duration| {
            let ticks = (into_tick + at).as_nanos() / wheel.tick().as_nanos().max(1);
            u64::try_from(ticks).unwrap_or(u64::MAX >> 8)
        };
        for late in self.receive_lateness(ticks, phase) {
            let received: Vec<u64> = self
                .received
                .iter()
                .map(|s| ticks(s.earliest) + late)
                .collect();
            for began in wheel.beginnings(longest, phase) {
                let ages = self.replaced.as_ref().map(|r| r.ages(began, wheel));
                let ages = ages.map(|ages| ages.into_iter().map(Some).collect());
                let mut ages: Vec<_> = ages.unwrap_or_else(|| vec![None]);
                while let Some(age) = ages.pop() {
                    let mut entry = age.map(|age| age.start(wheel));
                    let fate = self.simulate(wheel, (began, into_tick), &received, &mut entry);
                    if let Some((age, entry)) = age.zip(entry) {
                        let (other, discard) = age.alternative(entry);
                        ages.extend(other.map(Some));
                        if discard {
                            continue;
                        }
                        end.undecided |= entry.undecided;
                    }
                    match fate {
                        Fate::Aborted(at) => abort_at.push((began, at)),
                        Fate::Reset(at) => reset.push((began, at)),
                        Fate::Survives => end.may_survive = true,
                    }
                }
            }
        }
        end.abort_at = Spans::of_ticks(&abort_at, wheel, phase);
        end.reset = Spans::of_ticks(&reset, wheel, phase);
        end
    }

    /// How many ticks after its earliest moment the last segment may have been received:
    /// only the last one matters, and it is known to an interval only. In an unknown phase
    /// the tick boundary is unknown, so it may be one more.
    fn receive_lateness(
        &self,
        ticks: impl Fn(Duration) -> u64,
        phase: Phase,
    ) -> std::ops::RangeInclusive<u64> {
        let Some(last) = self.received.last() else {
            return 0..=0;
        };
        let unknown = phase == Phase::Unknown && last.latest > Duration::ZERO;
        let width = ticks(last.latest) - ticks(last.earliest) + u64::from(unknown);
        0..=width.min(64)
    }

    fn simulate(
        &self,
        wheel: Wheel,
        (began, into_tick): (Jiffies, Duration),
        received: &[u64],
        entry: &mut Option<ProbedEntry>,
    ) -> Fate {
        let idle = wheel.ticks(self.settings.idle);
        let interval = wheel.ticks(self.settings.interval);
        let limit = self.settings.user_timeout.map(|t| wheel.ticks(t));
        let mut answered = began;
        let mut probes_out = 0;
        // Before connect() SO_KEEPALIVE only sets a flag; tcp_finish_connect()
        // arms the timer.
        let mut now = wheel.fires(began, idle, Arms::Anyone);
        let mut armed = (began, wheel.granule(idle));
        for _ in 0..MAX_TICKS {
            if now - began > MAX_SECONDS * u64::from(wheel.hz()) {
                break;
            }
            let last = received.iter().rev().find(|at| began + **at <= now);
            let last = last.map_or(began, |at| began + at);
            if last > answered {
                // tcp_ack() and tcp_data_queue() start over.
                answered = last;
                probes_out = 0;
            }
            let elapsed = now - answered.min(now);
            if elapsed < idle {
                armed = (now, wheel.granule(idle - elapsed));
                now = wheel.fires(now, idle - elapsed, Arms::Timer);
                continue;
            }
            let at = wheel.span(now - began).saturating_sub(into_tick);
            let expired = match limit {
                Some(limit) => elapsed >= limit && probes_out > 0,
                None => probes_out >= self.settings.count,
            };
            if expired {
                return Fate::Aborted(now);
            }
            let wait = match self.fate(at) {
                ProbeFate::Reset => return Fate::Reset(now),
                ProbeFate::Answered => {
                    answered = now + self.round_trip(wheel, at);
                    probes_out = 0;
                    if self.is_final(at) {
                        return Fate::Survives;
                    }
                    interval
                }
                ProbeFate::Lost => {
                    if entry.as_mut().is_some_and(|p| p.send_probe(now, armed)) {
                        return Fate::Reset(now);
                    }
                    probes_out += 1;
                    interval
                }
                ProbeFate::DroppedByOwnQdisc => {
                    if self.is_final(at) {
                        // For ever, unless a time limit ends it and an earlier
                        // probe did count.
                        if limit.is_none() || probes_out == 0 {
                            return Fate::Survives;
                        }
                    }
                    wheel.ticks(RESOURCE_PROBE_INTERVAL)
                }
            };
            armed = (now, wheel.granule(wait));
            now = wheel.fires(now, wait, Arms::Timer);
        }
        Fate::Survives
    }

    /// How many whole ticks after a probe its answer comes.
    fn round_trip(&self, wheel: Wheel, at: Duration) -> u64 {
        let round_trip = self.round_trips.iter().rev().find(|(from, _)| *from <= at);
        round_trip.map_or(0, |(_, round_trip)| wheel.whole_ticks(*round_trip))
    }

    fn fate(&self, at: Duration) -> ProbeFate {
        self.probes
            .iter()
            .rev()
            .find(|(from, _)| *from <= at)
            .map_or(ProbeFate::Answered, |(_, fate)| *fate)
    }

    /// Whether nothing changes after `at`.
    fn is_final(&self, at: Duration) -> bool {
        self.probes.last().is_none_or(|(from, _)| *from <= at)
            && self.round_trips.last().is_none_or(|(from, _)| *from <= at)
            && self.received.last().is_none_or(|s| s.latest <= at)
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

    const HZ_250: u32 = 250;

    fn settings(idle: u64, interval: u64, count: u32) -> Settings {
        Settings {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(interval),
            count,
            user_timeout: None,
        }
    }

    fn unanswered(settings: Settings, from_ms: u64) -> IdleConnection {
        IdleConnection {
            settings,
            received: vec![Span::at(Duration::ZERO)],
            probes: vec![(Duration::from_millis(from_ms), ProbeFate::Lost)],
            round_trips: Vec::new(),
            replaced: None,
        }
    }

    fn abort_range(idle: &IdleConnection, hz: u32) -> (f64, f64) {
        let end = idle.end(Wheel::new(hz), Phase::Unknown);
        assert!(!end.may_survive);
        let hull = end.abort_at.hull().expect("it dies");
        (hull.earliest.as_secs_f64(), hull.latest.as_secs_f64())
    }

    /// KERNEL.md 11: measured in virtual time on 5.10, 6.1, 6.12 and 7.3.
    #[test]
    fn defaults_cover_what_was_measured() {
        let (earliest, latest) = abort_range(&unanswered(settings(7200, 75, 9), 300), HZ_250);
        for measured in [7923.2, 7923.7, 7923.8] {
            assert!(
                (earliest..=latest).contains(&measured),
                "{earliest} to {latest}"
            );
        }
        // Paper says 7875 s; the wheel adds one granule of 131 s and nine of
        // 2.05 s at most.
        assert!(earliest > 7875.0 && latest < 7875.0 + 131.1 + 9.0 * 2.05);
    }

    #[test]
    fn two_unanswered_probes_a_second_apart() {
        let (earliest, latest) = abort_range(&unanswered(settings(1, 1, 2), 300), HZ_250);
        assert!(earliest > 3.0 && latest < 3.0 + 3.0 * 0.032 + 0.004);
        let (earliest, latest) = abort_range(&unanswered(settings(1, 1, 2), 300), 1000);
        assert!(earliest > 3.0 && latest < 3.0 + 3.0 * 0.064 + 0.001);
    }

    #[test]
    fn user_timeout_replaces_the_count() {
        let limited = |limit| Settings {
            user_timeout: Some(Duration::from_secs(limit)),
            ..settings(1, 1, 9)
        };
        assert_eq!(limited(2).nominal(), Duration::from_secs(2));
        assert_eq!(limited(1).nominal(), Duration::from_secs(2));
        assert_eq!(limited(4).nominal(), Duration::from_secs(4));
        for limit in [2, 4, 7] {
            let (earliest, latest) = abort_range(&unanswered(limited(limit), 0), HZ_250);
            let nominal = limited(limit).nominal().as_secs_f64();
            assert!(
                earliest > nominal && latest < nominal + 0.3,
                "{limit}: {earliest} {latest}"
            );
        }
    }

    #[test]
    fn answered_probes_start_the_count_again() {
        let mut idle = unanswered(settings(2, 1, 3), 10_000);
        let (earliest, latest) = abort_range(&idle, HZ_250);
        // The last answer came up to idle + 1 granule before the silence.
        assert!(
            earliest > 10.0 + 3.0 && latest < 10.0 + 5.3,
            "{earliest} {latest}"
        );
        idle.probes
            .push((Duration::from_secs(11), ProbeFate::Answered));
        let end = idle.end(Wheel::new(HZ_250), Phase::Unknown);
        assert!(end.may_survive && end.abort_at.is_empty());
    }

    #[test]
    fn received_data_puts_it_off_by_a_full_idle_time() {
        let mut idle = unanswered(settings(2, 1, 3), 1_600);
        idle.received.push(Span::at(Duration::from_millis(1_500)));
        let (earliest, latest) = abort_range(&idle, HZ_250);
        assert!(earliest >= 6.5 && latest < 6.8, "{earliest} {latest}");
    }

    #[test]
    fn own_drops_do_not_count_and_a_reset_ends_it_at_once() {
        let mut idle = unanswered(settings(1, 1, 2), 300);
        idle.probes[0].1 = ProbeFate::DroppedByOwnQdisc;
        let end = idle.end(Wheel::new(HZ_250), Phase::Unknown);
        assert!(end.may_survive && end.abort_at.is_empty());
        idle.probes[0].1 = ProbeFate::Reset;
        let end = idle.end(Wheel::new(HZ_250), Phase::Unknown);
        let reset = end.reset.hull().expect("the first probe draws an RST");
        assert!(reset.earliest >= Duration::from_secs(1));
        assert!(reset.latest <= Duration::from_millis(1_036));
    }

    #[test]
    fn a_known_phase_gives_one_moment() {
        let phase = Phase::Known {
            jiffies: 1234,
            into_tick: Duration::from_millis(1),
        };
        let end = unanswered(settings(7200, 75, 9), 0).end(Wheel::new(HZ_250), phase);
        assert_eq!(end.abort_at.hull().map(Span::width), Some(Duration::ZERO));
    }
}
