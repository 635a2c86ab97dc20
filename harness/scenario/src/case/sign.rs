//! First signs: what a book, a scenario or a baseline says that a call shows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a call shows: said by a book, expected of Linux.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// What the first sign is.
    pub sign: SignKind,
    /// The call that shows it (`read`, `write`, `connect`, `poll`), if that matters.
    pub call: Option<String>,
    /// The lane that notices, if that matters.
    pub lane: Option<String>,
    /// Time since the fault: earliest and latest.
    pub after: Option<(Duration, Duration)>,
    /// Time from the last heal until a byte got through: earliest and latest.
    #[serde(default)]
    pub first_byte: Option<(Duration, Duration)>,
    /// Why something else is seen until it is mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Box<Known>>,
}

/// A difference that is known and put up with: it is told, and does not fail a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Why it is put up with.
    pub reason: String,
    /// Where it is followed: a bug's number or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// What is seen meanwhile; anything else is no known difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// The application's heartbeat stayed away for too long.
    HeartbeatLost,
    /// Nobody noticed anything before the case gave up.
    Unnoticed,
}
