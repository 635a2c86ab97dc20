//! Checks when events happen, as far as the file determines it.

use std::time::Duration;

use crate::yaml::scalar::words;
use crate::yaml::{Decoder, Problem, Span};

/// When an event happens: this time after the start or after a mark.
#[derive(Debug, Clone)]
pub struct Timing {
    /// The event's own mark.
    pub name: String,
    /// The mark it waits for; None: the start.
    pub after: Option<String>,
    /// The time after it.
    pub by: Duration,
    /// Where the file says it.
    pub span: Span,
}

/// Notes events that wait for each other, and events after the end of the case.
pub fn check_timings(dec: &Decoder<'_, '_>, timings: &[Timing], give_up: Option<Duration>) {
    for timing in timings {
        let mut at = timing.by;
        let mut seen = vec![timing.name.as_str()];
        let mut next = timing.after.as_deref();
        let mut known = true;
        while let Some(mark) = next {
            if seen.contains(&mark) {
                if mark == timing.name {
                    seen.push(mark);
                    dec.problem(
                        Problem::new(
                            timing.span,
                            format!("`{mark}` waits for itself: {}", seen.join(" after ")),
                        )
                        .expected("an event that something else sets off"),
                    );
                }
                known = false;
                break;
            }
            seen.push(mark);
            let Some(earlier) = timings.iter().find(|earlier| earlier.name == mark) else {
                break;
            };
            at = at.saturating_add(earlier.by);
            next = earlier.after.as_deref();
        }
        if known
            && let Some(give_up) = give_up
            && at >= give_up
        {
            let at_least = if timing.after.is_some() {
                "at the earliest "
            } else {
                ""
            };
            dec.problem(
                Problem::new(
                    timing.span,
                    format!(
                        "this happens {at_least}{} after the start, when the case has given up",
                        words(at)
                    ),
                )
                .expected(format!("less than `give_up`, which is {}", words(give_up))),
            );
        }
    }
}
