//! One cell of a grid, as full or as short text.

use std::time::Duration;

use crate::text;
use halfopen_outcome::record::{Outcome, Status, Verdict};
use halfopen_predict::Prediction;
use halfopen_scenario::case::SignKind;

/// The content of a cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Content<'a> {
    /// A first sign.
    Seen {
        /// Its kind.
        sign: &'a SignKind,
        /// The time since the fault.
        after: Duration,
        /// Whether it lies outside its prediction.
        outside: bool,
    },
    /// Nobody noticed within the limit.
    Unnoticed {
        /// Whether something else was predicted.
        outside: bool,
    },
    /// Nobody noticed within the limit, and the rules predict a sign after it,
    /// which was not measured.
    BeyondLimit {
        /// The predicted sign.
        sign: &'a SignKind,
        /// Its earliest time.
        earliest: Duration,
    },
    /// The machine was disturbed in every try.
    Disturbed,
    /// It was not run.
    NotRun,
    /// The harness failed.
    Failed,
    /// There is no outcome: the run ended before.
    Missing,
}

impl<'a> Content<'a> {
    /// The content for an outcome, with the prediction beyond the limit.
    pub fn of(outcome: &'a Outcome, beyond_limit: Option<&'a Prediction>) -> Self {
        let outside = outcome.outside.is_some();
        let seen = match (&outcome.status, &outcome.first_sign) {
            (Status::NotRun(_), _) => return Content::NotRun,
            (Status::Failed(_), _) | (Status::Ran, None) => return Content::Failed,
            (Status::Ran, Some(_)) if outcome.verdict == Verdict::Disturbed => {
                return Content::Disturbed;
            }
            (Status::Ran, Some(seen)) => seen,
        };
        match (&seen.outcome, seen.since_fault_ns, beyond_limit) {
            (SignKind::Unnoticed, ..) if outside => Content::Unnoticed { outside },
            (SignKind::Unnoticed, _, Some(later)) if later.sign != SignKind::Unnoticed => {
                Content::BeyondLimit {
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

    /// As full text: `ETIMEDOUT 15 m`, `unnoticed`.
    pub fn full(&self) -> String {
        match self {
            Content::Seen {
                sign,
                after,
                outside,
            } => format!("{} {}{}", text::kind(sign), time(*after), mark(*outside)),
            Content::Unnoticed { outside } => format!("unnoticed{}", mark(*outside)),
            Content::BeyondLimit { sign, earliest } => {
                format!("({} {})", text::kind(sign), time(*earliest))
            }
            Content::Disturbed => "disturbed".into(),
            Content::NotRun => "not run".into(),
            Content::Failed => "FAILED".into(),
            Content::Missing => "no result".into(),
        }
    }

    /// As short text: `T 15m`, `-`.
    pub fn short(&self) -> String {
        let compact = |span: Duration| time(span).replace(' ', "");
        match self {
            Content::Seen {
                sign,
                after,
                outside,
            } => format!("{} {}{}", letter(sign), compact(*after), mark(*outside)),
            Content::Unnoticed { outside } => format!("-{}", mark(*outside)),
            Content::BeyondLimit { sign, earliest } => {
                format!("({} {})", letter(sign), compact(*earliest))
            }
            Content::Disturbed => "~".into(),
            Content::NotRun => "not run".into(),
            Content::Failed => "FAILED".into(),
            Content::Missing => "?".into(),
        }
    }

    /// Whether it lies outside its prediction.
    pub fn is_outside(&self) -> bool {
        matches!(
            self,
            Content::Seen { outside: true, .. } | Content::Unnoticed { outside: true }
        )
    }

    /// The sign that was observed or is predicted.
    pub fn sign(&self) -> Option<&'a SignKind> {
        match self {
            Content::Seen { sign, .. } | Content::BeyondLimit { sign, .. } => Some(sign),
            _ => None,
        }
    }
}

fn mark(outside: bool) -> &'static str {
    if outside { "!" } else { "" }
}

/// The letter of a sign in a narrow grid; rare signs keep their names.
pub(super) fn letter(sign: &SignKind) -> String {
    let text = match sign {
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
        SignKind::Exited(status) => return format!("exit {status}"),
        SignKind::HeartbeatLost => "B",
        SignKind::Unnoticed => "-",
    };
    text.to_owned()
}

/// A time as a grid shows it: `0 s`, `1.2 s`, `29 s`, `1 m 45 s`, `16 m`,
/// `2 h 12 m`. That is precise enough to compare detectors; the JSON has
/// nanoseconds.
pub fn time(span: Duration) -> String {
    let unit = rounding(span);
    let steps = (span.as_nanos() + unit.as_nanos() / 2) / unit.as_nanos();
    let rounded = Duration::from_nanos(u64::try_from(steps * unit.as_nanos()).unwrap_or(u64::MAX));
    halfopen_net::span::human(rounded)
}

/// The unit to which a time is rounded in a grid.
pub fn rounding(span: Duration) -> Duration {
    match span.as_secs() {
        0..10 => Duration::from_millis(100),
        10..600 => Duration::from_secs(1),
        _ => Duration::from_secs(60),
    }
}
