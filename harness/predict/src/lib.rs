//! Predictions: which call shows what, and when, before anything is run.
//!
//! Pure: a case and a kernel's version and HZ go in, a sign and an interval
//! come out, with the reason in words. Nothing is padded: the interval holds
//! what the kernel's rules leave open (where the timer wheel stands, how long
//! the round trip is), and lateness of processes on a busy machine is for the
//! comparison to allow (`outcome::tolerance`).

pub mod acks;
pub mod connect;
mod connecting;
pub mod entry;
pub mod errno;
pub mod facts;
pub mod fall;
pub mod gone;
pub mod keepalive;
pub mod kernel;
pub mod limits;
pub mod moments;
pub mod neighbour;
pub mod orphan;
mod pages;
pub mod persist;
pub mod renewed;
pub mod retransmit;
pub mod rtt;
pub mod rule;
mod sender;
pub mod span;
mod story;
pub mod sysctls;
pub mod unresolved;
pub mod wheel;
pub mod window;
pub mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use kernel::{KernelFacts, Version};
pub use moments::Moments;
pub use rule::RuleId;
use span::{Span, Spans};

use halfopen_scenario::case::{Case, SignKind};

/// What a case is going to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The first sign.
    pub sign: SignKind,
    /// The call that shows it; None when nobody notices.
    pub call: Option<String>,
    /// The lane that notices; None when nobody does.
    pub lane: Option<String>,
    /// Since the fault, at least; 0 when nobody notices.
    pub earliest: Duration,
    /// Since the fault, at most; 0 when nobody notices.
    pub latest: Duration,
    /// The intervals within, when a cliff of the kernel's rules lies between them.
    pub branches: Vec<Span>,
    /// From the last heal until a byte gets through, if one does.
    #[serde(default)]
    pub first_byte: Option<Span>,
    /// Why, in words.
    pub because: String,
    /// The rules it rests on.
    pub rules: Vec<RuleId>,
}

impl Prediction {
    /// The intervals the sign may come in: the branches, or the only one.
    pub fn intervals(&self) -> impl Iterator<Item = Span> {
        let whole = Span::new(self.earliest, self.latest);
        let one = self.branches.is_empty().then_some(whole);
        self.branches.iter().copied().chain(one)
    }
}

/// Why a case cannot be predicted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not predictable: {why}")]
pub struct Unpredictable {
    /// What the rules do not decide.
    pub why: String,
}

/// Predicts a case on a kernel.
///
/// # Errors
/// When chance decides, or something the rules do not know.
pub fn predict(case: &Case, environment: &KernelFacts) -> Result<Prediction, Unpredictable> {
    predict_given(case, environment, &Moments::default())
}

/// The same when it is known where the timer wheel stood as the case began
/// (`environment.phase`), and when the programs and the faults did what they
/// did by themselves: what is left is the kernel's alone.
///
/// # Errors
/// As [`predict`].
pub fn predict_given(
    case: &Case,
    environment: &KernelFacts,
    moments: &Moments,
) -> Result<Prediction, Unpredictable> {
    let told = story::tell(case, *environment, moments)?;
    let Some(seen) = told.sign else {
        return Ok(Prediction {
            sign: SignKind::Unnoticed,
            call: None,
            lane: None,
            earliest: Duration::ZERO,
            latest: Duration::ZERO,
            branches: Vec::new(),
            first_byte: told.first_byte,
            because: told.quiet.0,
            rules: vec![told.quiet.1],
        });
    };
    let at = seen.at.map(|span| span.since(told.reference));
    let hull = at.hull().unwrap_or(Span::at(Duration::ZERO));
    Ok(Prediction {
        sign: seen.kind,
        call: Some(seen.call),
        lane: Some(seen.lane),
        earliest: hull.earliest,
        latest: hull.latest,
        branches: several(&at),
        first_byte: told.first_byte,
        because: seen.because,
        rules: seen.rules,
    })
}

fn several(at: &Spans) -> Vec<Span> {
    let all: Vec<Span> = at.iter().collect();
    if all.len() > 1 { all } else { Vec::new() }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod written_tests;
