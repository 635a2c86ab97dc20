//! Neighbour resolution (ARP and NDP): constants of net/core/neighbour.c, and when
//! resolution of a neighbour that does not answer fails.
//!
//! A request is sent mcast_solicit (3) times, retrans_time (1 s) apart, and the entry fails
//! one more retrans_time later (neigh_timer_handler()); packets that waited for it draw a
//! host unreachable (arp_error_report(), ndisc_error_report()). A reachable entry stays
//! reachable for 15 to 45 s, then in NUD_DELAY for 5 s more (delay_first_probe_time).
//! `entry` models one entry, `replaced` an address with a new owner.

pub mod entry;
pub mod replaced;

use std::time::Duration;

use crate::span::{Span, Spans};
use crate::wheel::{Arms, Jiffies, Phase, Wheel};

/// retrans_time.
pub const RETRANS_TIME: Duration = Duration::from_secs(1);
/// mcast_solicit and ucast_solicit.
pub const SOLICITS: u32 = 3;
/// Half of base_reachable_time and its one and a half fold: neigh_rand_reach_time().
pub const REACHABLE_TIME: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(45));
/// delay_first_probe_time.
pub const DELAY_PROBE_TIME: Duration = Duration::from_secs(5);
/// Earliest time from the first use of a stale entry to its failure.
pub const STALE_FAILS_AFTER: Duration =
    DELAY_PROBE_TIME.saturating_add(RETRANS_TIME.saturating_mul(SOLICITS));

/// When the resolution fails that began at `began`.
pub fn fails(wheel: Wheel, began: Jiffies) -> Jiffies {
    let retrans = wheel.ticks(RETRANS_TIME);
    let first = wheel.fires(began, retrans, Arms::Anyone);
    (1..SOLICITS).fold(first, |at, _| wheel.fires(at, retrans, Arms::Timer))
}

/// When the last request of that resolution is sent.
pub fn last_asked(wheel: Wheel, began: Jiffies) -> Jiffies {
    let retrans = wheel.ticks(RETRANS_TIME);
    let second = wheel.fires(began, retrans, Arms::Anyone);
    wheel.fires(second, retrans, Arms::Timer)
}

/// Time from the first packet to the failure of the resolution.
pub fn given_up(wheel: Wheel, phase: Phase) -> Spans {
    let ticks: Vec<_> = wheel
        .beginnings(wheel.ticks(RETRANS_TIME), phase)
        .map(|began| (began, fails(wheel, began)))
        .collect();
    Spans::of_ticks(&ticks, wheel, phase)
}

/// How long after its first use an entry fails that was stale then, is not confirmed
/// later, and that nobody answers for: the delay, then as many requests.
pub fn stale_entry_fails(wheel: Wheel) -> (Duration, Duration) {
    let granule = |time| wheel.span(wheel.granule(wheel.ticks(time)));
    (
        STALE_FAILS_AFTER,
        STALE_FAILS_AFTER + granule(DELAY_PROBE_TIME) + granule(RETRANS_TIME) * SOLICITS,
    )
}

/// Longest distance of two attempts while an entry is stale.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(55);

/// Time from its confirmation to the failure of a neighbour entry in use that nobody
/// answers for: reachable for 15 to 45 s (neigh_rand_reach_time()), then stale until the
/// next packet, which may be a long back-off later; then the delay (5 s) and three
/// requests.
///
/// A host that was asked first, and did not ask, has an entry that is stale from the
/// beginning: its first use starts the delay.
pub fn confirmed_entry_fails(asked_first: bool) -> Span {
    let trust = if asked_first {
        Duration::ZERO
    } else {
        REACHABLE_TIME.0
    };
    Span::new(
        trust + STALE_FAILS_AFTER,
        REACHABLE_TIME.1 + LONGEST_BACK_OFF + STALE_FAILS_AFTER + RETRANS_TIME,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured in virtual time on 5.10 to 7.3: a server that was asked first asks
    /// 5.12 s after its first packet, and 3.07 s later sends nothing any more.
    #[test]
    fn a_stale_entry_lasts_as_long_as_its_delay_and_three_requests() {
        let (least, most) = stale_entry_fails(Wheel::new(250));
        let measured = Duration::from_millis(5_118 + 3_072);
        assert!((least..=most).contains(&measured), "{least:?} {most:?}");
        assert!(most - least < Duration::from_millis(400));
    }

    #[test]
    fn three_requests_a_second_apart() {
        let hull = given_up(Wheel::new(250), Phase::Unknown).hull();
        let hull = hull.expect("there is a phase");
        assert!(hull.earliest >= Duration::from_secs(3));
        assert!(hull.latest <= Duration::from_millis(3_100));
    }
}
