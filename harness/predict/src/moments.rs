//! When programs and faults really did what they did.
//!
//! A story is nominal: steps take no time. Where the real moments are known, a
//! prediction starts from them, and only what the kernel does by itself is left
//! to be told. Nothing here says what a call returned.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::span::Span;

/// A call of a program: its name and when it was made. It ends where it
/// returned at once, or where it began when it waited for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTime {
    /// `write`.
    pub call: String,
    /// Since the case began.
    pub at: Span,
}

/// Moments of one run of a case, counted from its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moments {
    /// The acts of each process, by its lane's label, its boot and its number.
    calls: BTreeMap<(String, u32, u32), Vec<CallTime>>,
    /// When processes were reaped.
    ends: BTreeMap<(String, u32, u32), Duration>,
    /// When events took effect, by name.
    events: BTreeMap<String, Span>,
}

impl Moments {
    /// Notes a process's acts, in their order.
    pub fn process(&mut self, label: &str, boot: u32, number: u32, calls: Vec<CallTime>) {
        self.calls.insert((label.to_owned(), boot, number), calls);
    }

    /// Notes when a process was reaped.
    pub fn ended(&mut self, label: &str, boot: u32, number: u32, at: Duration) {
        self.ends.insert((label.to_owned(), boot, number), at);
    }

    /// When a process was reaped.
    pub fn end(&self, label: &str, boot: u32, number: u32) -> Option<Duration> {
        self.ends.get(&(label.to_owned(), boot, number)).copied()
    }

    /// Notes when an event took effect: between asking for it and being told so.
    pub fn event(&mut self, name: &str, at: Span) {
        self.events.insert(name.to_owned(), at);
    }

    /// The acts of a process.
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
