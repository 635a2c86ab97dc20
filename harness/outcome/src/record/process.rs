//! What the lanes' processes did: every system call and every end.

use serde::{Deserialize, Serialize};

/// One lane from its start to its end. A lane whose host reboots has one for
/// each boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The lane's name; copies carry a number: `client.2`.
    pub lane: String,
    /// Its host.
    pub host: String,
    /// 0 at first, incremented by each reboot.
    pub boot: u32,
    /// It runs an unmodified program.
    #[serde(default)]
    pub program: bool,
    /// Its processes: the first is the lane's own, others are forked children.
    pub processes: Vec<ProcessRecord>,
}

/// One process of a lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// 0 for the lane's own process, then its children in the order of fork().
    pub number: u32,
    /// The name of a thread of a program, which is recorded as a process is; None: a
    /// process.
    #[serde(default)]
    pub thread: Option<String>,
    /// Every call, in order.
    pub calls: Vec<Call>,
    /// How it ended; None: it was still running when the case ended.
    pub end: Option<ProcessEnd>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEnd {
    /// When it was reaped.
    pub at_ns: i64,
    /// Exit status or signal.
    pub how: ExitKind,
}

/// Exit status or signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitKind {
    /// exit() with this status.
    Exited(i32),
    /// Killed by this signal, by name.
    Killed(String),
}

/// One system call of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its name: `read`.
    pub call: String,
    /// The connection it was made on, by name, if any.
    pub conn: Option<String>,
    /// The line of the step it belongs to.
    pub line: u32,
    /// That step's number in its case; 0 for a program, which has no steps.
    #[serde(default)]
    pub step: u32,
    /// When it was made.
    pub start_ns: i64,
    /// When it returned; None: it never did.
    pub end_ns: Option<i64>,
    /// What it returned.
    pub result: CallResult,
    /// The time limit that is an argument of it, of a program's poll(), select() or
    /// epoll_wait() that returned. None of polls that were made again as they ran out,
    /// which are recorded as one: their limit is a rhythm.
    #[serde(default)]
    pub limit_ns: Option<u64>,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// The value returned: bytes, a descriptor count, 0.
    Value(i64),
    /// -1, with this errno, by name.
    Errno(String),
    /// poll(): the events of each ready descriptor, `socket:IN|RDHUP`.
    Ready(Vec<String>),
    /// poll() reached its timeout.
    TimedOut,
    /// The call had not returned when the case ended.
    Blocked,
}
