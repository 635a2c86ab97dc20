//! Checks: what else is expected of a case, besides its first sign.

use serde::{Deserialize, Serialize};

use super::SignKind;

/// Something that is expected of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub what: Checked,
    /// Line in the file, 1-based.
    pub line: u32,
}

/// What is expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// A lane's signs after the fault, in order.
    Signs {
        /// The lane.
        lane: String,
        /// Its signs; none: it notices nothing.
        signs: Vec<SignKind>,
    },
    /// How a lane's process ended.
    Ended {
        /// The lane.
        lane: String,
        /// How.
        how: Ended,
    },
    /// The sockets of a host at a recorded moment.
    Sockets {
        /// The moment: a `netstat` event's name, `before FAULT`, `after FAULT` or `end`.
        at: String,
        /// From that moment on, at each recorded one.
        from_then_on: bool,
        /// The host.
        host: String,
        /// Which of its sockets; None: all but listeners.
        which: Which,
        /// What of them.
        quantity: Quantity,
        /// The least and the most.
        range: (u64, u64),
    },
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal, `SIGKILL`.
    Killed(String),
    /// Not at all.
    Running,
}

/// Which sockets are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All but listeners.
    All,
    /// Those in this state.
    State(String),
    /// Those without a process.
    Orphans,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// How many sockets there are.
    Sockets,
    /// Bytes that are not acknowledged, of all of them.
    SendQ,
    /// Bytes that are not read, of all of them.
    RecvQ,
    /// Open descriptors of the host's lanes.
    Descriptors,
}
