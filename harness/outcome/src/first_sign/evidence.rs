//! When the wire shows a first sign: the segment that caused it, or the RST that
//! the host sent when it gave up.

use super::SignCall;
use crate::record::{Packet, WireRecord};
use halfopen_scenario::case::SignKind;

/// How much later than the socket's error the host's RST may be on the wire.
/// Outgoing frames are time-stamped by the softirq that receives them on the
/// wire (netif_rx()), which may run after the process that was woken.
const LATE_STAMP_NS: i64 = 10_000_000;

/// The moment by the wire: the delivery of the segment that caused the sign, or
/// the RST that the host sent as it gave up (tcp_send_active_reset() in
/// tcp_keepalive_timer()). Only packets within the call count: a call made after
/// the segment arrived returns at once, at a moment that the program chose.
pub(super) fn wire_evidence(host: &str, sign: &SignCall, wire: &WireRecord) -> Option<i64> {
    let received = |flags: &[char]| {
        wire.packets
            .iter()
            .filter(|p| is_last_hop(p, host) && p.flags.contains(flags))
            .filter_map(|p| p.delivered_ns)
            .filter(|at| (sign.start_ns..=sign.end_ns).contains(at))
            .max()
    };
    let own_reset = || {
        let window = sign.start_ns..=sign.end_ns.saturating_add(LATE_STAMP_NS);
        wire.packets
            .iter()
            .filter(|p| p.from == host && p.flags.contains('R'))
            .map(|p| p.sent_ns)
            .filter(|sent| window.contains(sent))
            .min_by_key(|sent| sent.abs_diff(sign.end_ns))
    };
    match &sign.kind {
        SignKind::Eof => received(&['F']),
        SignKind::PollHangup => received(&['F', 'R']).or_else(own_reset),
        SignKind::Errno(e) if e == "ECONNRESET" || e == "ECONNREFUSED" => received(&['R']),
        SignKind::Errno(e) if e == "ETIMEDOUT" => own_reset(),
        _ => None,
    }
}

/// Whether the packet is on the cable to the host itself: what is still on the
/// way to a router has not reached the host.
fn is_last_hop(packet: &Packet, host: &str) -> bool {
    let from = &packet.from;
    packet.cable == format!("{from}-{host}") || packet.cable == format!("{host}-{from}")
}
