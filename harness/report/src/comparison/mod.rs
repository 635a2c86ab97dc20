//! Reports of comparisons: what changed between two runs, two baselines, or before
//! and after a change of sysctls. `run --against`, `diff` and `impact` print them.

pub mod json;
pub mod markdown;
pub mod text;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Serialize;

use halfopen_outcome::baseline::{CaseResult, Setting, interval};
use halfopen_outcome::compare::Totals;
use halfopen_outcome::comparison::Comparison;
use halfopen_scenario::case::Sign;

/// A sysctl that is not part of a comparison, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IgnoredSysctl {
    /// The sysctl.
    pub key: String,
    /// Why it is ignored.
    pub why: String,
}

/// `kernel 6.12.9, virtual time`.
pub fn title(comparison: &Comparison) -> String {
    let of = |setting: &Setting| match setting.clock.as_str() {
        "predicted" => format!("kernel {}, predicted", setting.kernel),
        clock => format!("kernel {}, {clock} time", setting.kernel),
    };
    match (&comparison.then, &comparison.now) {
        (Some(_), Some(now)) => of(now),
        (None, Some(now)) => format!("{}: there was no such run before", of(now)),
        (Some(then), None) => format!("{}: there is no such run any more", of(then)),
        (None, None) => String::new(),
    }
}

/// What a case showed: `ETIMEDOUT by client's read after 3.052s`.
pub fn result_text(result: &CaseResult) -> String {
    match result {
        CaseResult::Ran(ran) => sign(&ran.sign),
        CaseResult::NotRun(why) => format!("not run: {why}"),
        CaseResult::Failed(why) => format!("failed: {why}"),
    }
}

fn sign(sign: &Sign) -> String {
    let by = Sign {
        after: None,
        first_byte: None,
        ..sign.clone()
    };
    let mut text = crate::text::sign(&by);
    if let Some((earliest, latest)) = sign.after {
        let _ = write!(text, " after {}", interval(earliest, latest));
    }
    if let Some((earliest, latest)) = sign.first_byte {
        let _ = write!(
            text,
            ", the first byte {} after the heal",
            interval(earliest, latest)
        );
    }
    text
}

/// `118 unchanged, 1 changed, 2 not run`.
pub fn totals_text(totals: &Totals) -> String {
    let Totals {
        unchanged,
        changed,
        known,
        resolved: _,
        new,
        gone,
        not_run,
    } = *totals;
    let mut all = vec![
        format!("{unchanged} unchanged"),
        format!("{changed} changed"),
    ];
    let rest = [
        (known, "known"),
        (new, "new"),
        (gone, "gone"),
        (not_run, "not run"),
    ];
    let rest = rest.into_iter().filter(|(n, _)| *n > 0);
    all.extend(rest.map(|(n, kind)| format!("{n} {kind}")));
    all.join(", ")
}
