//! What a prediction says, and why there may be none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rule::RuleId;
use crate::span::Span;
use halfopen_scenario::case::SignKind;

/// The predicted outcome of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The first sign.
    pub sign: SignKind,
    /// The call that shows it; None when nobody notices.
    pub call: Option<String>,
    /// The lane that notices; None when nobody does.
    pub lane: Option<String>,
    /// Earliest time of the sign since the fault; 0 when nobody notices.
    pub earliest: Duration,
    /// Latest time of the sign since the fault; 0 when nobody notices.
    pub latest: Duration,
    /// The disjoint intervals between `earliest` and `latest`, when a threshold of the
    /// kernel's rules separates several possible outcomes; else empty.
    pub branches: Vec<Span>,
    /// Time from the last heal until a byte gets through, if one does.
    #[serde(default)]
    pub first_byte: Option<Span>,
    /// The reason, as text.
    pub because: String,
    /// The rules it rests on.
    pub rules: Vec<RuleId>,
}

impl Prediction {
    /// The intervals in which the sign may come: the branches, or the only one.
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
