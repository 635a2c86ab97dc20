//! Aborts of data whose next hop's address cannot be resolved, by a router or by the
//! sender's own host.
//!
//! Packets wait on the router while it sends requests (net/core/neighbour.c); after three
//! seconds it gives up, answers each of them with a host unreachable, and starts again for
//! the next packet. In IPv4 every such error reverts one back-off, and when the shortened
//! wait is already over TCP retransmits, or gives up, immediately (tcp_ld_RTO_revert()),
//! *before* the error is kept: a connection that the first error ends reports ETIMEDOUT.
//!
//! When the sender's own host resolves the address, a packet that waits there cannot be
//! sent again. Since 5.13 the host notes the attempt and retransmits as soon as the packet
//! no longer waits: when resolution fails, the next request leaves in the same tick, and
//! the timer restarts with the unchanged RTO (tcp_wfree(), tcp_tsq_write(),
//! tcp_xmit_retransmit_queue()).

use std::time::Duration;

use crate::abort::sender::{First, Resolver, Sender};
use crate::neighbour::entry::{self, NeighbourEntry, NudTimers};
use crate::retransmission::Flight;
use crate::span::{Span, Spans};
use crate::wheel::{Jiffies, Phase, Wheel};
use halfopen_scenario::case::Family;

const RESOLUTION_TIME: Duration = Duration::from_millis(3_300);
const MANY_RESOLUTIONS: Duration = Duration::from_secs(30);

/// The possible ends, counted from the write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ends {
    /// ETIMEDOUT: no error was kept.
    pub timed_out: Spans,
    /// EHOSTUNREACH.
    pub unreachable: Spans,
    /// RST of the host that answers in the neighbour's place.
    pub reset: Spans,
    /// Whether a packet waits for the address when such a host appears.
    pub undecided: bool,
    /// Whether an attempt waits for the address before TCP gives up: in some of the
    /// possible courses, and whether in others none does.
    pub queued: (bool, bool),
}

/// Ends of data whose next hop's address is not resolved.
///
/// In IPv6 the error reverts no back-off: tcp_v6_err() does so for "no route" only.
pub fn ends(
    flight: &Flight,
    (resolver, family): (Resolver, Family),
    first: First,
    wheel: Wheel,
    phase: Phase,
) -> Ends {
    let mut ends = (Vec::new(), Vec::new());
    for began in wheel.beginnings(wheel.ticks(flight.rto_max), phase) {
        let rtos = flight.rtos(wheel);
        for (rto, probe) in rtos.flat_map(|rto| flight.probes(wheel, rto)) {
            // A packet reaches a distant router within a tick, which may be the next one.
            let far = matches!(resolver, Resolver::Router { there: delay_there, .. } if !delay_there.is_zero());
            for late in 0..=u64::from(far) {
                let mut sender = Sender::new(flight, resolver, first, wheel, (began, rto, probe));
                sender.there += late;
                sender.reverts = family == Family::Ipv4;
                sender.run();
                let error_kept = sender.error_kept;
                let end = if error_kept { &mut ends.1 } else { &mut ends.0 };
                end.push((began, sender.now));
            }
        }
    }
    Ends {
        timed_out: Spans::of_ticks(&ends.0, wheel, phase),
        unreachable: widened_by_resolution(Spans::of_ticks(&ends.1, wheel, phase)),
        ..Ends::default()
    }
}

/// A neighbour that stops answering, and its entry.
#[derive(Debug, Clone, Copy)]
pub struct DyingNeighbour<'a> {
    /// What is known of the entry before the first packet.
    pub entry: &'a NeighbourEntry,
    /// When the first packet leaves.
    pub sent: Duration,
    /// How long after that the neighbour still answers.
    pub answers_for: Duration,
    /// How long after that another host answers requests for the address.
    pub replaced: Option<Duration>,
}

