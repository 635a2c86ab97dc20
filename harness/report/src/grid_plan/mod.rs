//! The grid: every detector against every fault. Pure.
//!
//! A grid is a file of scenarios like any other, only that nobody writes it by
//! hand ([`text`]): it goes through the same parser, and its cases are run as
//! all cases are. What is kept beside them is who stands where ([`Plan`]).

pub mod detector;
pub mod fault;
mod plan;
mod text;

use serde::Serialize;

pub use detector::{Detector, Ends};
pub use fault::Fault;
pub use plan::{Cell, Plan, PlanError, Selection};

/// What the client does as the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has nothing to say and reads.
    Idle,
    /// It sends a request and reads.
    Sending,
}

impl State {
    /// Both.
    pub const ALL: [State; 2] = [State::Idle, State::Sending];

    /// Its word on the command line and in the cases' names.
    pub fn name(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Sending => "sending",
        }
    }

    /// For people.
    pub fn about(self) -> &'static str {
        match self {
            State::Idle => "the connection is idle: the client waits for the server to speak",
            State::Sending => {
                "data is in flight: the client sends a request and waits for its answer"
            }
        }
    }
}

#[cfg(test)]
mod tests;
