//! Steps: what a lane's script consists of.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SocketOption;

/// One step of a lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The name of the connection it uses. None: the newest one.
    pub conn: Option<String>,
    /// A mark that is set when the step has ended, whatever its result.
    pub mark: Option<String>,
    /// Its place among the steps of the case, from 1: what calls name it by.
    #[serde(default)]
    pub number: u32,
    /// Line in the file, 1-based.
    pub line: u32,
}

/// The steps and those inside them, in the order of the file.
pub fn all_steps(steps: &[Step]) -> Vec<&Step> {
    let mut all = Vec::new();
    for step in steps {
        all.push(step);
        if let Action::Serve { each: inner, .. }
        | Action::Repeat { steps: inner, .. }
        | Action::Beside { steps: inner } = &step.action
        {
            all.extend(all_steps(inner));
        }
    }
    all
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
    /// One process serves all connections, by poll() on the listener and on each of
    /// them (UNP 6.8), and reads data as it arrives.
    Multiplex {
        /// Connections at a time; None: no limit.
        slots: Option<u32>,
        /// Write back what was read.
        echo: bool,
        /// What it does when a read returns 0.
        on_eof: OnEof,
    },
    /// read() and write() the same bytes back until end of file or an error.
    Echo,
    /// connect(); each connection becomes the newest one.
    Connect {
        /// Host to connect to; None: the only other host that listens.
        to: Option<String>,
        /// An address that no host has, instead of a host.
        address: Option<std::net::IpAddr>,
        /// Port to connect to.
        port: u16,
        /// How many connections to open, one after the other.
        count: u32,
        /// Non-blocking: EINPROGRESS, poll(), then SO_ERROR.
        nonblocking: bool,
    },
    /// A pool: opens so many connections, which `Request` takes.
    Pool {
        /// Host to connect to; None: the only other host that listens.
        to: Option<String>,
        /// Port to connect to.
        port: u16,
        /// How many connections it has.
        connections: u32,
        /// A connection that has not been used for longer is closed and replaced
        /// before it is used; None: however long.
        max_idle: Option<Duration>,
        /// A request that fails is made once more, on a new connection.
        retry: bool,
    },
    /// write(), then read() until as many bytes came back, on the connection of the
    /// pool that has not been used for longest.
    Request {
        /// What is sent.
        data: Payload,
    },
    /// write(), then read() until as many bytes came back.
    Exchange {
        /// What is sent.
        data: Payload,
    },
    /// write() until the kernel has accepted everything.
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
    /// poll() for input and hang-up on the socket and, with `keyboard`, on the keyboard.
    Poll {
        /// Its time limit; None: none.
        timeout: Option<Duration>,
        /// Poll the keyboard, too.
        keyboard: bool,
    },
    /// read() on the keyboard: a pipe the runner types into.
    Keyboard,
    /// shutdown(SHUT_WR).
    HalfClose,
    /// setsockopt(), one call for each option.
    Set {
        /// The options, in order.
        options: Vec<SocketOption>,
    },
    /// The steps are done by a second thread of execution on the same sockets, while
    /// the lane goes on: a forked child, which shares the descriptors.
    Beside {
        /// Its steps.
        steps: Vec<Step>,
    },
    /// Everything that comes from one connection is written to the other, both ways,
    /// until both have ended; an end of file is passed on by shutdown(SHUT_WR).
    Relay {
        /// The names of the two connections; None: the newest and the one before it.
        between: Option<(String, String)>,
    },
    /// close(); with SO_LINGER when `linger` is given (0 sends RST).
    Close {
        /// SO_LINGER's time, whole seconds.
        linger: Option<Duration>,
    },
    /// Sleep.
    Sleep {
        /// How long.
        time: Duration,
    },
    /// Wait until an event has taken effect or another lane has set the mark.
    WaitFor {
        /// The mark's name.
        mark: String,
    },
    /// The process ends as by return from main(): the kernel closes its descriptors.
    Exit,
    /// Do the steps several times.
    Repeat {
        /// How often.
        times: u32,
        /// The steps.
        steps: Vec<Step>,
    },
}

/// What a server does at end of file on one of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEof {
    /// It closes the connection.
    Close,
    /// Nothing, like a program that takes 0 for "no data yet": the connection
    /// stays in CLOSE_WAIT and keeps its slot.
    Ignore,
}

/// Bytes to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// This text.
    Text(String),
    /// This number of bytes.
    Bytes(u64),
}
