//! The capture on a lab's wire, and whose each of its ports is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use crate::recorded::Captured;
use halfopen_lab::Lab;
use halfopen_lab::LabError;
use halfopen_lab::capture::Capture;
use halfopen_scenario::case::Case;
use halfopen_wire::{Frame, PortInfo};

/// An open capture and what it has shown so far.
#[derive(Debug)]
pub(in crate::case_run) struct WireCapture {
    capture: Capture,
    frames: Vec<Frame>,
    ports: Vec<PortInfo>,
}

impl WireCapture {
    /// Captures on the wire of `lab`: frames to their ends where an event may
    /// corrupt them.
    pub fn open(lab: &Lab, case: &Case) -> Result<Self, LabError> {
        let mut capture = Capture::open(lab.wire())?;
        if case.events.iter().any(|e| e.action.corrupts()) {
            capture.keep_whole_frames();
        }
        let mut wire = WireCapture {
            capture,
            frames: Vec::new(),
            ports: Vec::new(),
        };
        wire.note_ports(lab);
        Ok(wire)
    }

    /// Notes which port is whose: a host that is built again has new ones.
    pub fn note_ports(&mut self, lab: &Lab) {
        for port in lab.ports() {
            if self.ports.iter().all(|p| p.ifindex != port.ifindex) {
                self.ports.push(PortInfo {
                    ifindex: port.ifindex,
                    cable: port.cable.clone(),
                    node: port.node.clone(),
                    other: port.peer_node.clone(),
                });
            }
        }
    }

    /// Reads the frames that wait.
    pub fn drain(&mut self) -> Result<(), LabError> {
        self.capture.drain(&mut self.frames)
    }

    /// What was captured so far; none is left.
    pub fn take(&mut self, node_of: BTreeMap<IpAddr, String>, t0_ns: i64) -> Captured {
        Captured {
            lost: self.capture.lost(),
            frames: std::mem::take(&mut self.frames),
            ports: std::mem::take(&mut self.ports),
            node_of,
            t0_ns,
        }
    }
}

impl AsFd for WireCapture {
    /// Readable when frames wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }
}
