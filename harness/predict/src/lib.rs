//! Predictions: which call shows which sign, and when, before anything is run.
//!
//! The crate does no I/O: it takes a case, the kernel's version and HZ, and returns a sign,
//! an interval and the reason. Intervals are not padded: they hold only what the kernel's
//! rules leave open (the phase of the timer wheel, the round-trip time). The lateness of
//! processes on a busy machine is added by the comparison (`outcome::tolerance`).
//!
//! `simulator` tells the case by rules: what the kernel does by a timer comes from `timers`,
//! `retransmission`, `neighbour` and `abort`. Where the rules lack something, or are known to be
//! wrong, `simulated` has `halfopen-sim` simulate the case packet by packet.

use std::time::Duration;

pub mod abort;
pub mod neighbour;
mod pages;
mod prediction;
pub mod retransmission;
pub mod rule;
mod simulated;
mod simulator;
pub mod sysctls;
pub mod text;
pub mod timers;

pub use halfopen_sim::{errno, kernel, moments, span, wheel};
pub use kernel::{KernelFacts, Version};
pub use moments::Moments;
pub use prediction::{Prediction, Unpredictable};
pub use rule::RuleId;

use halfopen_scenario::case::{Case, SignKind};
use span::{Span, Spans};

/// Predicts a case on a kernel.
///
/// # Errors
/// When the outcome depends on chance, or on something the rules do not cover.
pub fn predict(case: &Case, environment: &KernelFacts) -> Result<Prediction, Unpredictable> {
    predict_given(case, environment, &Moments::default())
}

/// Predicts a case whose run is known in part: the phase of the timer wheel at its start
/// (`environment.phase`), and the times at which programs made their calls and faults took
/// effect. What remains open is decided by the kernel alone.
///
/// # Errors
/// As [`predict`].
pub fn predict_given(
    case: &Case,
    environment: &KernelFacts,
    moments: &Moments,
) -> Result<Prediction, Unpredictable> {
    let by_rules = by_rules(case, environment, moments);
    let simulates = match &by_rules {
        Ok(_) => simulated::is_better(case),
        Err(open) => simulated::is_gap(open),
    };
    if !simulates {
        return by_rules;
    }
    match (simulated::predict(case, environment, moments), by_rules) {
        (Ok(simulated), Ok(by_rules)) if agree(&simulated, &by_rules) => Ok(by_rules),
        (Ok(simulated), _) => Ok(simulated),
        (Err(_), by_rules) => by_rules,
    }
}

/// Whether two predictions name the same sign, and their intervals meet.
fn agree(a: &Prediction, b: &Prediction) -> bool {
    let meets = a.intervals().any(|a| {
        b.intervals()
            .any(|b| a.earliest <= b.latest && b.earliest <= a.latest)
    });
    a.sign == b.sign && a.call == b.call && meets
}

/// The rules' prediction.
fn by_rules(
    case: &Case,
    environment: &KernelFacts,
    moments: &Moments,
) -> Result<Prediction, Unpredictable> {
    let simulated = simulator::run(case, *environment, moments)?;
    let Some(observation) = simulated.sign else {
        return Ok(Prediction {
            sign: SignKind::Unnoticed,
            call: None,
            lane: None,
            earliest: Duration::ZERO,
            latest: Duration::ZERO,
            branches: Vec::new(),
            first_byte: simulated.first_byte,
            because: simulated.unnoticed.0,
            rules: vec![simulated.unnoticed.1],
        });
    };
    let at = observation.at.map(|span| span.since(simulated.reference));
    let hull = at.hull().unwrap_or(Span::at(Duration::ZERO));
    Ok(Prediction {
        sign: observation.kind,
        call: Some(observation.call),
        lane: Some(observation.lane),
        earliest: hull.earliest,
        latest: hull.latest,
        branches: branches(&at),
        first_byte: simulated.first_byte,
        because: observation.because,
        rules: observation.rules,
    })
}

/// The intervals, where there are several.
fn branches(at: &Spans) -> Vec<Span> {
    let all: Vec<Span> = at.iter().collect();
    if all.len() > 1 { all } else { Vec::new() }
}

#[cfg(test)]
mod simulated_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod written_tests;
