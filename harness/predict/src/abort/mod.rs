//! When, and with which errno, TCP gives up a connection or a connect().
//!
//! [`Abort`] is the common result; `facts` chooses the rule by the fate of the packets,
//! `connect` does so for SYNs, `neighbour_dead` and `neighbour_unresolved` cover next hops
//! that do not answer. Needs the timers and the neighbour entries; the simulator uses it.

pub mod connect;
pub mod facts;
pub mod neighbour_dead;
pub mod neighbour_unresolved;
pub(crate) mod sender;

use std::time::Duration;

use crate::rule::RuleId;
use crate::span::{Span, Spans};

/// An abort by a timer, counted from the write (or the connect()).
#[derive(Debug, Clone, PartialEq)]
pub struct Abort {
    /// When.
    pub abort_at: Spans,
    /// When segments are sent again until then, in order.
    pub attempts: Vec<Spans>,
    /// The errno that calls report then.
    pub errno: &'static str,
    /// The reason, as text.
    pub because: String,
    /// The rules it rests on.
    pub rules: Vec<RuleId>,
    /// Why the errno cannot be predicted, if it cannot.
    pub undecided: Option<String>,
}

impl Abort {
    /// The same abort, `by` later.
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

    /// With a round trip measured by heartbeats that nobody answers: their acknowledgments
    /// are delayed by up to 40 ms (TCP_DELACK_MIN, tcp_send_delayed_ack()), so every RTO is
    /// up to 44 in 200 longer.
    pub fn with_delayed_acks(self) -> Abort {
        let longer = |span: Span| Span::new(span.earliest, span.latest.mul_f64(1.22));
        Abort {
            abort_at: self.abort_at.map(longer),
            attempts: self.attempts.iter().map(|at| at.map(longer)).collect(),
            ..self
        }
    }

    /// For a connection that is closed during retransmission: from the `first` expiry of
    /// the RTO on, this budget applies (tcp_orphan_retries()).
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

    /// Either abort may occur.
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
