//! One cell: what was seen, in few words.

use std::time::Duration;

use crate::text;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_predict::Prediction;
use halfopen_scenario::case::SignKind;

/// What stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Content<'a> {
    /// A first sign, and how long after the fault.
    Seen {
        /// What.
        sign: &'a SignKind,
        /// How long after.
        after: Duration,
        /// It was predicted otherwise.
        outside: bool,
    },
    /// Nobody noticed within the limit.
    Unnoticed {
        /// It was predicted otherwise.
        outside: bool,
    },
    /// Nobody noticed within the limit; the rules say who would later. This
    /// was not measured.
    Later {
        /// What is going to be seen.
        sign: &'a SignKind,
        /// At the earliest.
        earliest: Duration,
    },
    /// It was not run.
    NotRun,
    /// The harness failed.
    Failed,
    /// There is no outcome: its run came to an end before.
    Missing,
}

impl<'a> Content<'a> {
    /// From an outcome, and from what the rules say of a longer wait.
    pub fn of(outcome: &'a Outcome, later: Option<&'a Prediction>) -> Self {
        let outside = outcome.outside.is_some();
        let seen = match (&outcome.status, &outcome.first_sign) {
            (Status::NotRun(_), _) => return Content::NotRun,
            (Status::Failed(_), _) | (Status::Ran, None) => return Content::Failed,
            (Status::Ran, Some(seen)) => seen,
        };
        match (&seen.outcome, seen.since_fault_ns, later) {
            (SignKind::Unnoticed, ..) if outside => Content::Unnoticed { outside },
            (SignKind::Unnoticed, _, Some(later)) if later.sign != SignKind::Unnoticed => {
                Content::Later {
                    sign: &later.sign,
                    earliest: later.earliest,
                }
            }
            (SignKind::Unnoticed, ..) => Content::Unnoticed { outside },
            (sign, ns, _) => Content::Seen {
                sign,
                after: Duration::from_nanos(ns.unwrap_or(0).max(0).unsigned_abs()),
                outside,
            },
        }
    }

    /// In full: `ETIMEDOUT 15 m`, `unnoticed`.
    pub fn full(&self) -> String {
        match self {
            Content::Seen {
                sign,
                after,
                outside,
            } => format!("{} {}{}", text::kind(sign), time(*after), mark(*outside)),
            Content::Unnoticed { outside } => format!("unnoticed{}", mark(*outside)),
            Content::Later { sign, earliest } => {
                format!("({} {})", text::kind(sign), time(*earliest))
            }
            Content::NotRun => "not run".into(),
            Content::Failed => "FAILED".into(),
            Content::Missing => "no result".into(),
        }
    }

    /// In a few letters: `T 15m`, `-`.
    pub fn short(&self) -> String {
        let tight = |span: Duration| time(span).replace(' ', "");
        match self {
            Content::Seen {
                sign,
                after,
                outside,
            } => format!("{} {}{}", code(sign), tight(*after), mark(*outside)),
            Content::Unnoticed { outside } => format!("-{}", mark(*outside)),
            Content::Later { sign, earliest } => format!("({} {})", code(sign), tight(*earliest)),
            Content::NotRun => "not run".into(),
            Content::Failed => "FAILED".into(),
            Content::Missing => "?".into(),
        }
    }

    /// Whether it was predicted otherwise.
    pub fn is_outside(&self) -> bool {
        matches!(
            self,
            Content::Seen { outside: true, .. } | Content::Unnoticed { outside: true }
        )
    }

    /// The sign it shows or foretells.
    pub fn sign(&self) -> Option<&'a SignKind> {
        match self {
            Content::Seen { sign, .. } | Content::Later { sign, .. } => Some(sign),
            _ => None,
        }
    }
}

fn mark(outside: bool) -> &'static str {
    if outside { "!" } else { "" }
}

/// A sign's letter in a narrow grid; one that has none keeps its name.
pub(super) fn code(sign: &SignKind) -> String {
    let letter = match sign {
        SignKind::Errno(name) => match name.as_str() {
            "ETIMEDOUT" => "T",
            "EHOSTUNREACH" => "H",
            "ENETUNREACH" => "N",
            "ECONNRESET" => "R",
            "EPIPE" => "P",
            _ => return name.clone(),
        },
        SignKind::Signal(name) => return name.clone(),
        SignKind::Eof => "F",
        SignKind::PollHangup => "U",
        SignKind::Timeout => "L",
        SignKind::HeartbeatLost => "B",
        SignKind::Unnoticed => "-",
    };
    letter.to_owned()
}

/// A time as a grid shows it: `0 s`, `1.2 s`, `29 s`, `1 m 45 s`, `16 m`,
/// `2 h 12 m`. Whoever compares detectors wants no more; the JSON has it all.
pub fn time(span: Duration) -> String {
    let unit = rounding(span);
    let steps = (span.as_nanos() + unit.as_nanos() / 2) / unit.as_nanos();
    let rounded = Duration::from_nanos(u64::try_from(steps * unit.as_nanos()).unwrap_or(u64::MAX));
    halfopen_net::span::human(rounded)
}

/// To what a time is rounded in a grid.
pub fn rounding(span: Duration) -> Duration {
    match span.as_secs() {
        0..10 => Duration::from_millis(100),
        10..600 => Duration::from_secs(1),
        _ => Duration::from_secs(60),
    }
}
