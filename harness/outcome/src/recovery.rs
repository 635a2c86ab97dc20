//! Computes what became of the connections after an outage: whether one
//! survived, and how long after the heal the first byte got through. That takes
//! long because of exponential back-off: a sender whose next retransmission is due
//! in a minute does not learn that the path is back. The runner records it;
//! the verdict holds it against the expectation.

use std::collections::BTreeSet;
use std::time::Duration;

use super::record::{
    CallResult, EndpointRecord, FaultRecord, Packet, Recovery, WireRecord, asked_ns,
};
use super::tolerance::Tolerance;
use halfopen_scenario::case::{Case, EventAction};

/// The recovery of a case that has a `heal`.
pub fn recovery(
    case: &Case,
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
    wire: &WireRecord,
) -> Option<Recovery> {
    let heals = |name: &str| {
        let event = case.events.iter().find(|e| e.name == name);
        event.is_some_and(|e| matches!(e.action, EventAction::Heal { .. }))
    };
    let healed = faults.iter().rfind(|f| heals(&f.name));
    let planned = case.events.iter().rfind(|e| heals(&e.name))?;
    let since = |at: i64| healed.map(|f| (at - f.effective_ns).max(0));
    let asked = healed.map(|f| f.asked_ns);
    let packet = asked.and_then(|asked| first_byte(asked, faults, endpoints, wire));
    let byte = packet.and_then(|p| p.delivered_ns);
    let read = asked.and_then(|asked| first_read(asked, endpoints));
    Some(Recovery {
        heal: healed.map_or(&planned.name, |f| &f.name).clone(),
        healed_ns: healed.map(|f| f.effective_ns),
        lived: packet
            .zip(asked)
            .is_some_and(|(p, asked)| !is_reset(p, asked, wire)),
        since_heal_ns: byte.and_then(since),
        read_since_heal_ns: read.and_then(since),
    })
}

/// How the first byte differs from the expectation, as text; None: it does not.
pub fn differs(
    (earliest, latest): (Duration, Duration),
    recovery: Option<&Recovery>,
    tolerance: &Tolerance,
) -> Option<String> {
    let expected = format!("expected the first byte {earliest:?} to {latest:?} after the heal");
    let Some(ns) = recovery.and_then(|r| r.since_heal_ns) else {
        return Some(format!("{expected}, none came"));
    };
    let measured = Duration::from_nanos(ns.unsigned_abs());
    (!tolerance.within(measured, earliest, latest))
        .then(|| format!("{expected}, it came after {measured:?}"))
}

/// The first data sent after `asked` on a connection older than the first fault
/// and delivered to its destination host.
fn first_byte<'w>(
    asked: i64,
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
    wire: &'w WireRecord,
) -> Option<&'w Packet> {
    let fault = asked_ns(faults);
    let older: BTreeSet<_> = wire
        .packets
        .iter()
        .filter(|p| !p.flags.is_empty() && p.sent_ns < fault)
        .map(connection)
        .collect();
    wire.packets
        .iter()
        .filter(|p| p.sent_ns >= asked && matches!(p.kind.as_str(), "data" | "FIN") && p.len > 0)
        .filter(|p| ends_at_a_host(p, endpoints) && older.contains(&connection(p)))
        .filter(|p| p.delivered_ns.is_some())
        .min_by_key(|p| p.delivered_ns)
}

/// A connection's key: the cable and both addresses, in either direction. The
/// cable belongs to it because NAT rewrites addresses from one to the next.
fn connection(packet: &Packet) -> (&str, &str, &str) {
    let (a, b) = (packet.src.as_str(), packet.dst.as_str());
    (&packet.cable, a.min(b), a.max(b))
}

/// Whether an RST of the packet's connection was on its cable after the heal.
fn is_reset(packet: &Packet, asked: i64, wire: &WireRecord) -> bool {
    wire.packets
        .iter()
        .filter(|p| p.sent_ns >= asked && p.flags.contains('R'))
        .any(|p| connection(p) == connection(packet))
}

/// Whether the packet is on its last cable, and not still on the way to a router.
fn ends_at_a_host(packet: &Packet, endpoints: &[EndpointRecord]) -> bool {
    let from = &packet.from;
    endpoints.iter().any(|e| {
        packet.cable == format!("{from}-{}", e.host) || packet.cable == format!("{}-{from}", e.host)
    })
}

fn first_read(asked: i64, endpoints: &[EndpointRecord]) -> Option<i64> {
    endpoints
        .iter()
        .flat_map(|e| &e.processes)
        .flat_map(|p| &p.calls)
        .filter(|c| c.call == "read" && c.conn.as_deref() != Some("keyboard"))
        .filter(|c| matches!(c.result, CallResult::Value(n) if n > 0))
        .filter_map(|c| c.end_ns)
        .filter(|at| *at >= asked)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance::REAL_TIME;

    fn packet(kind: &str, ms: i64, delivered: bool, src: &str) -> Packet {
        Packet {
            sent_ns: ms * 1_000_000,
            delivered_ns: delivered.then_some(ms * 1_000_000 + 1),
            cable: "client-server".into(),
            from: "client".into(),
            src: src.into(),
            dst: "10.77.1.2:7000".into(),
            kind: kind.into(),
            flags: "PA".into(),
            seq: None,
            ack: None,
            len: u32::from(kind == "data"),
            frame: 60,
            window: None,
            retransmission: false,
        }
    }

    fn fault(name: &str, ms: i64, is_fault: bool) -> FaultRecord {
        FaultRecord {
            due_ns: None,
            name: name.into(),
            what: name.into(),
            is_fault,
            asked_ns: ms * 1_000_000,
            effective_ns: ms * 1_000_000,
        }
    }

    fn server() -> EndpointRecord {
        EndpointRecord {
            lane: "server".into(),
            host: "server".into(),
            boot: 0,
            program: false,
            processes: Vec::new(),
        }
    }

    #[test]
    fn only_delivered_data_of_an_old_connection_counts() {
        let (old, new) = ("10.77.1.1:40000", "10.77.1.1:40001");
        let wire = WireRecord {
            packets: vec![
                packet("data", 100, true, old),
                packet("data", 1500, false, old),
                packet("ack", 2100, true, old),
                packet("data", 2200, true, new),
                packet("data", 2700, true, old),
            ],
            ..WireRecord::default()
        };
        let faults = [fault("cut", 1000, true), fault("heal", 2000, false)];
        let asked = faults[1].asked_ns;
        let byte = first_byte(asked, &faults, &[server()], &wire);
        assert_eq!(byte.and_then(|p| p.delivered_ns), Some(2_700_000_001));
    }

    #[test]
    fn a_first_byte_that_never_came_differs() {
        let second = (Duration::from_secs(1), Duration::from_secs(1));
        assert!(differs(second, None, &REAL_TIME).is_some());
        let came = |ms: i64| Recovery {
            heal: "heal".into(),
            healed_ns: Some(0),
            lived: true,
            since_heal_ns: Some(ms * 1_000_000),
            read_since_heal_ns: None,
        };
        assert!(differs(second, Some(&came(1100)), &REAL_TIME).is_none());
        assert!(differs(second, Some(&came(2100)), &REAL_TIME).is_some());
    }
}
