//! A case: one scenario at one point of its matrix, everything resolved.
//!
//! A case is plain data. It can be sent to another machine (a guest kernel)
//! as JSON and run there. Whether it runs in real or in virtual time, and on
//! which kernel, is not part of it. This module needs `halfopen-net` for networks;
//! everything that predicts, runs or reports cases uses it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod check;
mod describe;
mod detector;
mod event;
mod heartbeat;
mod lane;
mod option;
mod program;
mod sign;
mod step;
mod target;

pub use check::{Check, Checked, Ended, Quantity, Which};
pub use describe::describe;
pub use detector::{Detector, Keepalive, KeepaliveBy};
pub use event::{Event, EventAction, When};
pub use halfopen_net::{
    CableRef, Carrier, Direction, Family, FlowState, ImpairBy, Impairment, InterfaceChange, Loss,
    Mtu, Nat, NeighbourChange, Network, Node, NodeKind, OnForgotten, QUEUE, RejectWith,
    RouteChange,
};
pub use heartbeat::{BeatWhen, Heartbeat, HeartbeatSender, OnSilence, Reconnect, SignOfLife};
pub use lane::{Disposition, Lane};
pub use option::SocketOption;
pub use program::{FOLDER, Input, Observe, Program, Ready};
pub use sign::{Known, Sign, SignKind};
pub use step::{Action, DEFAULT_PORT, OnEof, Payload, Step, all_steps};
pub use target::{Impair, Mechanism, PacketRule, Place};

/// One scenario at one point of its matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// `scenario` or `scenario/axis=value,axis=value`: unique in a file, and
    /// the name of the case's test.
    pub id: String,
    /// The scenario's name.
    pub scenario: String,
    /// The point of the matrix, in the order the file declares its axes.
    pub axes: indexmap::IndexMap<String, String>,
    /// One sentence for people; empty without one.
    pub about: String,
    /// Where the scenario comes from: rows of the table of claims, chapters.
    pub source: Vec<String>,
    /// What the book says happens.
    pub book: Option<Sign>,
    /// What Linux is expected to do, when it is known.
    pub expect: Option<Sign>,
    /// What else is expected.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Where Linux differs from the book, and why.
    pub notes: Option<String>,
    /// The hosts, routers, switches and cables.
    pub network: Network,
    /// The address family of all connections.
    pub family: Family,
    /// Sysctls by host, on top of the pinned ones: `net.ipv4.tcp_retries2`.
    pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
    /// The endpoints.
    pub lanes: Vec<Lane>,
    /// Faults and other events, in file order.
    pub events: Vec<Event>,
    /// Lanes whose calls may be the first sign. Never empty.
    pub watch: Vec<String>,
    /// How long after the start the case ends if no lane noticed anything.
    pub give_up: Duration,
    /// Which clock the case is meant for.
    pub clock: Clock,
    /// Line of the scenario in its file, 1-based.
    pub line: u32,
}

/// Which clock a case is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Short enough for real time; runs in virtual time too.
    Any,
    /// For virtual time only, because it lasts hours.
    Virtual,
}
