//! The protocol of runner and endpoint: the plan one way, reports the other.
//!
//! An endpoint is a process of this same program (see [`super::serve_if_asked`]): a
//! copy of the *template*, which the runner starts once, and which waits for plans
//! with one thread and next to no memory. With its [`Plan`] (JSON, in one message of
//! a socket) an endpoint gets descriptors, in this order:
//!
//! * its network namespace;
//! * `reports`: a pipe it writes [`Report`]s to (postcard, after a length), each
//!   in one write() of less than PIPE_BUF bytes, so that forked children can
//!   share it;
//! * `keyboard`: a pipe the runner types into;
//! * of a program whose streams are the caller's: the caller's three;
//! * one pipe per mark: the runner (or, through the runner, another lane) sets a
//!   mark by closing the writing end, so that any number of processes see it as
//!   a hang-up, at once and from then on.
//!
//! From the template it has the `lifeline`: a pipe that the runner holds open. When
//! the runner ends, in whatever way, the kernel kills the endpoint and its children.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use halfopen_outcome::record::{
    CallResult, ExitKind, ObserverCost, SignalEffect, SignalSender, SocketSettings,
};
use halfopen_scenario::case::Lane;

/// The hidden first argument that makes this program the template of endpoints;
/// the others are the numbers of its socket and of the lifeline.
pub const TEMPLATE_ARG: &str = "__halfopen-endpoints";

/// What an endpoint is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The lane. This is one process, whatever its `count`.
    pub lane: Lane,
    /// The addresses of the hosts, in the case's family.
    pub addresses: BTreeMap<String, IpAddr>,
    /// The host a `connect` without `to` means.
    pub default_peer: Option<String>,
    /// Bind listeners to this address.
    pub own_address: IpAddr,
    /// RLIMIT_NOFILE to live under, soft and hard: the runner raised its own.
    pub descriptor_limit: Option<(u64, u64)>,
    /// The index of each mark's pipe, from 0.
    pub marks: BTreeMap<String, usize>,
    /// The mark that starts the script, after the endpoint reported `ready`.
    pub start: String,
}

/// What an endpoint reports. Times are CLOCK_MONOTONIC nanoseconds, absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// The plan is read; the endpoint waits for `start`.
    Ready {
        /// The process that reports.
        pid: i32,
    },
    /// A call is about to be made. Until it returns, this is what the process is blocked in.
    Start {
        /// The process that reports.
        pid: i32,
        /// The call.
        call: String,
        /// The connection.
        conn: Option<String>,
        /// The step's line.
        line: u32,
        /// The step's number.
        step: u32,
        /// When, before this report was written.
        at: i64,
    },
    /// The call that this process started last has returned.
    End {
        /// The process that reports.
        pid: i32,
        /// When the call was made: after `Start` was written, so that writing it
        /// does not count as time spent in the call.
        began: i64,
        /// When it returned.
        at: i64,
        /// Its result.
        result: CallResult,
        /// The time limit among its arguments, of a program's poll.
        limit_ns: Option<u64>,
    },
    /// A step with this mark is done.
    Mark {
        /// The process that reports.
        pid: i32,
        /// The mark.
        mark: String,
        /// When.
        at: i64,
    },
    /// A child was forked (reported by the parent, before the child reports anything).
    Forked {
        /// The process that reports.
        pid: i32,
        /// The child.
        child: i32,
        /// When.
        at: i64,
    },
    /// A child was reaped (reported by the parent).
    Reaped {
        /// The process that reports.
        pid: i32,
        /// The child.
        child: i32,
        /// How it ended.
        how: ExitKind,
        /// When.
        at: i64,
    },
    /// The script is over. The process waits with its sockets open until it is ended
    /// (a forked child that has served its connection exits instead).
    Done {
        /// The process that reports.
        pid: i32,
        /// When.
        at: i64,
    },
    /// A traced program began; it is the endpoint's first process from now on.
    Program {
        /// Its process.
        pid: i32,
    },
    /// The program is ready in the sense of its lane.
    ProgramReady,
    /// The program wrote a line.
    Line {
        /// To standard error, not to standard output.
        stderr: bool,
        /// The line, shortened if it is long.
        text: String,
        /// When the tracer read it.
        at: i64,
    },
    /// What the program set on a socket, all of it so far.
    Detector {
        /// Counts the sockets of the program.
        socket: u32,
        /// The connection, once it has addresses.
        conn: Option<String>,
        /// The settings.
        text: String,
        /// Those that decide when the kernel gives up.
        set: SocketSettings,
    },
    /// This is a thread of the program, not a process.
    Thread {
        /// Its number.
        tid: i32,
        /// Its name, as ps(1) shows it.
        name: String,
    },
    /// A process or a thread of the program got a signal, or was stopped by one.
    Signal {
        /// Which.
        pid: i32,
        /// `SIGTERM`.
        signal: String,
        /// What it did.
        kind: SignalEffect,
        /// Who sent it.
        sender: SignalSender,
        /// When.
        at: i64,
    },
    /// What observing the program has cost so far.
    Observer(ObserverCost),
    /// Something about the program that a reader of the result should know.
    Note {
        /// What.
        text: String,
        /// When.
        at: i64,
    },
    /// The endpoint itself failed (a bug, or a limit of the machine).
    Broken {
        /// The process that reports.
        pid: i32,
        /// Why.
        why: String,
    },
}
