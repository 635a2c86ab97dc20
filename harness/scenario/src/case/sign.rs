//! Signs: what a call shows when an endpoint notices a dead peer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A first sign as a book, a scenario or a baseline states it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// The kind of sign.
    pub sign: SignKind,
    /// The call that shows it (`read`, `write`, `connect`, `poll`). None: any.
    pub call: Option<String>,
    /// The lane that notices. None: any.
    pub lane: Option<String>,
    /// Time since the fault: earliest and latest.
    pub after: Option<(Duration, Duration)>,
    /// Time from the last heal until data of a connection older than the fault
    /// arrived: earliest and latest.
    #[serde(default)]
    pub first_byte: Option<(Duration, Duration)>,
    /// A known difference: why Linux shows something else until that is fixed.
    #[serde(default)]
    pub known: Option<Box<Known>>,
}

/// A known difference from what is expected. It is reported and does not fail a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Why it is accepted.
    pub reason: String,
    /// Where it is tracked: a bug's number or address.
    #[serde(default)]
    pub bug: Option<String>,
    /// What is seen until then; anything else is not this difference. None: anything is.
    #[serde(default)]
    pub shows: Option<Sign>,
}

/// The kinds of first sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignKind {
    /// A call failed with this errno, by name: `ETIMEDOUT`.
    Errno(String),
    /// A read returned 0.
    Eof,
    /// A poll reported hang-up, error or end of input on the socket.
    PollHangup,
    /// A read or a poll ran into the application's own time limit.
    Timeout,
    /// The process died of this signal: `SIGPIPE`.
    Signal(String),
    /// The program ended with this exit status.
    Exited(i32),
    /// The application's heartbeat was missing for too long.
    HeartbeatLost,
    /// No lane noticed anything before the case ended.
    Unnoticed,
}
