//! What a grid runs: every detector against every fault.
//!
//! A grid is generated as a file of scenarios, goes through the same parser as any
//! other file, and its cases run like all cases. [`Plan`] holds the cases and the
//! cell of each. `halfopen grid` makes it, and the report of the grid shows the outcomes.

pub mod detector;
pub mod fault;
mod plan;
mod yaml;

use serde::Serialize;

pub use detector::{Detector, Ends};
pub use fault::Fault;
pub use plan::{Cell, Plan, PlanError, Selection};

/// What the client does when the fault takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has nothing to send and reads.
    Idle,
    /// It sends a request and reads.
    Sending,
}

impl State {
    /// Both.
    pub const ALL: [State; 2] = [State::Idle, State::Sending];

    /// Its name on the command line and in the cases' ids.
    pub fn name(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Sending => "sending",
        }
    }

    /// Its description.
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
