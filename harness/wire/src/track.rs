//! Follows TCP connections by their segments on the wire: what each side has sent
//! decides whether a segment is a probe, a retransmission, or new data.

use std::net::SocketAddr;

use rustc_hash::FxHashMap;

use super::packet::{Decoded, Kind, Tcp, TcpFlags};

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// `SYN`, `SYN+ACK`, `FIN`, `RST`, `RST+ACK`, `data`, `ack`,
    /// `keepalive-probe`, `keepalive-ack`, `window-probe`, `other`.
    pub(super) kind: &'static str,
    /// Relative to the SYN of its side, or to the first segment seen.
    pub(super) seq: u32,
    /// Relative to the other side's SYN; None without ACK.
    pub(super) ack: Option<u32>,
    /// Part of its sequence space was sent before.
    pub(super) retransmission: bool,
}

/// Source and destination of a segment.
type Ends = (SocketAddr, SocketAddr);

/// The connections seen so far.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    connections: FxHashMap<[SocketAddr; 2], [Side; 2]>,
    /// The ends after NAT, and before it.
    rewritten: FxHashMap<Ends, Ends>,
}

/// One side of a connection: what it sent, and what of that the peer received.
#[derive(Debug, Clone, Default)]
struct Side {
    /// The sequence number that counts as 0.
    base: Option<u32>,
    /// One past the highest sequence number sent (SND.NXT).
    next: Option<u32>,
    /// What is missing below that, as [start, end): two CPUs may send segments in the
    /// other order, and a capture may lose some.
    holes: Vec<(u32, u32)>,
    /// Its last acknowledgment that was delivered.
    acked: Option<u32>,
    /// Its last window that was delivered.
    window: Option<u16>,
    /// Its last delivered segment was a keepalive probe.
    probed: bool,
    /// The peer's base before the peer started anew: this side does not know that yet,
    /// and its segments belong to the old connection (half-open, RFC 9293 3.5.1).
    old_peer_base: Option<u32>,
}

/// a < b in sequence space, RFC 9293 3.4; `before()` in the kernel.
fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Side {
    /// Marks `length` sequence numbers from `seq` on as sent. Whether any of them was
    /// sent before.
    fn send(&mut self, seq: u32, length: u32) -> bool {
        /// More holes than this are not from reordering.
        const HOLES: usize = 64;
        let end = seq.wrapping_add(length);
        let Some(next) = self.next else {
            self.next = Some(end);
            return false;
        };
        if !before(seq, next) {
            if seq != next {
                self.holes.push((next, seq));
                if self.holes.len() > HOLES {
                    self.holes.remove(0);
                }
            }
            self.next = Some(end);
            return false;
        }
        if length == 0 {
            return false;
        }
        if before(next, end) {
            self.next = Some(end);
        }
        let within = |&(start, stop): &(u32, u32)| !before(seq, start) && !before(stop, end);
        let fills = self.holes.iter().any(within);
        self.holes = std::mem::take(&mut self.holes)
            .into_iter()
            .flat_map(|(start, stop)| {
                // What remains of a hole, before the segment and after it.
                let first = (start, if before(seq, stop) { seq } else { stop });
                let second = (if before(start, end) { end } else { start }, stop);
                match before(seq, stop) && before(start, end) {
                    true => [Some(first), Some(second)],
                    false => [Some((start, stop)), None],
                }
            })
            .flatten()
            .filter(|&(start, stop)| before(start, stop))
            .collect();
        !fills
    }
}

impl Tracker {
    /// Notes that `later` is the packet `first`, further on its way: where NAT changed
    /// the ends, both belong to one connection.
    pub(super) fn rewritten(&mut self, first: &Decoded, later: &Decoded) {
        let (Kind::Tcp(first), Kind::Tcp(later)) = (&first.kind, &later.kind) else {
            return;
        };
        let (was, is) = (
            self.original((first.src, first.dst)),
            (later.src, later.dst),
        );
        if self.original(is) != was {
            self.rewritten.insert(is, was);
            self.rewritten.insert((is.1, is.0), (was.1, was.0));
        }
    }

    /// Adds the next segment, in order of sending. `delivered`: the peer received it,
    /// and so knows its acknowledgment and window.
    pub(super) fn add(&mut self, tcp: &Tcp, delivered: bool) -> Segment {
        let (key, me) = self.find(tcp);
        let sides = self.connections.entry(key).or_default();
        let [left, right] = sides;
        match me {
            0 => take(left, right, tcp, delivered),
            _ => take(right, left, tcp, delivered),
        }
    }

    /// Names a segment without adding it: one that a router forwards in another shape
    /// than it arrived in.
    pub(super) fn peek(&self, tcp: &Tcp) -> Segment {
        let (key, me) = self.find(tcp);
        let mut sides = self.connections.get(&key).cloned().unwrap_or_default();
        sides.rotate_left(me);
        let [own, peer] = &mut sides;
        Segment {
            retransmission: false,
            ..take(own, peer, tcp, false)
        }
    }

    fn original(&self, ends: Ends) -> Ends {
        self.rewritten.get(&ends).copied().unwrap_or(ends)
    }

