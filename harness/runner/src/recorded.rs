//! What a case leaves behind before anybody has thought about it. Plain data:
//! a guest sends it as it is, and thinking is done on the host, where it costs a
//! thirtieth of what it costs in there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::observe::capture::Frame;
use crate::observe::classify::{PortInfo, wire_record};
use halfopen_outcome::record::{EndpointRecord, FaultRecord, Netstat, Status, WireRecord};

/// How a case ended.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ended {
    /// It ran, and this was collected.
    Ran(Box<Recorded>),
    /// It did not run, or not to its end.
    Not(Status),
}

/// What was collected while a case ran.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// The events, as they took effect.
    pub faults: Vec<FaultRecord>,
    /// What each process of each lane did.
    pub endpoints: Vec<EndpointRecord>,
    /// The sockets, as they were looked at.
    pub netstat: Vec<Netstat>,
    /// What went wrong in the harness itself, as text.
    pub surprises: Vec<String>,
    /// When the lanes started, CLOCK_MONOTONIC; None: they never did.
    pub started_ns: Option<i64>,
    /// The packets.
    pub captured: Captured,
}

/// What the capture on the wire saw, and what it takes to read it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Captured {
    /// Every frame, in the order it was captured.
    pub frames: Vec<Frame>,
    /// The ports of the wire.
    pub ports: Vec<PortInfo>,
    /// Whose an address is.
    pub node_of: BTreeMap<IpAddr, String>,
    /// When the case's lanes were let go, CLOCK_MONOTONIC.
    pub t0_ns: i64,
    /// Frames that the capture lost.
    pub lost: u64,
}

impl Captured {
    /// The same as packets, with times from the start.
    pub fn wire(&self) -> WireRecord {
        wire_record(
            &self.frames,
            &self.ports,
            &self.node_of,
            self.t0_ns,
            self.lost,
        )
    }
}
