//! What runner and endpoint say to each other.
//!
//! An endpoint is a process of this same program (see [`super::serve_if_asked`]):
//! a copy of the *template*, which the runner starts once, and which waits with
//! one thread and next to no memory for plans. With its [`Plan`] (JSON, in one
//! message of a socket) an endpoint gets descriptors, in this order:
//!
//! * the network namespace it lives in;
//! * `reports`: a pipe it writes [`Report`]s to (postcard, after a length), each
//!   in one write() of less than PIPE_BUF bytes, so that forked children can
//!   share it;
//! * `keyboard`: a pipe the runner types into;
//! * one pipe per mark: the runner (or, through the runner, another lane) sets a
//!   mark by closing the writing end, so that any number of processes see it as
//!   a hang-up, at once and for ever;
//!
//! From the template it has the `lifeline`: a pipe that the runner holds open;
//! when the runner ends, however it ended, the kernel kills the endpoint and its
//! children.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use halfopen_outcome::record::{CallResult, ExitKind};
use halfopen_scenario::case::Lane;

/// The hidden first argument that makes this program the template of endpoints;
/// the others are the numbers of its socket and of the lifeline.
pub const TEMPLATE_ARG: &str = "__halfopen-endpoints";

/// What an endpoint is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The lane (its `count` is the runner's business).
    pub lane: Lane,
    /// Where the hosts are, in the case's family.
    pub addresses: BTreeMap<String, IpAddr>,
    /// The host a `connect` without `to` means.
    pub default_peer: Option<String>,
    /// Bind listeners to this address.
    pub own_address: IpAddr,
    /// RLIMIT_NOFILE to live under, soft and hard: the runner raised its own.
    pub descriptor_limit: Option<(u64, u64)>,
    /// Which of the pipes is each mark's, counted from 0.
    pub marks: BTreeMap<String, usize>,
    /// The mark that lets the endpoint go, after it reported `ready`.
    pub start: String,
}

/// What an endpoint says. Times are CLOCK_MONOTONIC nanoseconds, absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// The plan is read; the endpoint waits for `start`.
    Ready {
        /// Who speaks.
        pid: i32,
    },
    /// A call is about to be made. Until it returns, this is what the process is blocked in.
    Start {
        /// Who speaks.
        pid: i32,
        /// The call.
        call: String,
        /// The connection.
        conn: Option<String>,
        /// The step's line.
        line: u32,
        /// When, before this report was written.
        at: i64,
    },
    /// The call that this process started last has returned.
    End {
        /// Who speaks.
        pid: i32,
        /// When the call was made: after `Start` was written, so that writing it
        /// does not count as time spent in the call.
        began: i64,
        /// When it returned.
        at: i64,
        /// With what.
        result: CallResult,
    },
    /// A step with this mark is done.
    Mark {
        /// Who speaks.
        pid: i32,
        /// The mark.
        mark: String,
        /// When.
        at: i64,
    },
    /// A child was forked (said by the parent, before the child says anything).
    Forked {
        /// Who speaks.
        pid: i32,
        /// The child.
        child: i32,
        /// When.
        at: i64,
    },
    /// A child was reaped (said by the parent).
    Reaped {
        /// Who speaks.
        pid: i32,
        /// The child.
        child: i32,
        /// How it ended.
        how: ExitKind,
        /// When.
        at: i64,
    },
    /// The script is over; the process waits with its sockets open until it is
    /// ended (a forked child that served its connection exits instead).
    Done {
        /// Who speaks.
        pid: i32,
        /// When.
        at: i64,
    },
    /// The endpoint itself failed (a bug, or a limit of the machine).
    Broken {
        /// Who speaks.
        pid: i32,
        /// What happened.
        why: String,
    },
}
