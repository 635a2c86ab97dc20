//! What was recorded while a case ran, before it is evaluated. Plain data: a guest
//! sends it as it is, and the host evaluates it, where that takes a thirtieth of
//! the time it takes in the guest.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use halfopen_outcome::record::{
    EndpointRecord, FaultRecord, KernelEvent, Netstat, ProgramRecord, Status, WireRecord,
};
use halfopen_wire::{Frame, PortInfo, wire_record};

/// How a case ended.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ended {
    /// It ran, and this was recorded.
    Ran(Box<Recorded>),
    /// It did not run, or not to its end.
    Not(Status),
}

/// What was recorded while a case ran.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// The events, as they took effect.
    pub faults: Vec<FaultRecord>,
    /// What each process of each lane did.
    pub endpoints: Vec<EndpointRecord>,
    /// What programs wrote and set.
    pub programs: Vec<ProgramRecord>,
    /// Snapshots of the sockets.
    pub netstat: Vec<Netstat>,
    /// What the kernel itself said, if it was asked.
    pub kernel_events: Vec<KernelEvent>,
    /// What went wrong in the harness itself, as text.
    pub surprises: Vec<String>,
    /// When the lanes started, CLOCK_MONOTONIC; None in real time.
    pub started_ns: Option<i64>,
    /// The packets.
    pub captured: Captured,
}

/// What was captured on the wire, and what it takes to read it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Captured {
    /// Every frame, in the order it was captured.
    pub frames: Vec<Frame>,
    /// The ports of the wire.
    pub ports: Vec<PortInfo>,
    /// Whose an address is.
    pub node_of: BTreeMap<IpAddr, String>,
    /// When the case's lanes were started, CLOCK_MONOTONIC.
    pub t0_ns: i64,
    /// Frames that the capture lost.
    pub lost: u64,
}

impl Captured {
    /// The captured frames as packets, with times from `t0_ns`.
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
