//! What is recorded of unmodified programs besides their calls: what they wrote,
//! and what they set on their sockets.

use std::fmt;

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
    /// The signals that it got, at most 500.
    #[serde(default)]
    pub signals: Vec<ProgramSignal>,
    /// How many more it got.
    #[serde(default)]
    pub signals_left_out: u64,
    /// What observing it cost.
    #[serde(default)]
    pub observer: ObserverCost,
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

/// A signal that one of a program's processes got, or what a signal did to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramSignal {
    /// When.
    pub at_ns: i64,
    /// The process, or the thread, as in [`super::ProcessRecord`].
    pub process: u32,
    /// `SIGTERM`.
    pub signal: String,
    /// What happened.
    pub kind: SignalEffect,
    /// Who sent it.
    pub sender: SignalSender,
}

/// What a signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalEffect {
    /// It is delivered: a handler runs, it is ignored, or it ends the process.
    Delivered,
    /// It stopped the process.
    Stopped,
    /// The process goes on after a stop.
    Continued,
}

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalSender {
    /// The kernel: a timer, the end of a child, a write to a closed connection.
    Kernel,
    /// The process itself.
    Itself,
    /// Another process of the program.
    Program,
    /// Somebody else: a fault of the scenario, another lane.
    Outside,
}

impl ProgramSignal {
    /// Whether it is part of how programs work: a child ended, a timer ran out, Go's
    /// scheduler interrupts its own threads. Drawings leave these out.
    pub fn is_routine(&self) -> bool {
        self.kind == SignalEffect::Delivered
            && matches!(
                self.signal.as_str(),
                "SIGCHLD" | "SIGURG" | "SIGALRM" | "SIGVTALRM" | "SIGPROF"
            )
    }
}

impl fmt::Display for ProgramSignal {
    /// `gets SIGPIPE from the kernel`, `is stopped by SIGSTOP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sender = match (self.kind, self.sender) {
            (SignalEffect::Stopped, _) => return write!(f, "is stopped by {}", self.signal),
            (SignalEffect::Continued, _) => return f.write_str("goes on after the stop"),
            (_, SignalSender::Kernel) => "the kernel",
            (_, SignalSender::Itself) => "itself",
            (_, SignalSender::Program) => "another of its processes",
            (_, SignalSender::Outside) => "outside",
        };
        write!(f, "gets {} from {sender}", self.signal)
    }
}

/// What observing a program cost it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObserverCost {
    /// How often one of its threads was stopped, counted in thousands while it runs.
    pub stops: u64,
    /// How long the observer had them, without the switches to it and back.
    pub held_ns: u64,
}

/// What a program set on one of its sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramDetector {
    /// The connection, once it had addresses.
    pub conn: Option<String>,
    /// `keepalive 15 s/5 s/3, TCP_NODELAY`.
    pub text: String,
    /// What of it decides when the kernel gives the connection up.
    #[serde(default)]
    pub set: SocketSettings,
}

/// Settings of a socket that decide when the kernel gives its connection up, or ends a
/// read on it. None: the program left it to the kernel. Times are nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSettings {
    /// SO_KEEPALIVE is on.
    pub keepalive: bool,
    /// TCP_KEEPIDLE.
    pub idle_ns: Option<u64>,
    /// TCP_KEEPINTVL.
    pub interval_ns: Option<u64>,
    /// TCP_KEEPCNT.
    pub count: Option<u32>,
    /// TCP_USER_TIMEOUT.
    pub user_timeout_ns: Option<u64>,
    /// SO_RCVTIMEO.
    pub receive_timeout_ns: Option<u64>,
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
