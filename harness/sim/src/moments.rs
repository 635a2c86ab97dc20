//! Recorded times of a run: when programs made their calls and faults took effect.
//!
//! The simulation's time is nominal: steps take none. With the recorded times a prediction
//! starts from them, and only what the kernel does remains to be predicted. Results of
//! calls are not recorded here. `outcome` fills it in, the simulator reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::span::Span;

/// A call of a program: its name and time. The interval ends with the return of a call that
/// returned at once, or at its beginning if it waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTime {
    /// `write`.
    pub call: String,
    /// Since the case began.
    pub at: Span,
}

/// Recorded times of one run of a case, counted from its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moments {
    /// The calls of each process, by its lane's label, its boot and its number.
    calls: BTreeMap<(String, u32, u32), Vec<CallTime>>,
    /// When processes were reaped.
    ends: BTreeMap<(String, u32, u32), Duration>,
    /// When events took effect, by name.
    events: BTreeMap<String, Span>,
}

impl Moments {
    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.events.is_empty()
    }

    /// Records a process's calls, in their order.
    pub fn process(&mut self, label: &str, boot: u32, number: u32, calls: Vec<CallTime>) {
        self.calls.insert((label.to_owned(), boot, number), calls);
    }

    /// Records when a process was reaped.
    pub fn ended(&mut self, label: &str, boot: u32, number: u32, at: Duration) {
        self.ends.insert((label.to_owned(), boot, number), at);
    }

    /// When a process was reaped.
    pub fn end(&self, label: &str, boot: u32, number: u32) -> Option<Duration> {
        self.ends.get(&(label.to_owned(), boot, number)).copied()
    }

    /// Records when an event took effect: between the request and its confirmation.
    pub fn event(&mut self, name: &str, at: Span) {
        self.events.insert(name.to_owned(), at);
    }

    /// The calls of a process.
    pub fn calls(&self, label: &str, boot: u32, number: u32) -> &[CallTime] {
        self.calls
            .get(&(label.to_owned(), boot, number))
            .map_or(&[], Vec::as_slice)
    }

    /// When an event took effect.
    pub fn of_event(&self, name: &str) -> Option<Span> {
        self.events.get(name).copied()
    }
}
