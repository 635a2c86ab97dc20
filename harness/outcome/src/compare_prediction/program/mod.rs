//! Predicts what an unmodified program notices, where its part is simple enough: it has one
//! connection, waits on it from before the fault on, and nothing is sent. What ends the
//! wait is then the kernel's doing, by what both ends set on their sockets, or the time
//! limit of the program's poll(). What the program did is taken from the record, as it is
//! for scripts in virtual time; what the kernel did is not.

mod script;
mod wait;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::record::{FirstSign, Outcome, reference_ns};
use halfopen_predict::span::Span;
use halfopen_predict::{KernelFacts, OtherSign, Prediction, RuleId, predict as predict_script};
use halfopen_scenario::case::{Case, SignKind};

use wait::{Limit, Wait};

/// The prediction for a case with programs.
///
/// # Errors
/// Why the watched program's part is not that simple, as text.
pub(super) fn predict(
    case: &Case,
    outcome: &Outcome,
    first: &FirstSign,
    facts: &KernelFacts,
) -> Result<Prediction, String> {
    let wait = wait::of(case, outcome, first)?;
    let script = script::of(case, outcome, &wait)?;
    let mut prediction = predict_script(&script, facts).map_err(|e| e.why)?;
    // Which call a program reads by is its own business.
    let named = |call: &mut Option<String>| {
        if let Some(call) = call.as_mut().filter(|_| !first.call.is_empty()) {
            call.clone_from(&first.call);
        }
    };
    named(&mut prediction.call);
    for other in &mut prediction.others {
        named(&mut other.call);
    }
    let Some(limit) = &wait.limit else {
        return Ok(prediction);
    };
    let reference = reference_ns(&outcome.faults);
    Ok(within(prediction, limit, &wait, reference))
}

/// The prediction of a program whose poll() runs out: its limit ends the wait if the
/// kernel does not.
fn within(kernel: Prediction, limit: &Limit, wait: &Wait<'_>, reference: i64) -> Prediction {
    let since = Duration::from_nanos((limit.at_ns - reference).max(0).unsigned_abs());
    let at = Span::new(since, since + slack(limit.length));
    let noticed = kernel.sign != SignKind::Unnoticed;
    if noticed && kernel.latest < at.earliest {
        return kernel;
    }
    let mut own = Prediction {
        sign: SignKind::Timeout,
        call: Some(limit.call.clone()),
        lane: Some(wait.program.name.clone()),
        earliest: at.earliest,
        latest: at.latest,
        branches: Vec::new(),
        first_byte: None,
        others: Vec::new(),
        share: None,
        because: format!("nothing ends its {}() before its time limit", limit.call),
        rules: vec![RuleId::OwnTimeLimit],
    };
    if noticed && kernel.earliest <= at.latest {
        own.others.push(OtherSign {
            at: kernel.intervals().collect(),
            sign: kernel.sign,
            call: kernel.call,
            lane: kernel.lane,
            share: None,
        });
    }
    own
}

/// How late a poll() may end: a thousandth of its limit, between 50 us and 100 ms
/// (select_estimate_accuracy()).
fn slack(limit: Duration) -> Duration {
    (limit / 1000).clamp(Duration::from_micros(50), Duration::from_millis(100))
}
