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
    /// Other signs that may come instead, where the order of things that happen at about
    /// the same time decides, or something else that nobody knows.
    #[serde(default)]
    pub others: Vec<OtherSign>,
    /// Where chance decides, the share of runs that show this sign, 0 to 1; its interval is
    /// then that of nine in ten of them.
    #[serde(default)]
    pub share: Option<f64>,
    /// The reason, as text.
    pub because: String,
    /// The rules it rests on.
    pub rules: Vec<RuleId>,
}

/// A sign that may come instead of the predicted one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherSign {
    /// The sign.
    pub sign: SignKind,
    /// The call that shows it; None when nobody notices.
    pub call: Option<String>,
    /// The lane that notices; None when nobody does.
    pub lane: Option<String>,
    /// When, since the fault; empty when nobody notices.
    pub at: Vec<Span>,
    /// Where chance decides, the share of runs that show it.
    #[serde(default)]
    pub share: Option<f64>,
}

impl Prediction {
    /// The intervals in which the sign may come: the branches, or the only one.
    pub fn intervals(&self) -> impl Iterator<Item = Span> {
        let whole = Span::new(self.earliest, self.latest);
        let one = self.branches.is_empty().then_some(whole);
        self.branches.iter().copied().chain(one)
    }

    /// Counts all times from a moment that is so much later than the fault.
    pub(crate) fn earlier_by(&mut self, ago: Duration) {
        let sooner = |span: Span| {
            let less = |at: Duration| at.saturating_sub(ago);
            Span::new(less(span.earliest), less(span.latest))
        };
        self.earliest = self.earliest.saturating_sub(ago);
        self.latest = self.latest.saturating_sub(ago);
        self.branches = self.branches.iter().copied().map(sooner).collect();
        self.first_byte = self.first_byte.map(sooner);
        for other in &mut self.others {
            other.at = other.at.iter().copied().map(sooner).collect();
        }
    }

    /// The same prediction with this sign before the others, if it is one of them.
    #[must_use]
    pub fn led_by(mut self, sign: &SignKind, call: &str) -> Self {
        let is = |other: &OtherSign| {
            other.sign == *sign && other.call.as_deref().is_none_or(|c| c == call)
        };
        let leads = self.sign == *sign && self.call.as_deref().is_none_or(|c| c == call);
        let Some(index) = self.others.iter().position(is).filter(|_| !leads) else {
            return self;
        };
        let at = self.intervals().collect();
        let other = &mut self.others[index];
        std::mem::swap(&mut self.sign, &mut other.sign);
        std::mem::swap(&mut self.call, &mut other.call);
        std::mem::swap(&mut self.lane, &mut other.lane);
        std::mem::swap(&mut self.share, &mut other.share);
        let times = std::mem::replace(&mut other.at, at);
        if other.sign == SignKind::Unnoticed {
            other.at.clear();
        }
        self.set_times(&times);
        self
    }

    /// The intervals in which the sign may come.
    pub(crate) fn set_times(&mut self, times: &[Span]) {
        let first = times.first().map_or(Duration::ZERO, |span| span.earliest);
        self.earliest = first;
        self.latest = times.last().map_or(first, |span| span.latest);
        self.branches = if times.len() > 1 {
            times.to_vec()
        } else {
            Vec::new()
        };
    }

    /// Whether another prediction names the same sign, no sooner and no later than this one
    /// says, but for a tick.
    pub(crate) fn covers(&self, other: &Prediction, tick: Duration) -> bool {
        let within = |inner: Span, outer: Span| {
            inner.earliest + tick >= outer.earliest && inner.latest <= outer.latest + tick
        };
        let byte = match (other.first_byte, self.first_byte) {
            (Some(inner), Some(outer)) => within(inner, outer),
            (inner, outer) => inner == outer,
        };
        let mut times = other.intervals();
        byte && self.sign == other.sign
            && self.call == other.call
            && times.all(|inner| self.intervals().any(|outer| within(inner, outer)))
    }
}

/// Why a case cannot be predicted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not predictable: {why}")]
pub struct Unpredictable {
    /// What the rules do not decide.
    pub why: String,
}
