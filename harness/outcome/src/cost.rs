//! What a detector costs while nothing happens: packets and bytes an hour,
//! measured on the wire. These are the second and third objection of RFC 1122
//! 4.2.3.6 to keepalive. Reports show it for cases without a fault.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::record::{Outcome, Packet, Status, Verdict};
use halfopen_scenario::case::SignKind;

/// How long after the last handshake the measurement starts: the lanes' first
/// exchange and its delayed acknowledgment (40 ms, TCP_DELACK_MIN) are over by then.
const QUIET_AFTER_NS: i64 = 150_000_000;
/// A shorter measurement is not extrapolated to an hour.
const MIN_WINDOW_NS: i64 = 1_000_000_000;
const HOUR_NS: f64 = 3600.0 * 1e9;

/// Packets and bytes, both ways, on one cable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// TCP segments.
    pub packets: u32,
    /// Bytes of their Ethernet frames.
    pub bytes: u64,
    /// The time they were counted in: whole periods of what repeats, so that the
    /// hourly rate is exact; or all of the quiet time, when there was nothing.
    pub window_ns: i64,
}

impl Cost {
    /// Segments in an hour.
    pub fn packets_per_hour(&self) -> f64 {
        f64::from(self.packets) * HOUR_NS / self.window_ns as f64
    }

    /// Bytes in an hour.
    pub fn bytes_per_hour(&self) -> f64 {
        self.bytes as f64 * HOUR_NS / self.window_ns as f64
    }
}

/// The cost of keeping the connections of a case without a fault; None when there
/// was a fault, or when the case was too short.
pub fn cost(outcome: &Outcome) -> Option<Cost> {
    let quiet = outcome.status == Status::Ran
        && outcome.verdict != Verdict::NotSetUp
        && outcome.first_sign.as_ref()?.outcome == SignKind::Unnoticed
        && outcome.faults.iter().all(|fault| !fault.is_fault)
        // A line that is impaired from the start is not quiet either.
        && outcome.faults.iter().all(|fault| fault.effective_ns >= 0)
        && outcome.wire.lost_by_capture == 0;
    if !quiet {
        return None;
    }
    let packets = &outcome.wire.packets;
    let cable = &packets.iter().find(|p| p.kind == "SYN")?.cable;
    let begun = packets
        .iter()
        .filter(|p| p.kind == "SYN+ACK")
        .map(|p| p.sent_ns)
        .max()?;
    let from = begun + QUIET_AFTER_NS;
    // A half-closed connection is not one that is kept for later.
    if packets.iter().any(|p| p.kind == "FIN" && p.sent_ns < from) {
        return None;
    }
    let later: Vec<&Packet> = packets
        .iter()
        .filter(|p| p.cable == *cable && !p.flags.is_empty() && p.sent_ns >= from)
        .collect();
    let end = outcome.netstat.last()?.at_ns;
    let Some(first) = later.iter().find(|p| is_request(p)) else {
        let window_ns = end - from;
        return (window_ns >= MIN_WINDOW_NS && later.is_empty()).then_some(Cost {
            packets: 0,
            bytes: 0,
            window_ns,
        });
    };
    let last = later
        .iter()
        .rfind(|p| is_request(p) && p.from == first.from && p.kind == first.kind)?;
    let mut window = first.sent_ns..last.sent_ns;
    let alone = |p: &&Packet| p.from == first.from && p.kind == first.kind;
    if !later.iter().filter(|p| is_request(p)).all(alone) {
        let periods = later.iter().filter(|p| alone(p)).count() - 1;
        window = whole_periods(&later, window, periods, from);
    }
    let window_ns = window.end - window.start;
    if window_ns < MIN_WINDOW_NS {
        return None;
    }
    let inside = || later.iter().filter(|p| window.contains(&p.sent_ns));
    Some(Cost {
        packets: u32::try_from(inside().count()).unwrap_or(u32::MAX),
        bytes: inside().map(|p| u64::from(p.frame)).sum(),
        window_ns,
    })
}

