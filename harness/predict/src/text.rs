//! Reasons of predictions, as text for people. The texts are part of the output.

use std::time::Duration;

use crate::retransmission::Flight;
use crate::sysctls::RTO_MAX;
use crate::timers::keepalive::Settings;
use crate::timers::syn::Syn;
use crate::timers::unsent::Unsent;
use crate::wheel::Wheel;

/// A time as people write it: `120 s`, `204 ms`, `2.05 s`.
pub fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", (seconds * 1000.0).round())
    } else {
        let text = format!("{seconds:.2}");
        format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// How late a timer of this length may be.
fn lateness(length: Duration, hz: u32) -> String {
    let wheel = Wheel::new(hz);
    let granule = wheel.span(wheel.granule(wheel.ticks(length)));
    format!(
        "a timer of {} is up to {} late at HZ={hz}",
        self::time(length),
        self::time(granule)
    )
}

/// The end of an idle connection by keepalive.
pub fn keepalive(settings: &Settings, hz: u32) -> String {
    let Settings {
        idle,
        interval,
        count,
        user_timeout,
    } = *settings;
    let nominal = time(settings.nominal());
    let sum = match user_timeout {
        None => format!(
            "idle {} + {count} x {} = {nominal} after the last segment received",
            time(idle),
            time(interval)
        ),
        Some(limit) => format!(
            "idle {}, then a probe every {}; with a user timeout of {} the count of {count} does \
             not matter: {nominal} after the last segment received, the first tick at which that \
             much has passed",
            time(idle),
            time(interval),
            time(limit)
        ),
    };
    if idle == interval {
        return format!("{sum}; {}", lateness(idle, hz));
    }
    format!("{sum}; {}, {}", lateness(idle, hz), lateness(interval, hz))
}

/// Data that nobody acknowledges.
pub fn flight(flight: &Flight, errno: &str, hz: u32) -> String {
    let budget = time(flight.budget());
    let limit = match flight.user_timeout {
        Some(_) => format!("a user timeout of {budget} has passed"),
        None => format!(
            "the {budget} that tcp_retries2 = {} stands for have passed",
            flight.retries2
        ),
    };
    let (rto, _) = flight.rtt.rto(flight.rto_min, flight.rto_max);
    let long = is_long(flight);
    let probe = match flight.tail_loss_probe && !flight.never_leaves {
        true if long => {
            let more = if flight.several {
                Duration::ZERO
            } else {
                flight.rto_min
            };
            let probe = (flight.rtt.srtt.0 * 2 + more).min(rto);
            format!(
                "a loss probe after about {}, then retransmissions",
                time(probe)
            )
        }
        true => "a loss probe after about 0.2 s, then retransmissions".into(),
        false => "retransmissions".into(),
    };
    let from = match long {
        true => format!(
            " from {} on (the RTO of a smoothed round trip of {} and its variation)",
            time(rto),
            time(flight.rtt.srtt.0)
        ),
        false => String::new(),
    };
    let how = match flight.attempt {
        crate::retransmission::Attempt::Lost => &doubling(flight),
        crate::retransmission::Attempt::DroppedByOwnQdisc => {
            "which the own qdisc drops, every 500 ms without back-off"
        }
        crate::retransmission::Attempt::Reverted { limit: None, .. } => {
            "evenly spaced, because each ICMP error takes its back-off back"
        }
        crate::retransmission::Attempt::Reverted { .. } => {
            "doubling their distance, but for the ICMP errors, one a second, each of which takes one \
             back-off back"
        }
    };
    let since = if flight.never_leaves {
        "the write, because no try leaves the own host"
    } else {
        "the first retransmission"
    };
    let reported = if errno == crate::errno::TIMED_OUT {
        String::new()
    } else {
        format!(", reporting the error that was kept, {errno}")
    };
    format!(
        "{probe}, {how}{from}; given up at the first of them at which {limit} since \
         {since}{reported} (HZ={hz})"
    )
}

/// The growing distance of attempts, and its limit where one was set that matters.
fn doubling(flight: &Flight) -> String {
    if flight.rto_max < RTO_MAX && flight.budget() > flight.rto_max {
        let most = time(flight.rto_max);
        return format!("doubling their distance up to {most} (tcp_rto_max_ms)");
    }
    "doubling their distance".into()
}

/// Whether the round trip includes line delay.
pub fn is_long(flight: &Flight) -> bool {
    let (rto, _) = flight.rtt.rto(flight.rto_min, flight.rto_max);
    flight.rtt.srtt.0 >= Duration::from_millis(1) || rto > flight.rto_min * 11 / 10
}

/// Data that cannot be sent at all.
pub fn unsent(unsent: &Unsent, errno: &str) -> String {
    let how = if unsent.by_own_qdisc {
        "the own qdisc drops it, so it is tried every 500 ms without back-off"
    } else {
        "the own host cannot send it, so it never gets into flight and is tried again by the \
         probe timer, doubling its distance from about 0.2 s"
    };
    let limit = match unsent.user_timeout {
        Some(limit) => format!(
            "given up after {} tries or {} after the first",
            unsent.retries2,
            time(limit)
        ),
        None => format!("given up after {} tries (tcp_retries2)", unsent.retries2),
    };
    format!("{how}; {limit}, with {errno}")
}

/// Data that waits for the peer's window.
pub fn zero_window(zero_window: &crate::timers::zero_window::ZeroWindow) -> String {
    let limit = match zero_window.user_timeout {
        Some(limit) => format!(
            "the user timeout of {} counts from the first of them, answered or not",
            time(limit)
        ),
        None => format!(
            "answered ones keep the connection for ever, {} unanswered ones (tcp_retries2) end it",
            zero_window.retries2
        ),
    };
    format!(
        "the peer has no room: window probes, doubling their distance from about {}; {limit}",
        time(zero_window.rto_min.max(crate::retransmission::RTO_MIN))
    )
}

/// connect() that is not answered.
pub fn syn(syn: &Syn) -> String {
    let linear = match syn.linear {
        0 => String::new(),
        n => format!(", {n} of them without back-off"),
    };
    format!(
        "SYNs after 1 s and so on{linear}; given up at the first one due after {}",
        time(syn.budget())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_can_be_followed() {
        let settings = Settings {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(20),
            count: 3,
            user_timeout: None,
        };
        let said = keepalive(&settings, 250);
        assert!(said.starts_with("idle 60 s + 3 x 20 s = 120 s"), "{said}");
        assert!(
            said.contains("a timer of 60 s is up to 2.05 s late at HZ=250"),
            "{said}"
        );
    }
}