    /// The connection of a segment, and which side of it sent this.
    fn find(&self, tcp: &Tcp) -> ([SocketAddr; 2], usize) {
        let (src, dst) = self.original((tcp.src, tcp.dst));
        match src <= dst {
            true => ([src, dst], 0),
            false => ([dst, src], 1),
        }
    }
}

fn take(own: &mut Side, peer: &mut Side, tcp: &Tcp, delivered: bool) -> Segment {
    let flag = |bits| tcp.flags.has(bits);
    let reset = flag(TcpFlags::RST);
    let acks = flag(TcpFlags::ACK);
    if flag(TcpFlags::SYN) && own.base != Some(tcp.seq) {
        // A new start. The peer may still be in the old connection.
        peer.old_peer_base = own.base;
        *own = Side {
            base: Some(tcp.seq),
            ..Side::default()
        };
    }
    if !reset {
        own.base.get_or_insert(tcp.seq);
        if acks {
            // The capture began within the connection: what was acknowledged counts as 0.
            peer.base.get_or_insert(tcp.ack);
        }
    }
    let new_ack = |own: &Side| match (peer.base, peer.next) {
        (Some(base), Some(next)) => !before(tcp.ack, base) && !before(next, tcp.ack),
        _ => own.old_peer_base.is_none(),
    };
    let ack_base = match own.old_peer_base {
        Some(old) if !new_ack(own) => Some(old),
        _ => peer.base,
    };
    let segment = Segment {
        kind: kind(own, peer, tcp),
        seq: relative_seq(own, peer, tcp),
        ack: acks.then(|| tcp.ack.wrapping_sub(ack_base.unwrap_or(tcp.ack))),
        retransmission: !reset && own.send(tcp.seq, space(tcp)),
    };
    if reset {
        return segment;
    }
    if delivered {
        if acks {
            own.acked = Some(tcp.ack);
        }
        own.window = Some(tcp.window);
        own.probed = segment.kind == "keepalive-probe";
        peer.probed = false;
    }
    segment
}

/// The length of a segment in sequence space, RFC 9293 3.4.
fn space(tcp: &Tcp) -> u32 {
    tcp.payload_len
        + u32::from(tcp.flags.has(TcpFlags::SYN))
        + u32::from(tcp.flags.has(TcpFlags::FIN))
}

fn relative_seq(own: &Side, peer: &Side, tcp: &Tcp) -> u32 {
    let Some(base) = own.base else {
        // An RST from a side that never sent anything else.
        return 0;
    };
    if tcp.flags.has(TcpFlags::RST) {
        // The answer to a segment without ACK: its sequence number is 0, not one of the
        // connection (RFC 9293 3.5.2).
        if tcp.seq == 0 && tcp.flags.has(TcpFlags::ACK) {
            return 0;
        }
        // The answer to a segment of the old connection, in its sequence numbers.
        if let Some(old) = peer.old_peer_base
            && peer.acked == Some(tcp.seq)
        {
            return tcp.seq.wrapping_sub(old);
        }
    }
    tcp.seq.wrapping_sub(base)
}

fn kind(own: &Side, peer: &Side, tcp: &Tcp) -> &'static str {
    let flag = |bits| tcp.flags.has(bits);
    match (flag(TcpFlags::RST), flag(TcpFlags::ACK)) {
        (true, true) => return "RST+ACK",
        (true, false) => return "RST",
        _ => {}
    }
    match (flag(TcpFlags::SYN), flag(TcpFlags::ACK)) {
        (true, true) => return "SYN+ACK",
        (true, false) => return "SYN",
        _ => {}
    }
    if flag(TcpFlags::FIN) {
        return "FIN";
    }
    if is_probe(own, peer, tcp) {
        return match peer.window {
            Some(0) => "window-probe",
            _ => "keepalive-probe",
        };
    }
    match (tcp.payload_len > 0, flag(TcpFlags::ACK)) {
        (true, _) => "data",
        (false, true) if peer.probed && own.acked == Some(tcp.ack) => "keepalive-ack",
        (false, true) => "ack",
        // No flags at all: Linux sends no such segment.
        (false, false) => "other",
    }
}

/// Keepalive and window probes are segments below what was sent already, so that the
/// peer must answer: seq = SND.UNA - 1 without data in Linux (`tcp_xmit_probe_skb()`),
/// or with one byte of garbage (RFC 1122 4.2.3.6), which differs from a retransmitted
/// byte in that it has been acknowledged.
fn is_probe(own: &Side, peer: &Side, tcp: &Tcp) -> bool {
    if tcp.flags.has(TcpFlags::PSH) || !tcp.flags.has(TcpFlags::ACK) {
        return false;
    }
    let Some(next) = own.next else {
        return false;
    };
    let probed = tcp.seq.wrapping_add(1);
    match tcp.payload_len {
        0 => probed == next || (peer.acked == Some(probed) && before(probed, next)),
        1 => probed == next && peer.acked == Some(next),
        _ => false,
    }
}

#[cfg(test)]
#[path = "track_tests.rs"]
mod tests;
