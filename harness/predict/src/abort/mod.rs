//! How something ends by itself, and what such ends have in common.

pub mod connect;
pub mod facts;
pub mod neighbour_dead;
pub mod neighbour_unresolved;
pub(crate) mod sender;

use std::time::Duration;

use crate::rule::RuleId;
use crate::span::{Span, Spans};

/// An end that comes by itself, counted from the write (or the connect()).
#[derive(Debug, Clone, PartialEq)]
pub struct Abort {
    /// When.
    pub abort_at: Spans,
    /// When it is tried again until then, in order.
    pub attempts: Vec<Spans>,
    /// What the calls show then.
    pub errno: &'static str,
    /// Why, in words.
    pub because: String,
    /// By which rules.
    pub rules: Vec<RuleId>,
    /// Why the errno cannot be told, if it cannot.
    pub undecided: Option<String>,
}

impl Abort {
    /// The same, so much later.
    pub fn delayed_by(self, by: Duration) -> Abort {
        Abort {
            abort_at: self.abort_at.map(|span| span.after(by)),
            attempts: self
                .attempts
                .iter()
                .map(|at| at.map(|span| span.after(by)))
                .collect(),
            ..self
        }
    }

    /// The round trip as TCP measures it by beats that nobody answers: their
    /// acknowledgments wait for up to 40 ms (TCP_DELACK_MIN,
    /// tcp_send_delayed_ack()), so every RTO is up to 44 in 200 longer.
    pub fn with_delayed_acks(self) -> Abort {
        let longer = |span: Span| Span::new(span.earliest, span.latest.mul_f64(1.22));
        Abort {
            abort_at: self.abort_at.map(longer),
            attempts: self.attempts.iter().map(|at| at.map(longer)).collect(),
            ..self
        }
    }

    /// Of one that is closed when tries are under way: from the `first` expiry of
    /// the RTO on it has this budget (tcp_orphan_retries()).
    pub fn limited_as_orphan(mut self, first: usize, budget: Duration) -> Abort {
        let Some(first) = self.attempts.get(first).and_then(Spans::hull) else {
            return self;
        };
        let over = |at: &Spans| {
            let at = at.hull();
            at.is_some_and(|at| at.earliest >= first.earliest.saturating_add(budget))
        };
        if let Some(end) = self.attempts.iter().position(over) {
            self.abort_at = self.attempts[end].clone();
            self.attempts.truncate(end);
        }
        self
    }

    /// This one or that one: both are possible.
    pub fn or(self, other: Abort) -> Abort {
        let most = self.attempts.len().max(other.attempts.len());
        let nth = |all: &[Spans], n: usize| all.get(n).cloned().unwrap_or_default();
        let agree = self.errno == other.errno;
        let differ = || Some("two errors are as likely, by where the timer wheel stands".into());
        Abort {
            attempts: (0..most)
                .map(|n| nth(&self.attempts, n).and(nth(&other.attempts, n)))
                .collect(),
            abort_at: self.abort_at.and(other.abort_at),
            undecided: self
                .undecided
                .or(other.undecided)
                .or_else(|| if agree { None } else { differ() }),
            ..self
        }
    }
}
