//! The application's own time limits, as exact as the kernel keeps them: SO_RCVTIMEO and
//! the timeout of poll(). The simulator uses them.

use std::time::Duration;

use crate::span::{Span, Spans};
use crate::wheel::{Arms, Phase, Wheel};

/// SO_RCVTIMEO: schedule_timeout() in sk_wait_data(), a timer of the wheel.
pub fn read(limit: Duration, wheel: Wheel, phase: Phase) -> Span {
    let ticks = wheel.ticks(limit);
    let all: Vec<_> = wheel
        .beginnings(ticks, phase)
        .map(|began| (began, wheel.fires(began, ticks, Arms::Anyone)))
        .collect();
    let hull = Spans::of_ticks(&all, wheel, phase).hull();
    hull.unwrap_or(Span::at(limit))
}

/// poll(): an hrtimer, which may come a thousandth later, at most 100 ms
/// (select_estimate_accuracy()); at once for a process of real-time priority.
pub fn poll(limit: Duration) -> Span {
    let slack = (limit / 1000).clamp(Duration::from_micros(50), Duration::from_millis(100));
    Span::new(limit, limit.saturating_add(slack))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured in virtual time on 6.12: 34.384 s took 34.896 s.
    #[test]
    fn a_read_timeout_is_rounded_up_by_the_wheel() {
        let span = read(
            Duration::from_millis(34_384),
            Wheel::new(250),
            Phase::Unknown,
        );
        assert!(span.contains(Duration::from_millis(34_896)), "{span:?}");
        assert!(span.earliest >= Duration::from_millis(34_384));
        assert!(span.width() <= Duration::from_millis(2_052), "{span:?}");
    }

    #[test]
    fn poll_is_exact_to_a_thousandth() {
        let span = poll(Duration::from_secs(1));
        assert_eq!(span.width(), Duration::from_millis(1));
        assert_eq!(
            poll(Duration::from_secs(900)).width(),
            Duration::from_millis(100)
        );
    }
}
