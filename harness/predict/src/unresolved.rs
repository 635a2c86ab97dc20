//! A router that cannot find out its next hop's address.
//!
//! Packets wait on the router while it asks (net/core/neighbour.c); after three
//! seconds it gives up and answers each of them with a host unreachable, and
//! asks anew for the next packet. In IPv4 every such error takes one back-off
//! back, and when the shortened wait is over already it retransmits, or gives
//! up, there and then (tcp_ld_RTO_revert()), *before* the error is kept: a
//! connection that the first of them ends reports ETIMEDOUT.
//!
//! Where the sender's own host asks, a packet cannot be sent again while it waits
//! there. Since 5.13 the host remembers that it was to be, and sends it as soon as
//! it waits no longer: when the neighbour is given up, the next question goes out in
//! the same tick, and the timer starts anew with the RTO as it is
//! (tcp_wfree(), tcp_tsq_write(), tcp_xmit_retransmit_queue()).

use std::time::Duration;

use super::entry::{self, Ages, Entries};
use super::retransmit::Flight;
use super::sender::{Asks, First, Sender};
use super::span::{Span, Spans};
use super::wheel::{Jiffies, Phase, Wheel};
use halfopen_scenario::case::Family;

const ROUND: Duration = Duration::from_millis(3_300);
const A_FEW_ROUNDS: Duration = Duration::from_secs(30);

/// How it ends, counted from the write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ends {
    /// With no error kept.
    pub timed_out: Spans,
    /// With host unreachable.
    pub unreachable: Spans,
    /// With an RST of who answers in the neighbour's place.
    pub reset: Spans,
    /// Whether it waits for an address when somebody comes who answers.
    pub vague: bool,
    /// Whether a try waits for an address before TCP gives up, in some ways, and
    /// whether none does, in others.
    pub waits: (bool, bool),
}

/// Data whose next hop's address nobody tells.
///
/// In IPv6 the error takes no back-off back: tcp_v6_err() does so for "no
/// route" only.
pub fn ends(
    flight: &Flight,
    (asks, family): (Asks, Family),
    first: First,
    wheel: Wheel,
    phase: Phase,
) -> Ends {
    let mut ends = (Vec::new(), Vec::new());
    for began in wheel.beginnings(wheel.ticks(flight.rto_max), phase) {
        let rtos = flight.rtos(wheel);
        for (rto, probe) in rtos.flat_map(|rto| flight.probes(wheel, rto)) {
            // A packet comes to a router far away within a tick: perhaps the next.
            let far = matches!(asks, Asks::Router { there, .. } if !there.is_zero());
            for late in 0..=u64::from(far) {
                let mut sender = Sender::new(flight, asks, first, wheel, (began, rto, probe));
                sender.there += late;
                sender.reverts = family == Family::Ipv4;
                sender.goes_on();
                let kept = sender.kept;
                let end = if kept { &mut ends.1 } else { &mut ends.0 };
                end.push((began, sender.now));
            }
        }
    }
    Ends {
        timed_out: Spans::of_ticks(&ends.0, wheel, phase),
        unreachable: within_a_round(Spans::of_ticks(&ends.1, wheel, phase)),
        ..Ends::default()
    }
}

/// A neighbour that answers no more, and its entry.
#[derive(Debug, Clone, Copy)]
pub struct Aging<'a> {
    /// What is known of it before the first packet.
    pub entry: &'a Entries,
    /// When that leaves.
    pub sent: Duration,
    /// How long after that the neighbour still answers.
    pub alive: Duration,
    /// How long after that somebody else answers everybody's questions.
    pub replaced: Option<Duration>,
}

/// Data for a neighbour that has died: it is lost in silence until the entry has
/// failed. When that is depends on when the entry goes stale, which is chance;
/// but all that matters is which try is the first after it.
pub fn aged(
    flight: &Flight,
    (asks, family): (Asks, Family),
    aging: Aging<'_>,
    wheel: Wheel,
    phase: Phase,
) -> Ends {
    let (mut timed_out, mut unreachable, mut reset) = (Vec::new(), Vec::new(), Vec::new());
    let (mut vague, mut waits) = (false, (false, false));
    for began in wheel.beginnings(wheel.ticks(flight.rto_max), phase) {
        let alive = began + wheel.ticks(aging.alive);
        let answers = aging.replaced.map(|after| began + wheel.ticks(after));
        let rtos = flight.rtos(wheel);
        for (rto, probe) in rtos.flat_map(|rto| flight.probes(wheel, rto)) {
            let mut ages = aging.entry.age(began, aging.sent, wheel);
            let mut again = false;
            while let Some(one) = ages.pop() {
                let first = match one {
                    Ages::Fails(end) if end.at <= began => First::Waits,
                    _ => First::Gone(Duration::ZERO),
                };
                let mut sender = Sender::new(flight, asks, first, wheel, (began, rto, probe));
                sender.reverts = family == Family::Ipv4;
                sender.answers = answers;
                if first != First::Waits {
                    sender.ages = one;
                    sender.leaves();
                } else if answers.is_some_and(|at| began >= at) {
                    sender.answered = true;
                }
                sender.goes_on();
                vague |= sender.vague;
                if let (Some(used), Ages::Stale(_, most)) = (sender.used, one) {
                    if used < most {
                        ages.push(Ages::Stale(used + 1, most));
                    }
                    let until = entry::delayed_until(wheel, used);
                    if until <= alive {
                        // It answers when it is asked.
                        if !std::mem::replace(&mut again, true) {
                            ages.push(entry::goes_stale(wheel, (until, alive.max(until))));
                        }
                        continue;
                    }
                }
                waits.0 |= sender.waited;
                waits.1 |= !sender.waited;
                let ends = match (sender.answered, sender.kept) {
                    (true, _) => &mut reset,
                    (false, true) => &mut unreachable,
                    (false, false) => &mut timed_out,
                };
                ends.push((began, sender.now));
            }
        }
    }
    let of = |ticks: &mut Vec<(Jiffies, Jiffies)>| {
        ticks.sort_unstable();
        ticks.dedup();
        Spans::of_ticks(ticks, wheel, phase)
    };
    Ends {
        timed_out: of(&mut timed_out),
        unreachable: within_a_round(of(&mut unreachable)),
        reset: of(&mut reset),
        vague,
        waits,
    }
}