/// A window of whole periods whose ends lie in the longest gap between packets.
/// When both ends send at about the same time, their order differs from period to
/// period, and a window that starts at a packet would hold one packet too many.
fn whole_periods(packets: &[&Packet], window: Range<i64>, periods: usize, from: i64) -> Range<i64> {
    let period = (window.end - window.start) / i64::try_from(periods.max(1)).unwrap_or(1);
    if period == 0 {
        return window;
    }
    let mut phases: Vec<i64> = packets
        .iter()
        .map(|p| (p.sent_ns - window.start).rem_euclid(period))
        .collect();
    phases.sort_unstable();
    let nexts = phases.iter().skip(1).copied();
    let around = phases.first().map(|p| p + period);
    let gap = phases.iter().zip(nexts.chain(around));
    let Some((phase, next)) = gap.max_by_key(|(phase, next)| next - *phase) else {
        return window;
    };
    let middle = (phase + next) / 2;
    let start = window.start + middle - period;
    let end = window.end + middle - period;
    if start >= from {
        start..end
    } else {
        start + period..end
    }
}

/// Whether the packet starts a detector's exchange, and is not an answer.
fn is_request(packet: &Packet) -> bool {
    packet.kind == "keepalive-probe" || packet.kind == "data"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Netstat, Verdict};
    use crate::testing;

    const MS: i64 = 1_000_000;

    fn packet(at_ms: i64, from: &str, kind: &str, flags: &str) -> Packet {
        Packet {
            sent_ns: at_ms * MS,
            from: from.into(),
            kind: kind.into(),
            flags: flags.into(),
            frame: 66,
            ..crashed().wire.packets[0].clone()
        }
    }

    fn crashed() -> Outcome {
        testing::crash("none", "", 0, Verdict::AsExpected)
    }

    fn quiet(packets: Vec<Packet>) -> Outcome {
        let mut outcome = testing::unnoticed();
        outcome.faults.clear();
        outcome.wire.packets = packets;
        outcome.wire.lost_by_capture = 0;
        outcome.netstat = vec![Netstat {
            at_ns: 5_000 * MS,
            moment: "end".into(),
            sockets: vec![],
            fd_counts: vec![],
        }];
        outcome
    }

    fn handshake() -> Vec<Packet> {
        vec![
            packet(1, "client", "SYN", "S"),
            packet(1, "server", "SYN+ACK", "SA"),
            packet(2, "client", "data", "PA"),
        ]
    }

    #[test]
    fn who_of_two_comes_first_does_not_matter() {
        let mut packets = handshake();
        // The server's is after the client's at first, and before it at last.
        for (at, after) in [(1_000, 3), (2_000, 2), (3_000, 1), (4_000, -2)] {
            let mut all = [
                packet(at, "client", "keepalive-probe", "A"),
                packet(at, "server", "keepalive-ack", "A"),
                packet(at + after, "server", "keepalive-probe", "A"),
                packet(at + after, "client", "keepalive-ack", "A"),
            ];
            all.sort_by_key(|p| p.sent_ns);
            packets.extend(all);
        }
        let cost = cost(&quiet(packets)).expect("two or three periods");
        assert_eq!(cost.packets_per_hour().round() as i64, 4 * 3600, "{cost:?}");
    }

    #[test]
    fn whole_periods_make_an_exact_hour() {
        let mut packets = handshake();
        for at in [1_000, 2_000, 3_000, 4_000] {
            packets.push(packet(at, "client", "keepalive-probe", "A"));
            packets.push(packet(at, "server", "keepalive-ack", "A"));
        }
        let cost = cost(&quiet(packets)).expect("three periods");
        assert_eq!((cost.packets, cost.window_ns), (6, 3_000 * MS));
        assert!((cost.packets_per_hour() - 7200.0).abs() < 1e-6);
        assert!((cost.bytes_per_hour() - 7200.0 * 66.0).abs() < 1e-3);
    }

    #[test]
    fn silence_costs_nothing_and_one_beat_tells_nothing() {
        let silent = cost(&quiet(handshake())).expect("five seconds of silence");
        assert_eq!(silent.packets, 0);
        let mut once = handshake();
        once.push(packet(1_000, "client", "data", "PA"));
        assert_eq!(cost(&quiet(once)), None);
    }

    #[test]
    fn after_a_fault_nothing_is_ordinary() {
        let mut outcome = quiet(handshake());
        outcome.faults = crashed().faults;
        assert_eq!(cost(&outcome), None);
    }
}
