//! Orphans: connections that were closed and remain in the kernel without a process.
//!
//! tcp_orphan_retries() and tcp_write_timeout() in net/ipv4/tcp_timer.c: as long as nobody
//! acknowledges the FIN (or data before it), the budget is that of tcp_orphan_retries
//! instead of tcp_retries2, where 0 means 8 while the RTO has not reached its maximum. No
//! call shows it; it is visible as a network namespace that remains for this time.

use crate::retransmission::{Course, Flight};
use crate::wheel::{Phase, Wheel};

/// What 0 means.
const DEFAULT_RETRIES: u32 = 8;

/// The value that replaces tcp_retries2, while the RTO has not reached its maximum.
pub fn retries(orphan_retries: u32) -> u32 {
    match orphan_retries {
        0 => DEFAULT_RETRIES,
        n => n,
    }
}

/// The course of an orphan whose last data or FIN was sent as `flight` describes, counted
/// from its sending.
pub fn course(flight: &Flight, orphan_retries: u32, wheel: Wheel, phase: Phase) -> Course {
    Flight {
        retries2: retries(orphan_retries),
        ..*flight
    }
    .course(wheel, phase)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::retransmission::rtt::Rtt;
    use crate::retransmission::{Attempt, RTO_MIN};

    fn lasts(orphan_retries: u32) -> (f64, f64) {
        let flight = Flight {
            rtt: Rtt::steady(Duration::from_micros(10), Duration::from_millis(4)),
            rto_min: RTO_MIN,
            rto_max: Duration::from_secs(120),
            retries2: 15,
            user_timeout: None,
            tail_loss_probe: true,
            thin_linear: false,
            several: false,
            never_leaves: false,
            attempt: Attempt::Lost,
        };
        let course = course(&flight, orphan_retries, Wheel::new(250), Phase::Unknown);
        let hull = course.abort_at.hull().expect("every orphan ends");
        (hull.earliest.as_secs_f64(), hull.latest.as_secs_f64())
    }

    /// Measured on 6.18: a namespace with an orphan stayed for about 110 s, and
    /// for 0.6 s with tcp_orphan_retries = 1.
    #[test]
    fn unless_set_it_is_eight() {
        let (earliest, latest) = lasts(0);
        assert!(
            earliest < 110.0 && latest > 105.0 && latest < 112.0,
            "{earliest} to {latest}"
        );
        let (earliest, latest) = lasts(1);
        assert!(earliest > 0.6 && latest < 1.7, "{earliest} to {latest}");
    }
}
