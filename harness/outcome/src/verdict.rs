//! Judges an observation by the scenario's expectation. It needs the first sign,
//! the recovery and a tolerance; the runner calls it when a case has ended.

use std::time::Duration;

use super::record::{FirstSign, Recovery, Verdict};
use super::recovery;
use super::tolerance::Tolerance;
use halfopen_scenario::case::{Case, Known, Sign, SignKind};

/// How `observed` compares with `expected`, and the differences as text.
pub fn judge(
    expected: Option<&Sign>,
    observed: &FirstSign,
    recovery: Option<&Recovery>,
    tolerance: &Tolerance,
) -> (Verdict, Vec<String>) {
    let Some(expected) = expected else {
        return (Verdict::Observed, Vec::new());
    };
    let mut differences = differences(expected, observed, tolerance);
    let byte = expected.first_byte;
    differences.extend(byte.and_then(|byte| recovery::differs(byte, recovery, tolerance)));
    let verdict = if differences.is_empty() {
        Verdict::AsExpected
    } else if expected
        .known
        .as_ref()
        .is_some_and(|k| covers(k, observed, tolerance))
    {
        Verdict::Known
    } else {
        Verdict::Differs
    };
    (verdict, differences)
}

/// The verdict with the scenario's checks, of which some `failed`. Checks alone are an
/// expectation, too.
pub fn with_checks(verdict: Verdict, case: &Case, failed: &[String]) -> Verdict {
    match verdict {
        Verdict::AsExpected | Verdict::Observed if !failed.is_empty() => Verdict::Differs,
        Verdict::Observed if !case.checks.is_empty() => Verdict::AsExpected,
        other => other,
    }
}

/// The verdict of a case in which something was `wrong` before the fault struck.
pub fn with_setup(verdict: Verdict, wrong: &[String]) -> Verdict {
    match verdict {
        Verdict::AsExpected | Verdict::Observed if !wrong.is_empty() => Verdict::NotSetUp,
        other => other,
    }
}

/// Whether a known difference is the one that was seen.
pub fn covers(known: &Known, observed: &FirstSign, tolerance: &Tolerance) -> bool {
    known
        .shows
        .as_ref()
        .is_none_or(|sign| differences(sign, observed, tolerance).is_empty())
}

/// Whether `observed` agrees with a book that says `said`: the sign and, within
/// the tolerance, the time. The call and the lane are compared only where the
/// book names them.
pub fn book_agrees(said: &Sign, observed: &FirstSign, tolerance: &Tolerance) -> bool {
    differences(said, observed, tolerance).is_empty()
}

fn differences(expected: &Sign, observed: &FirstSign, tolerance: &Tolerance) -> Vec<String> {
    let mut found = Vec::new();
    if expected.sign != observed.outcome {
        found.push(format!(
            "expected {}, saw {}",
            sign_text(&expected.sign),
            sign_text(&observed.outcome)
        ));
        return found;
    }
    if let Some(call) = expected.call.as_ref().filter(|c| **c != observed.call) {
        found.push(format!(
            "expected it from {call}(), saw it from {}()",
            observed.call
        ));
    }
    if let Some(lane) = expected.lane.as_ref().filter(|l| **l != observed.endpoint) {
        found.push(format!(
            "expected {lane} to notice, {} did",
            observed.endpoint
        ));
    }
    if let (Some((earliest, latest)), Some(ns)) = (expected.after, observed.since_fault_ns) {
        let measured = Duration::from_nanos(ns.max(0).unsigned_abs());
        if !tolerance.within(measured, earliest, latest) {
            found.push(format!(
                "expected after {earliest:?} to {latest:?}, saw it after {measured:?}"
            ));
        }
    }
    found
}

/// A kind of sign as text.
pub fn sign_text(sign: &SignKind) -> String {
    match sign {
        SignKind::Errno(name) => name.clone(),
        SignKind::Eof => "end of file".into(),
        SignKind::PollHangup => "hang-up (poll)".into(),
        SignKind::Timeout => "the application's own timeout".into(),
        SignKind::Signal(name) => format!("death by {name}"),
        SignKind::Exited(status) => format!("exit {status}"),
        SignKind::HeartbeatLost => "heartbeat lost".into(),
        SignKind::Unnoticed => "unnoticed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance::REAL_TIME;

    fn saw(kind: SignKind, ms: i64) -> FirstSign {
        FirstSign {
            endpoint: "client".into(),
            call: "read".into(),
            outcome: kind,
            errno: None,
            since_fault_ns: Some(ms * 1_000_000),
            wire_evidence_ns: None,
        }
    }

    fn timed_out(after_s: f64) -> Sign {
        let after = Duration::from_secs_f64(after_s);
        Sign {
            sign: SignKind::Errno("ETIMEDOUT".into()),
            call: Some("read".into()),
            lane: None,
            after: Some((after, after)),
            first_byte: None,
            known: None,
        }
    }

    fn verdict(expected: &Sign, observed: &FirstSign) -> Verdict {
        judge(Some(expected), observed, None, &REAL_TIME).0
    }

    #[test]
    fn time_has_a_tolerance_and_the_errno_has_none() {
        let expected = timed_out(5.0);
        let etimedout = || SignKind::Errno("ETIMEDOUT".into());
        assert_eq!(
            verdict(&expected, &saw(etimedout(), 5400)),
            Verdict::AsExpected
        );
        assert_eq!(
            verdict(&expected, &saw(etimedout(), 6400)),
            Verdict::Differs
        );
        assert_eq!(
            verdict(&expected, &saw(etimedout(), 4000)),
            Verdict::Differs
        );
        assert_eq!(
            verdict(&expected, &saw(SignKind::Errno("EPIPE".into()), 5000)),
            Verdict::Differs
        );
        assert_eq!(
            verdict(&expected, &saw(SignKind::Unnoticed, 0)),
            Verdict::Differs
        );
    }

    #[test]
    fn a_fault_gets_no_credit_for_what_was_wrong_before_it() {
        let wrong = ["the exchange had not ended".to_owned()];
        for (verdict, with) in [
            (Verdict::AsExpected, Verdict::NotSetUp),
            (Verdict::Observed, Verdict::NotSetUp),
            (Verdict::Differs, Verdict::Differs),
        ] {
            assert_eq!(with_setup(verdict, &wrong), with);
            assert_eq!(with_setup(verdict, &[]), verdict);
        }
    }

    #[test]
    fn nothing_expected_is_just_observed() {
        assert_eq!(
            judge(None, &saw(SignKind::Eof, 1), None, &REAL_TIME).0,
            Verdict::Observed
        );
    }
}
