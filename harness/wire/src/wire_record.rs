//! Makes the record of the wire from captured frames: what each packet was, and how
//! many of each kind there were. Does no I/O.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::crossing::{Crossing, crossings};
use super::frame::Frame;
use super::journey::{Journey, journeys};
use super::packet::{Decoded, Kind, Tcp, TcpFlags};
use super::port::PortInfo;
use super::record::{Packet, WireCounts, WireRecord};
use super::track::{Segment, Tracker};

/// What passed the wire, with times from `t0_ns` (CLOCK_MONOTONIC).
///
/// `packets` has one entry for every cable that a packet entered; `counts` counts
/// each packet once, as it left the node that made it, however many routers and
/// switches forwarded it. A retransmission is a packet of its own. `node_of` maps
/// addresses to nodes; without it (or for an address that moved) a packet is
/// recognized by having been delivered to the node that forwards it.
///
/// Where `lost` is not 0 frames are missing from the capture: a packet may seem to
/// have been lost on the cable, or to have been made by the wire, when it was not.
pub fn wire_record(
    frames: &[Frame],
    ports: &[PortInfo],
    node_of: &BTreeMap<IpAddr, String>,
    t0_ns: i64,
    lost: u64,
) -> WireRecord {
    let crossings = crossings(frames, ports);
    let journeys = journeys(&crossings, ports, node_of);
    let mut tracker = Tracker::default();
    let mut counts = WireCounts::default();
    let mut of_crossing: Vec<Option<Named>> = vec![None; crossings.len()];
    for journey in &journeys {
        let Some(first) = journey.hops.first().map(|&i| &crossings[i]) else {
            continue;
        };
        for &hop in &journey.hops {
            tracker.rewritten(&first.packet, &crossings[hop].packet);
        }
        let named = name(&first.packet, &mut tracker, journey);
        if journey.original {
            count(&mut counts, &first.packet, &named);
        }
        for &hop in &journey.hops {
            of_crossing[hop] = Some(named.clone());
        }
    }
    let packets = crossings
        .iter()
        .zip(of_crossing)
        .filter_map(|(crossing, named)| Some(packet(crossing, named?, t0_ns)))
        .collect();
    WireRecord {
        counts,
        packets,
        lost_by_capture: lost,
    }
}

/// A packet's kind, and what was found out about its segment.
#[derive(Debug, Clone)]
struct Named {
    kind: String,
    segment: Option<Segment>,
}

fn name(packet: &Decoded, tracker: &mut Tracker, journey: &Journey) -> Named {
    let segment = match &packet.kind {
        Kind::Tcp(tcp) if journey.original => Some(tracker.add(tcp, journey.arrived)),
        Kind::Tcp(tcp) => Some(tracker.peek(tcp)),
        _ => None,
    };
    let kind = match &packet.kind {
        Kind::Tcp(_) => segment.map_or("other", |s| s.kind).to_owned(),
        Kind::Arp { request: true, .. } => "arp-request".to_owned(),
        Kind::Arp { request: false, .. } => "arp-reply".to_owned(),
        Kind::Ndp { solicitation, .. } => match solicitation {
            true => "neighbour-solicitation".to_owned(),
            false => "neighbour-advertisement".to_owned(),
        },
        Kind::Icmp(icmp) => format!("icmp {}", icmp.name),
        Kind::Other => "other".to_owned(),
    };
    Named { kind, segment }
}

fn count(counts: &mut WireCounts, packet: &Decoded, named: &Named) {
    match &packet.kind {
        Kind::Tcp(tcp) => count_tcp(counts, tcp, named),
        Kind::Arp { .. } => counts.arp += 1,
        // From the unspecified address: duplicate address detection, which every
        // interface does when it comes up (RFC 4862 5.4.2).
        Kind::Ndp { .. } if packet.ip.is_some_and(|ip| ip.src.is_unspecified()) => {}
        Kind::Ndp { .. } => counts.ndp += 1,
        Kind::Icmp(icmp) => *counts.icmp.entry(icmp.name.to_string()).or_insert(0) += 1,
        Kind::Other => {}
    }
}

fn count_tcp(counts: &mut WireCounts, tcp: &Tcp, named: &Named) {
    match named.kind.as_str() {
        "SYN" => counts.syn += 1,
        "SYN+ACK" => counts.syn_ack += 1,
        "FIN" => counts.fin += 1,
        "RST" | "RST+ACK" => counts.rst += 1,
        "ack" | "keepalive-ack" => counts.pure_ack += 1,
        "keepalive-probe" => counts.keepalive_probes += 1,
        "window-probe" => counts.window_probes += 1,
        _ => {}
    }
    // A FIN may carry data; the byte of a probe is not data.
    if tcp.payload_len > 0 && matches!(named.kind.as_str(), "data" | "FIN") {
        counts.data += 1;
        counts.psh += u32::from(tcp.flags.has(TcpFlags::PSH));
    }
    counts.retransmissions += u32::from(named.segment.is_some_and(|s| s.retransmission));
}

fn packet(crossing: &Crossing<'_>, named: Named, t0_ns: i64) -> Packet {
    let tcp = match &crossing.packet.kind {
        Kind::Tcp(tcp) => Some(tcp),
        _ => None,
    };
    let (src, dst) = match (&crossing.packet.kind, crossing.packet.ip) {
        (Kind::Tcp(tcp), _) => (tcp.src.to_string(), tcp.dst.to_string()),
        (Kind::Arp { sender, target, .. }, _) => (sender.to_string(), target.to_string()),
        (_, Some(ip)) => (ip.src.to_string(), ip.dst.to_string()),
        (_, None) => (mac(&crossing.bytes, 6), mac(&crossing.bytes, 0)),
    };
    Packet {
        sent_ns: crossing.sent - t0_ns,
        delivered_ns: crossing.delivered.map(|at| at - t0_ns),
        cable: crossing.cable.to_owned(),
        from: crossing.from.to_owned(),
        src,
        dst,
        kind: named.kind,
        flags: tcp.map(|t| t.flags.to_string()).unwrap_or_default(),
        seq: named.segment.map(|s| s.seq),
        ack: named.segment.and_then(|s| s.ack),
        len: tcp.map_or(0, |t| t.payload_len),
        frame: crossing.wire_len,
        window: tcp.map(|t| t.window),
        retransmission: named.segment.is_some_and(|s| s.retransmission),
    }
}

/// A MAC address, six bytes at `offset` of a frame.
fn mac(bytes: &[u8], offset: usize) -> String {
    let six = bytes.get(offset..offset + 6).unwrap_or_default();
    six.iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
#[path = "wire_record_tests.rs"]
mod tests;
