//! Recognizes the frames of one packet on the two ports of a cable: a crossing is a
//! packet's way from the port where it entered the cable to the port where it left.
//! `journey` follows packets over several cables.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use super::decode::{decode, identity};
use super::frame::Frame;
use super::packet::{Decoded, Kind, TcpFlags};
use super::port::PortInfo;

/// The sender of packets that no node sent, such as the RST of a reject rule.
pub(super) const WIRE: &str = "wire";

/// A packet's way over one cable. Times are CLOCK_MONOTONIC, nanoseconds.
#[derive(Debug)]
pub(super) struct Crossing<'a> {
    pub(super) sent: i64,
    /// None: lost on the cable.
    pub(super) delivered: Option<i64>,
    pub(super) cable: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) packet: Decoded,
    /// See [`identity`].
    pub(super) bytes: Vec<u8>,
    pub(super) wire_len: u32,
    /// See [`Frame::rest`].
    pub(super) rest: Option<u64>,
    /// A second copy, made by the wire, of a packet that was delivered already.
    pub(super) copy: bool,
}

/// A cable and the node that sends.
type Direction<'a> = (&'a str, &'a str);

/// What makes two frames the same: direction, length, bytes, and a hash of the rest.
type Identity<'a> = (Direction<'a>, u32, Vec<u8>, Option<u64>);

/// Every packet that entered a cable, in order of time.
///
/// A frame that arrived on a port was sent by the node at that end. A frame that left
/// by the other port of the cable and looks the same is the same packet, delivered.
/// Where several look the same (ARP requests; over IPv6, probes without timestamps)
/// it is the latest: the others were lost, because a wire does not hold a packet for
/// as long as it takes to send it again. A frame that left while no packet like it
/// is in flight is a copy, made by the wire.
pub(super) fn crossings<'a>(frames: &[Frame], ports: &'a [PortInfo]) -> Vec<Crossing<'a>> {
    let ports: FxHashMap<u32, &PortInfo> = ports.iter().map(|p| (p.ifindex, p)).collect();
    let mut in_time: Vec<&Frame> = frames.iter().collect();
    in_time.sort_by_key(|f| f.at_ns);

    let mut all: Vec<Crossing<'a>> = Vec::new();
    let mut whole: FxHashMap<Identity<'a>, Vec<usize>> = FxHashMap::default();
    let mut segments: FxHashMap<(Direction<'a>, SocketAddr, SocketAddr), Vec<usize>> =
        FxHashMap::default();

    for frame in in_time {
        let Some(&port) = ports.get(&frame.ifindex) else {
            continue;
        };
        let (from, to) = match frame.outgoing {
            false => (port.node.as_str(), port.other.as_str()),
            true => (port.other.as_str(), port.node.as_str()),
        };
        let direction = (port.cable.as_str(), from);
        let bytes = identity(&frame.bytes);
        let key = (direction, frame.wire_len, bytes, frame.rest);

        let mut copy = false;
        if frame.outgoing
            && let Some(same) = whole.get(&key)
        {
            // The latest that is in flight. When none is, this is a copy, made by the
            // wire, of one that was delivered already.
            let in_flight = same.iter().rev().find(|&&i| all[i].delivered.is_none());
            if let Some(&i) = in_flight {
                all[i].delivered = Some(frame.at_ns);
                continue;
            }
            copy = true;
        }
        let packet = decode(&frame.bytes, frame.wire_len);
        if frame.outgoing && !copy && is_damaged(&all, &key) {
            continue;
        }
        if frame.outgoing
            && !copy
            && let Some(i) = cut_from(&all, &segments, direction, &packet)
        {
            all[i].delivered = Some(frame.at_ns);
            continue;
        }
        let crossing = Crossing {
            sent: frame.at_ns,
            delivered: frame.outgoing.then_some(frame.at_ns),
            cable: &port.cable,
            from: if frame.outgoing { WIRE } else { from },
            to,
            packet,
            bytes: key.2.clone(),
            wire_len: frame.wire_len,
            rest: frame.rest,
            copy,
        };
        if !frame.outgoing {
            if let Kind::Tcp(tcp) = &crossing.packet.kind
                && tcp.payload_len > 0
            {
                segments
                    .entry((direction, tcp.src, tcp.dst))
                    .or_default()
                    .push(all.len());
            }
            whole.entry(key).or_default().push(all.len());
        }
        all.push(crossing);
    }
    all
}

/// Whether this is a frame in flight with one bit flipped: its receiver drops it, by
/// the checksum of IP or TCP, so it counts as lost.
fn is_damaged(all: &[Crossing<'_>], frame: &Identity<'_>) -> bool {
    const RECENT: usize = 256;
    let (direction, length, bytes, rest) = frame;
    let flipped = |other: &[u8]| -> u32 {
        let differing = other.iter().zip(bytes).map(|(a, b)| (a ^ b).count_ones());
        differing.sum()
    };
    let mut recent = all.iter().rev().take(RECENT);
    recent.any(|other| {
        (other.cable, other.from) == *direction
            && other.wire_len == *length
            && other.delivered.is_none()
            && match flipped(&other.bytes) {
                0 => other.rest != *rest,
                1 => other.rest == *rest,
                _ => false,
            }
    })
}

/// The segment that this one was cut from: a queueing discipline splits what is
/// larger than its burst (`tbf_segment()`), and TCP passes up to 64 KiB to a veth.
fn cut_from(
    all: &[Crossing<'_>],
    segments: &FxHashMap<(Direction<'_>, SocketAddr, SocketAddr), Vec<usize>>,
    direction: Direction<'_>,
    packet: &Decoded,
) -> Option<usize> {
    /// Enough for what can be in flight in one direction of one connection.
    const RECENT: usize = 64;
    let Kind::Tcp(piece) = &packet.kind else {
        return None;
    };
    if piece.payload_len == 0 || piece.flags.has(TcpFlags::SYN | TcpFlags::RST) {
        return None;
    }
    let candidates = segments.get(&(direction, piece.src, piece.dst))?;
    candidates
        .iter()
        .rev()
        .take(RECENT)
        .copied()
        .find(|&i| match &all[i].packet.kind {
            Kind::Tcp(whole) => {
                let offset = piece.seq.wrapping_sub(whole.seq);
                piece.payload_len < whole.payload_len
                    && offset <= whole.payload_len - piece.payload_len
            }
            _ => false,
        })
}
