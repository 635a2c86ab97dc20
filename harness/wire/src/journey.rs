//! Recognizes one packet on several cables: a journey is its way through switches,
//! routers and NAT, as a list of crossings.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::crossing::Crossing;
use super::packet::{Decoded, Kind};
use super::port::PortInfo;

/// The way of one packet from the node that made it.
#[derive(Debug)]
pub(super) struct Journey {
    /// Its crossings, by index, in order of time.
    pub(super) hops: Vec<usize>,
    /// It starts where the packet was made; else it starts at a router that forwarded
    /// a packet in which no earlier one was recognized.
    pub(super) original: bool,
    /// The node that it is addressed to received it.
    pub(super) arrived: bool,
}

/// What of a packet does not change on its way through routers. Addresses and ports
/// are compared separately, because NAT changes one end of the two.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Same<'a> {
    Tcp {
        id: Option<u16>,
        seq: u32,
        ack: u32,
        flags: u8,
        window: u16,
        len: u32,
        timestamp: Option<u32>,
    },
    Ip {
        id: Option<u16>,
        protocol: u8,
        len: u32,
        icmp: Option<(u8, u8)>,
    },
    /// A switch changes nothing.
    Frame(&'a [u8]),
}

fn same<'a>(crossing: &'a Crossing<'_>) -> Same<'a> {
    match (&crossing.packet.kind, crossing.packet.ip) {
        (Kind::Tcp(tcp), ip) => Same::Tcp {
            id: ip.and_then(|ip| ip.id),
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags.0,
            window: tcp.window,
            len: tcp.payload_len,
            timestamp: tcp.timestamp,
        },
        (Kind::Ndp { .. }, _) | (_, None) => Same::Frame(&crossing.bytes),
        (kind, Some(ip)) => Same::Ip {
            id: ip.id,
            protocol: ip.protocol,
            len: crossing.wire_len,
            icmp: match kind {
                Kind::Icmp(icmp) => Some((icmp.icmp_type, icmp.code)),
                _ => None,
            },
        },
    }
}

/// Whether one of the two ends is the same: NAT rewrites the other.
fn one_end_same(a: &Decoded, b: &Decoded) -> bool {
    match (&a.kind, &b.kind, a.ip, b.ip) {
        (Kind::Tcp(a), Kind::Tcp(b), _, _) => a.src == b.src || a.dst == b.dst,
        (_, _, Some(a), Some(b)) => a.src == b.src || a.dst == b.dst,
        _ => true,
    }
}

/// Groups crossings by packet.
///
/// A crossing continues a journey when the node it starts from has more than one
/// cable and received the same packet by another. A crossing from a forwarding node,
/// with another node's source address, that continues no journey is of a packet that
/// was changed beyond recognition (segments merged or cut): it is shown, and not
/// counted.
pub(super) fn journeys(
    crossings: &[Crossing<'_>],
    ports: &[PortInfo],
    node_of: &BTreeMap<IpAddr, String>,
) -> Vec<Journey> {
    let mut cables_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for port in ports {
        let cables = cables_of.entry(&port.node).or_default();
        if !cables.contains(&port.cable.as_str()) {
            cables.push(&port.cable);
        }
    }
    let forwards = |node: &str| cables_of.get(node).is_some_and(|cables| cables.len() > 1);

    let mut journeys: Vec<Journey> = Vec::new();
    let mut known: FxHashMap<Same<'_>, Vec<usize>> = FxHashMap::default();
    for (i, crossing) in crossings.iter().enumerate() {
        let key = same(crossing);
        let forwarder = forwards(crossing.from);
        let continued = known
            .get(&key)
            .filter(|_| forwarder)
            .and_then(|candidates| {
                candidates
                    .iter()
                    .rev()
                    .copied()
                    .find(|&j| is_next_hop(&journeys[j], crossing, crossings))
            });
        if let Some(j) = continued {
            journeys[j].hops.push(i);
            continue;
        }
        let source = crossing.packet.ip.and_then(|ip| node_of.get(&ip.src));
        let foreign = source.is_some_and(|node| node != crossing.from);
        known.entry(key).or_default().push(journeys.len());
        journeys.push(Journey {
            hops: vec![i],
            original: !(crossing.copy || foreign && forwarder),
            arrived: false,
        });
    }
    for journey in &mut journeys {
        journey.arrived = arrived(journey, crossings, node_of);
    }
    journeys
}

/// Whether `crossing` continues `journey`: the packet was delivered by another cable
/// to the node that now sends it, and has not entered this cable before.
fn is_next_hop(journey: &Journey, crossing: &Crossing<'_>, crossings: &[Crossing<'_>]) -> bool {
    let mut hops = journey.hops.iter().map(|&i| &crossings[i]);
    let brought = hops.clone().any(|hop| {
        hop.to == crossing.from
            && hop.cable != crossing.cable
            && hop.delivered.is_some_and(|at| at <= crossing.sent)
            && one_end_same(&hop.packet, &crossing.packet)
    });
    brought && hops.all(|hop| hop.cable != crossing.cable)
}

/// Whether the packet arrived: by the owner of its destination address where that is
/// known, else by whether a cable lost it.
fn arrived(
    journey: &Journey,
    crossings: &[Crossing<'_>],
    node_of: &BTreeMap<IpAddr, String>,
) -> bool {
    let hops = || journey.hops.iter().map(|&i| &crossings[i]);
    let goal = hops()
        .next_back()
        .and_then(|hop| hop.packet.ip)
        .and_then(|ip| node_of.get(&ip.dst));
    match goal {
        Some(goal) if hops().any(|hop| hop.to == goal) => {
            hops().any(|hop| hop.to == goal && hop.delivered.is_some())
        }
        _ => hops().all(|hop| hop.delivered.is_some()),
    }
}