/// Ends of data for a neighbour that stops answering: it is lost silently until the entry
/// has failed. That depends on when the entry becomes stale, which is random; only which
/// attempt is the first after it matters.
pub fn with_entry(
    flight: &Flight,
    (resolver, family): (Resolver, Family),
    dying: DyingNeighbour<'_>,
    wheel: Wheel,
    phase: Phase,
) -> Ends {
    let (mut timed_out, mut unreachable, mut reset) = (Vec::new(), Vec::new(), Vec::new());
    let (mut undecided, mut queued) = (false, (false, false));
    for began in wheel.beginnings(wheel.ticks(flight.rto_max), phase) {
        let answers_for = began + wheel.ticks(dying.answers_for);
        let answers = dying.replaced.map(|after| began + wheel.ticks(after));
        let rtos = flight.rtos(wheel);
        for (rto, probe) in rtos.flat_map(|rto| flight.probes(wheel, rto)) {
            let mut states = dying.entry.timers(began, dying.sent, wheel);
            let mut again = false;
            while let Some(one) = states.pop() {
                let first = match one {
                    NudTimers::Fails(end) if end.at <= began => First::Queued,
                    _ => First::Sent(Duration::ZERO),
                };
                let mut sender = Sender::new(flight, resolver, first, wheel, (began, rto, probe));
                sender.reverts = family == Family::Ipv4;
                sender.answers = answers;
                if first != First::Queued {
                    sender.nud = one;
                    sender.transmit();
                } else if answers.is_some_and(|at| began >= at) {
                    sender.reset = true;
                }
                sender.run();
                undecided |= sender.undecided;
                if let (Some(used), NudTimers::Stale(_, most)) = (sender.used, one) {
                    if used < most {
                        states.push(NudTimers::Stale(used + 1, most));
                    }
                    let until = entry::delay_ends(wheel, used);
                    if until <= answers_for {
                        // The neighbour answers the unicast request.
                        if !std::mem::replace(&mut again, true) {
                            states.push(entry::stale_after(wheel, (until, answers_for.max(until))));
                        }
                        continue;
                    }
                }
                queued.0 |= sender.was_queued;
                queued.1 |= !sender.was_queued;
                let ends = match (sender.reset, sender.error_kept) {
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
        unreachable: widened_by_resolution(of(&mut unreachable)),
        reset: of(&mut reset),
        undecided,
        queued,
    }
}

/// Widens by one resolution (three requests a second apart). How many packets wait in one
/// depends on the one before, so after many resolutions only this is sure: TCP checks its
/// budget at the end of one.
fn widened_by_resolution(spans: Spans) -> Spans {
    match spans.hull() {
        Some(hull) if hull.latest > MANY_RESOLUTIONS => Spans::one(Span::new(
            hull.earliest.saturating_sub(RESOLUTION_TIME),
            hull.latest.saturating_add(RESOLUTION_TIME),
        )),
        _ => spans,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retransmission::rtt::Rtt;
    use crate::retransmission::{Attempt, RTO_MIN};

    const NEAR: Resolver = Resolver::Router {
        there: Duration::ZERO,
        back: Duration::ZERO,
    };

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

    /// Measured on 6.18 at HZ=250: 3.05 s after the write, with ETIMEDOUT,
    /// because the first error that arrives ends it before it is kept.
    #[test]
    fn the_first_error_ends_it_without_being_kept() {
        let ends = ends(
            &flight(2),
            (NEAR, Family::Ipv4),
            First::Queued,
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
        let first = First::Sent(Duration::from_millis(31));
        let ends = |resends| {
            let resolver = (Resolver::OwnHost { resends }, Family::Ipv6);
            ends(&flight, resolver, first, Wheel::new(250), began).unreachable
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
        let resolver = (Resolver::OwnHost { resends: true }, Family::Ipv6);
        let ends = ends(
            &flight,
            resolver,
            First::Queued,
            Wheel::new(250),
            Phase::Unknown,
        );
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
            First::Queued,
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
