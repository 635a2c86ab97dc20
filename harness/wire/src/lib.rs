//! What passed the cables of a lab: captured frames become packets, pcapng files and
//! ladders. Takes values and returns values; `halfopen-lab` captures the frames.
//!
//! ```text
//! frame        a frame as a port of the wire saw it
//! port         which port leads to which node
//! decode       headers (packet, icmp)
//! crossing     one packet on the two ports of a cable
//! journey      one packet on several cables
//! track        what a TCP segment is: data, a retransmission, a probe
//! wire_record  all of it together: the record
//! pcapng       frames and events as a file for Wireshark
//! ladder       packets and events as text
//! ```
#![warn(missing_docs)]

#[cfg(test)]
mod crafted;
mod crossing;
mod decode;
mod frame;
mod icmp;
mod journey;
pub mod ladder;
mod packet;
pub mod pcapng;
mod port;
mod record;
mod track;
mod wire_record;

pub use frame::{Frame, SNAP};
pub use port::PortInfo;
pub use record::{Packet, WireCounts, WireRecord};
pub use wire_record::wire_record;
