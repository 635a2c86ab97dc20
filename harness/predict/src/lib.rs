//! Predictions: which call shows which sign, and when, before anything is run.
//!
//! The crate does no I/O: it takes a case, the kernel's version and HZ, and returns a sign,
//! an interval and the reason. Intervals are not padded: they hold only what the kernel's
//! rules leave open (the phase of the timer wheel, the round-trip time). The lateness of
//! processes on a busy machine is added by the comparison (`outcome::tolerance`).
//!
//! `simulated` has `halfopen-sim` simulate the case packet by packet. `simulator` tells it by
//! rules: what the kernel does by a timer comes from `timers`, `retransmission`, `neighbour` and
//! `abort`. The rules answer where the simulation lacks something; where both say the same, in
//! the rules' words.
//!
//! [`predict_socket`] answers for a socket of a lab as it stands there.

use std::time::Duration;

pub mod abort;
pub mod neighbour;
mod pages;
mod prediction;
mod question;
pub mod retransmission;
pub mod rule;
mod simulated;
mod simulator;
mod socket;
pub mod sysctls;
pub mod text;
pub mod timers;

pub use halfopen_sim::{errno, kernel, moments, span, wheel};
pub use kernel::{KernelFacts, Version};
pub use moments::Moments;
pub use prediction::{OtherSign, Prediction, Unpredictable};
pub use question::{Fault, InFlight, Question};
pub use rule::RuleId;
pub use socket::{Next, predict_socket};

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
    match (simulated::predict(case, environment, moments), by_rules) {
        (Ok(simulated), Ok(by_rules)) if says_more(&by_rules, &simulated, *environment) => {
            Ok(by_rules)
        }
        (Ok(simulated), Err(open))
            if moments.is_empty() && is_race(&open, &simulated, *environment) =>
        {
            Err(open)
        }
        (Ok(simulated), _) => Ok(simulated),
        (Err(open), by_rules) => by_rules.map_err(|_| open),
    }
}

/// What the rules say of programs and faults that act within milliseconds. The simulation's
/// programs are never late; in a run that is followed they are as late as they were.
const RACES: [&str; 5] = [
    "whether a beat or the fault is first",
    "whether it ends by itself before the fault",
    "which of two programs that look at the same time is first",
    "whether the peer's process has ended when data comes",
    "whether a packet on a long line or the fault is first",
];

/// Whether the rules see a race where the simulation sees one sign.
fn is_race(open: &Unpredictable, simulated: &Prediction, kernel: KernelFacts) -> bool {
    kernel.phase == wheel::Phase::Unknown
        && simulated.others.is_empty()
        && RACES.iter().any(|race| open.why.starts_with(race))
}

/// Whether the rules say what the simulation says. In a run that is followed they know which
/// of several signs at one moment comes: the simulation tries its calls at the beginning
/// and at the end of the intervals in which they were made.
fn says_more(by_rules: &Prediction, simulated: &Prediction, kernel: KernelFacts) -> bool {
    const ONE_MOMENT: Duration = Duration::from_millis(2);
    let followed = kernel.phase != wheel::Phase::Unknown && simulated.share.is_none();
    let near = |at: Span| {
        simulated.earliest <= at.latest + ONE_MOMENT && at.earliest <= simulated.latest + ONE_MOMENT
    };
    let mut others = simulated.others.iter();
    if !others.all(|other| followed && !other.at.is_empty() && other.at.iter().all(|at| near(*at)))
    {
        return false;
    }
    let call = by_rules.call.as_deref().unwrap_or_default();
    let same = simulated.clone().led_by(&by_rules.sign, call);
    by_rules.covers(&same, kernel.wheel().tick())
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
            others: Vec::new(),
            share: None,
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
        others: Vec::new(),
        share: None,
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
