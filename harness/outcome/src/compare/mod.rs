//! Compares two runs of the same cases: what is not the same any more. It needs
//! the saved form of the runs; comparisons add the causes, and reports show the
//! result.

mod cases;
mod pairs;
mod settings;
mod totals;

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::baseline::Entry;
use halfopen_scenario::case::Known;

pub use cases::{case, runs};
pub use pairs::{Pair, pairs};
pub use settings::{key_on_host, overrides, settings};
pub use totals::Totals;

/// One case in two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedCase {
    /// Its id.
    pub id: String,
    /// How it changed.
    pub kind: ChangeKind,
    /// What differs; empty unless it ran in both runs.
    pub differences: Vec<Difference>,
    /// Its result in the earlier run.
    pub old: Option<Entry>,
    /// Its result in the later run.
    pub new: Option<Entry>,
    /// The declared reason for a difference.
    pub known: Option<Known>,
    /// The likeliest cause, when one can be named.
    pub cause: Option<String>,
    /// Whether the kernel's rules predict the later result, and a different one in
    /// the earlier environment.
    pub explained: bool,
    /// Whether repeated runs of the case differ from each other.
    pub unsteady: bool,
}

/// How a case changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It shows something else.
    Changed,
    /// It shows something else, and the difference is declared as known.
    Known,
    /// The earlier run did not have it, or did not run it.
    New,
    /// The later run does not have it.
    Gone,
    /// The later run did not run it.
    NotRun,
    /// It shows the same.
    Unchanged,
}

/// One difference between two results or two environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs: the name of a [`Field`] or a kind of packet for a case, of a
    /// setting for an environment.
    pub what: String,
    /// Its earlier value.
    pub old: String,
    /// Its later value.
    pub new: String,
}

/// What can differ between two results of a case, besides counts of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The first sign: an errno, a signal, end of file, unnoticed.
    Sign,
    /// The call that shows it.
    Call,
    /// The lane that notices.
    Lane,
    /// The time of the sign.
    After,
    /// The time of the first byte after a heal.
    FirstByte,
    /// The connections' states.
    States,
    /// Whether it ran.
    Status,
}

impl Field {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Field::Sign => "sign",
            Field::Call => "call",
            Field::Lane => "lane",
            Field::After => "after",
            Field::FirstByte => "first byte",
            Field::States => "states",
            Field::Status => "status",
        }
    }
}

impl Difference {
    pub(crate) fn of(what: &str, old: impl Into<String>, new: impl Into<String>) -> Self {
        Difference {
            what: what.to_owned(),
            old: old.into(),
            new: new.into(),
        }
    }
}
