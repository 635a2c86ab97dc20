//! What disturbed cases do to a command: a line on standard error, and what the
//! user chose for the exit code.

use std::collections::BTreeSet;
use std::time::Duration;

use halfopen_net::span::human_ns;
use halfopen_outcome::record::{Outcome, Verdict};
use halfopen_report::text::counted;

use super::error::Exit;
use super::output;
use crate::args::OnDisturbed;

/// How long a run waits for quiet moments in all: long enough for a compiler's peak,
/// short enough for somebody who waits for the run.
pub(crate) const WAIT_FOR_QUIET: Duration = Duration::from_secs(20);

/// Reports disturbed cases on standard error, and returns the exit code.
pub(crate) fn conclude(outcomes: &[Outcome], policy: OnDisturbed, exit: Exit) -> Exit {
    // Each case counts what overflowed while it ran; the longest saw the most.
    let cases = outcomes.iter().filter(|o| !o.overflows.is_empty()).count();
    let overflows: BTreeSet<&String> = outcomes.iter().flat_map(|o| &o.overflows).collect();
    if let Some(most) = overflows.last() {
        let cases = counted(cases, "case", "cases");
        output::remark(&format!("while {cases} ran, {most}"));
    }
    let Some(line) = warning(outcomes, policy) else {
        return exit;
    };
    output::remark(&line);
    match (policy, exit) {
        (OnDisturbed::Fail, Exit::AsExpected) => Exit::Differs,
        _ => exit,
    }
}

fn warning(outcomes: &[Outcome], policy: OnDisturbed) -> Option<String> {
    let disturbed: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Disturbed)
        .collect();
    if disturbed.is_empty() {
        return None;
    }
    let tries = disturbed.iter().flat_map(|o| &o.disturbed_tries);
    let worst = tries.filter_map(|of| of.lag_ns).max().unwrap_or(0);
    let what = match policy {
        OnDisturbed::Fail => "counts as a failure (--disturbed fail)",
        OnDisturbed::Warn => "counts as no failure (--disturbed fail makes it one)",
    };
    Some(format!(
        "{} disturbed: this machine was never quiet, and up to {} late; that {what}",
        counted(disturbed.len(), "case", "cases"),
        human_ns(i64::try_from(worst).unwrap_or(i64::MAX)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_outcome::testing;

    #[test]
    fn the_policy_decides_the_exit_code() {
        let outcomes = [testing::unnoticed(), testing::disturbed()];
        let exit = |policy, exit| conclude(&outcomes, policy, exit);
        use OnDisturbed::{Fail, Warn};
        assert_eq!(exit(Warn, Exit::AsExpected), Exit::AsExpected);
        assert_eq!(exit(Fail, Exit::AsExpected), Exit::Differs);
        assert_eq!(exit(Fail, Exit::Interrupted), Exit::Interrupted);
        assert_eq!(exit(Warn, Exit::Differs), Exit::Differs);
        let quiet = [testing::unnoticed()];
        assert_eq!(conclude(&quiet, Fail, Exit::AsExpected), Exit::AsExpected);
    }

    #[test]
    fn the_warning_has_the_worst_lag() {
        let text = warning(&[testing::disturbed()], OnDisturbed::Warn);
        assert!(text.is_some_and(|t| t.contains("730 ms") && t.starts_with("1 case ")));
    }
}