/// A round: three requests a second apart. How many packets wait in one depends
/// on the last one, so that after many of them only this is sure: at its end
/// TCP looks at its budget.
fn within_a_round(told: Spans) -> Spans {
    match told.hull() {
        Some(hull) if hull.latest > A_FEW_ROUNDS => Spans::one(Span::new(
            hull.earliest.saturating_sub(ROUND),
            hull.latest.saturating_add(ROUND),
        )),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::super::retransmit::{Attempt, RTO_MIN};
    use super::super::rtt::Round;
    use super::*;

    const NEAR: Asks = Asks::Router {
        there: Duration::ZERO,
        back: Duration::ZERO,
    };

    fn flight(retries2: u32) -> Flight {
        Flight {
            rtt: Round::steady(Duration::ZERO, Duration::from_millis(4)),
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

    /// Measured on 6.18 at HZ=250: 3.05 s after the write, with ETIMEDOUT,
    /// because the first error that arrives ends it before it is kept.
    #[test]
    fn the_first_error_ends_it_without_being_kept() {
        let ends = ends(
            &flight(2),
            (NEAR, Family::Ipv4),
            First::Waits,
            Wheel::new(250),
            Phase::Unknown,
        );
        assert!(ends.unreachable.is_empty());
        let hull = ends.timed_out.hull().expect("it ends");
        assert!(hull.contains(Duration::from_millis(3_052)), "{hull:?}");
    }

    /// Measured on 7.3 at HZ=250, with tcp_rto_max_ms = 1654 and an IPv6 neighbour
    /// that is forgotten 31 ms after the write: 23.376 s after it. Every 3.07 s a
    /// packet is given up and sent again at once, and the RTO (1.66 s) once expires
    /// while it waits: at one of these moments, not at the RTO's own, it ends.
    #[test]
    fn what_waited_is_sent_again_as_soon_as_it_no_longer_does() {
        let flight = Flight {
            rto_max: Duration::from_millis(1654),
            ..flight(15)
        };
        let began = Phase::Known {
            jiffies: 1_000_004,
            into_tick: Duration::from_micros(150),
        };
        let first = First::Gone(Duration::from_millis(31));
        let ends = |resends| {
            let asks = (Asks::OwnHost { resends }, Family::Ipv6);
            ends(&flight, asks, first, Wheel::new(250), began).unreachable
        };
        let measured = Duration::from_micros(23_375_870);
        let within_a_tick = |span: Span| {
            let tick = Wheel::new(250).tick();
            (span.earliest..span.latest + tick).contains(&measured)
        };
        let [since, before] = [true, false].map(ends);
        assert!(since.iter().all(within_a_tick), "{since:?}");
        assert!(!since.is_empty() && !before.is_empty());
        assert!(!before.iter().any(within_a_tick), "{before:?}");
    }

    /// Measured on 7.3 at HZ=250, with tcp_retries2 = 0 and tcp_thin_linear_timeouts:
    /// 0.420 s after the write.
    #[test]
    fn a_thin_stream_does_not_back_off() {
        let flight = Flight {
            thin_linear: true,
            never_leaves: true,
            ..flight(0)
        };
        let asks = (Asks::OwnHost { resends: true }, Family::Ipv6);
        let ends = ends(&flight, asks, First::Waits, Wheel::new(250), Phase::Unknown);
        let hull = ends.timed_out.hull().expect("it ends");
        assert!(hull.contains(Duration::from_millis(420)), "{hull:?}");
        assert!(hull.latest < Duration::from_millis(450), "{hull:?}");
    }

    /// Measured on 6.18 at HZ=250: 13.76 s after the write, EHOSTUNREACH.
    #[test]
    fn later_it_reports_the_error() {
        let ends = ends(
            &flight(5),
            (NEAR, Family::Ipv4),
            First::Waits,
            Wheel::new(250),
            Phase::Unknown,
        );
        assert!(ends.timed_out.is_empty());
        let moment = Duration::from_millis(13_764);
        assert!(
            ends.unreachable.iter().any(|s| s.contains(moment)),
            "{:?}",
            ends.unreachable
        );
    }
}
