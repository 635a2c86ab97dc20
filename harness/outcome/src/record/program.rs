//! What is recorded of unmodified programs besides their calls: what they wrote,
//! and what they set on their sockets.

use serde::{Deserialize, Serialize};

/// One program of a lane from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRecord {
    /// The lane's name, as in [`super::EndpointRecord`].
    pub lane: String,
    /// Its host.
    pub host: String,
    /// Which boot of the host.
    pub boot: u32,
    /// The program and its arguments, as the scenario has them.
    pub command: Vec<String>,
    /// What it wrote.
    pub lines: Vec<OutputLine>,
    /// How many more lines it wrote that are not kept.
    pub lines_left_out: u64,
    /// What it set on its sockets.
    pub detectors: Vec<ProgramDetector>,
    /// What a reader should know: it went into the background, calls that were not
    /// seen.
    pub notes: Vec<OutputLine>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLine {
    /// When it was read.
    pub at_ns: i64,
    /// It was written to standard error.
    pub stderr: bool,
    /// Without its end; shortened if it is long.
    pub text: String,
}

/// What a program set on one of its sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramDetector {
    /// The connection, once it had addresses.
    pub conn: Option<String>,
    /// `keepalive 15 s/5 s/3, TCP_NODELAY`.
    pub text: String,
}

/// The first thing that a program's user sees after the fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSees {
    /// The lane.
    pub lane: String,
    /// A line in quotes, or `exit 1`.
    pub what: String,
    /// Time since the fault took effect.
    pub since_fault_ns: i64,
}
