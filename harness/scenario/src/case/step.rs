//! Steps of a lane.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One step of a lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The connection it is done on, by name. None: the newest one.
    pub conn: Option<String>,
    /// A mark that is set once the step is done, whatever its result.
    pub mark: Option<String>,
    /// Line in the file, 1-based.
    pub line: u32,
}

/// The port servers listen on unless a step says otherwise.
pub const DEFAULT_PORT: u16 = 7000;

/// What a step does. Every system call of it is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// socket(), bind(), listen().
    Listen {
        /// Port to bind.
        port: u16,
        /// listen()'s backlog.
        backlog: u32,
    },
    /// accept(), `count` times; each connection becomes the newest one.
    Accept {
        /// How many connections to take.
        count: u32,
    },
    /// accept() for ever; each connection is served by `each`, in a forked
    /// child when `fork` is set; children are reaped on SIGCHLD.
    Serve {
        /// Fork a child per connection.
        fork: bool,
        /// The steps that serve one connection.
        each: Vec<Step>,
    },
    /// One process for all connections, by poll() on the listener and every
    /// one of them (UNP 6.8): what comes is read as it comes.
    Multiplex {
        /// Connections it takes at a time; None: all.
        slots: Option<u32>,
        /// Write back what was read.
        echo: bool,
        /// What a read that returned 0 leads to.
        on_eof: OnEof,
    },
    /// read() and write() the same bytes back until end of file or an error.
    Echo,
    /// connect(); each connection becomes the newest one.
    Connect {
        /// Host to connect to; None: the only other host that listens.
        to: Option<String>,
        /// An address nobody has been given, instead of a host.
        address: Option<std::net::IpAddr>,
        /// Port to connect to.
        port: u16,
        /// How many connections to open, one after the other.
        count: u32,
        /// Non-blocking: EINPROGRESS, poll(), then SO_ERROR.
        nonblocking: bool,
    },
    /// write(), then read() until as many bytes came back.
    Exchange {
        /// What is sent.
        data: Payload,
    },
    /// write() until everything is taken by the kernel.
    Write {
        /// What is sent.
        data: Payload,
    },
    /// One read().
    Read {
        /// The buffer's size.
        bytes: u32,
    },
    /// read() until end of file or an error.
    Drain,
    /// poll() on the socket, and on the keyboard if asked, for input and hang-up.
    Poll {
        /// Its limit; None: for ever.
        timeout: Option<Duration>,
        /// Wait on the keyboard, too.
        keyboard: bool,
    },
    /// read() on the keyboard: a pipe the runner types into.
    Keyboard,
    /// shutdown(SHUT_WR).
    HalfClose,
    /// close(); with SO_LINGER when `linger` is given (0 sends RST).
    Close {
        /// SO_LINGER's time, whole seconds.
        linger: Option<Duration>,
    },
    /// Let time pass.
    Sleep {
        /// How long.
        time: Duration,
    },
    /// Wait until a fault took effect or another lane set the mark.
    WaitFor {
        /// The mark's name.
        mark: String,
    },
    /// The process ends, as return from main() would: its descriptors close.
    Exit,
    /// Do the steps several times.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    },
}

/// What a server does at the end of file of one of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEof {
    /// It closes the connection.
    Close,
    /// Nothing, as a program that takes 0 for "no data yet": the connection
    /// stays in CLOSE_WAIT, and keeps its slot.
    Ignore,
}

/// Bytes to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// This text.
    Text(String),
    /// So many bytes.
    Bytes(u64),
}
