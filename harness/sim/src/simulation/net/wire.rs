//! Cables and switches: what becomes of a frame between two nodes.

use super::super::clock::{MS, Ns, SEC};
use super::super::queue::Event;
use super::super::{NodeId, Sim, Uncertain};
use super::Xmit;
use super::filter::{Hook, Verdict};
use super::frame::{Body, Frame, IcmpError, Mac, Packet, Payload, Segment};
use halfopen_scenario::case::{Direction, Impair, NodeKind, QUEUE, RejectWith};

/// How long a frame takes through a cable of a lab: two veth pairs. Only its order
/// matters.
pub(crate) const HOP: Ns = 15_000;
/// Headers of a TCP segment with time stamps in an Ethernet frame.
const HEADERS: u64 = 14 + 20 + 32;
/// The least time by which one packet follows another on a line.
const SHORTEST: Ns = 1;

/// An impairment in force.
pub(crate) struct ActiveLine<'a> {
    pub name: &'a str,
    pub impair: &'a Impair,
    pub cable: usize,
    /// The end that is its `near`.
    pub side: usize,
    /// The Gilbert model is in its bad state.
    pub bad: [bool; 2],
}

impl Sim<'_> {
    /// dev_queue_xmit(): sends a frame from an interface.
    pub(crate) fn dev_queue_xmit(
        &mut self,
        node: NodeId,
        interface: usize,
        dst: Option<Mac>,
        payload: Payload,
    ) -> Xmit {
        let state = &self.nodes[node].interfaces[interface];
        let (up, carrier, cable, side) = (state.up, state.carrier, state.cable, state.side);
        if !up || !self.nodes[node].on {
            return Xmit::Refused(None);
        }
        // sch_handle_egress(): the drop is NET_XMIT_DROP, which TCP sees.
        if self.filter(Hook::Egress(node), &payload) != Verdict::Accept {
            return Xmit::Dropped;
        }
        // noop_enqueue() drops with NET_XMIT_CN, which net_xmit_eval() takes for sent.
        if carrier {
            let src = self.nodes[node].mac(node, interface);
            let frame = Frame { src, dst, payload };
            self.enter(cable, side, frame);
        }
        Xmit::Sent
    }

    /// A frame enters a cable at one end.
    fn enter(&mut self, cable: usize, side: usize, frame: Frame) {
        let ends = self.cables[cable].ends;
        let silent = ends.iter().any(|(node, _)| !self.nodes[*node].on);
        if silent || self.cables[cable].cut[side] {
            self.trace_frame(ends[side].0, ends[1 - side].0, &frame, None);
            return;
        }
        match self.filter(Hook::Port(cable, side), &frame.payload) {
            Verdict::Accept => {}
            verdict => {
                self.trace_frame(ends[side].0, ends[1 - side].0, &frame, None);
                if let Verdict::Reject(with) = verdict {
                    self.reject_on_wire(cable, side, &frame, with);
                }
                return;
            }
        }
        let (node, interface) = ends[1 - side];
        let Some(delays) = self.impaired(cable, side, &frame) else {
            self.trace_frame(ends[side].0, node, &frame, None);
            return;
        };
        for delay in delays {
            let at = self.now + HOP + delay;
            self.trace_frame(ends[side].0, node, &frame, Some(at));
            let frame = Box::new(frame.clone());
            let event = Event::Frame {
                node,
                interface,
                frame,
            };
            self.queue.push(at, event);
        }
    }

    /// nft's reject in the wire: the error comes back as if from the packet's destination.
    fn reject_on_wire(&mut self, cable: usize, side: usize, frame: &Frame, with: RejectWith) {
        let Payload::Ip(packet) = &frame.payload else {
            return;
        };
        let Some(answer) = rejection(packet, with) else {
            return;
        };
        let (node, interface) = self.cables[cable].ends[side];
        let src = frame.dst.unwrap_or(frame.src);
        let answer = Frame {
            src,
            dst: Some(frame.src),
            payload: Payload::Ip(answer),
        };
        let far = self.cables[cable].ends[1 - side].0;
        self.trace_frame(far, node, &answer, Some(self.now + HOP));
        let event = Event::Frame {
            node,
            interface,
            frame: Box::new(answer),
        };
        self.queue.push(self.now + HOP, event);
    }

    /// When copies of a frame leave the cable, after their delays; None: it is lost.
    fn impaired(&mut self, cable: usize, side: usize, frame: &Frame) -> Option<Vec<Ns>> {
        let mut copies = vec![0];
        for index in 0..self.lines.len() {
            let line = &self.lines[index];
            let enters_near = line.side == side;
            let applies = match line.impair.direction {
                Direction::Both => true,
                Direction::From => enters_near,
                Direction::To => !enters_near,
            };
            if line.cable != cable || !applies {
                continue;
            }
            let impair = line.impair;
            let what = &impair.line;
            let size = frame_size(frame);
            if what.duplicate.is_some_and(|share| self.chance(share)) {
                copies.push(copies[0]);
            }
            if let Some(loss) = what.loss {
                let lost = match loss.burst {
                    None => self.chance(loss.rate),
                    Some(mean) => self.gilbert(index, side, loss.rate, mean),
                };
                if lost {
                    copies.pop();
                }
            }
            // A checksum that does not fit: dropped on arrival.
            if what.corrupt.is_some_and(|share| self.chance(share)) {
                copies.pop();
            }
            if what.mtu.is_some_and(|mtu| size > u64::from(mtu.size) + 14) {
                self.unknown("a packet that is larger than a line's MTU");
                copies.clear();
            }
            let delay = what.delay.map_or(0, super::super::clock::ns);
            let jitter = what.jitter.map_or(0, super::super::clock::ns);
            let reordered = what.reorder.is_some_and(|share| self.chance(share));
            for at in &mut copies {
                if !reordered {
                    *at += delay;
                }
            }
            if jitter > 0 {
                for at in &mut copies {
                    let share = self.random_share();
                    let moved = (2.0 * share * jitter as f64) as Ns;
                    *at = (*at + moved).saturating_sub(jitter);
                }
            }
            if let Some(rate) = what.rate {
                let takes = size * 8 * SEC / rate.max(1);
                let most = u64::from(what.queue.unwrap_or(QUEUE));
                let busy = &mut self.cables[cable].busy_until[side];
                let waits = busy.saturating_sub(self.now);
                if takes > 0 && waits / takes.max(SHORTEST) >= most {
                    copies.clear();
                } else {
                    *busy = self.now.max(*busy) + takes;
                    let leaves = *busy - self.now;
                    for at in &mut copies {
                        *at += leaves;
                    }
                }
            }
        }
        (!copies.is_empty()).then_some(copies)
    }

    fn random_share(&mut self) -> f64 {
        self.choose(Uncertain::Chance);
        // Bisection of the unit by fair coins: 20 of them are a microsecond of a second.
        (1..=20).fold(0.0, |sum, bit| {
            sum + if self.chance(0.5) {
                0.5_f64.powi(bit)
            } else {
                0.0
            }
        })
    }

    /// The Gilbert model: loss in bursts of this mean length.
    fn gilbert(&mut self, line: usize, side: usize, rate: f64, mean: f64) -> bool {
        let ends = 1.0 / mean.max(1.0);
        let begins = ends * rate / (1.0 - rate).max(1e-9);
        let bad = self.lines[line].bad[side];
        let now_bad = if bad {
            !self.chance(ends)
        } else {
            self.chance(begins)
        };
        self.lines[line].bad[side] = now_bad;
        now_bad
    }

    /// A frame leaves a cable at a node's interface.
    pub(crate) fn frame_arrives(&mut self, node: NodeId, interface: usize, frame: Frame) {
        let state = &self.nodes[node].interfaces[interface];
        if !self.nodes[node].on || !state.up {
            return;
        }
        if self.nodes[node].kind == NodeKind::Switch {
            self.bridge(node, interface, frame);
            return;
        }
        let own = self.nodes[node].mac(node, interface);
        if frame.dst.is_some_and(|dst| dst != own) {
            return;
        }
        if self.filter(Hook::Ingress(node), &frame.payload) != Verdict::Accept {
            return;
        }
        match frame.payload {
            Payload::Discovery(message) => {
                self.receive_discovery(node, interface, &frame, message);
            }
            Payload::Ip(packet) => self.ip_receive(node, interface, packet),
        }
    }

    /// br_handle_frame_finish(): learns the source, and forwards or floods.
    fn bridge(&mut self, node: NodeId, interface: usize, frame: Frame) {
        self.nodes[node].learned.insert(frame.src, interface);
        let known = frame.dst.and_then(|dst| self.nodes[node].learned.get(&dst));
        let to: Vec<usize> = match known {
            Some(to) => vec![*to],
            None => (0..self.nodes[node].interfaces.len()).collect(),
        };
        for to in to {
            let state = &self.nodes[node].interfaces[to];
            if to != interface && state.up && state.carrier {
                let (cable, side) = (state.cable, state.side);
                self.enter(cable, side, frame.clone());
            }
        }
    }

    /// A cable is cut or mended at the ends where nothing may enter.
    pub(crate) fn set_cut(&mut self, cable: usize, cut: [bool; 2]) {
        self.cables[cable].cut = cut;
    }

    /// The near end loses or gets its carrier. Its host notices at once, or when linkwatch
    /// runs (linkwatch_urgent_event()).
    pub(crate) fn set_carrier(&mut self, node: NodeId, interface: usize, carrier: bool) {
        if carrier {
            self.nodes[node].interfaces[interface].carrier = true;
            return;
        }
        let synced = crate::facts::Fact::CarrierIsSynced.holds(self.kernel.version);
        let late = if synced {
            0
        } else {
            self.choose(Uncertain::Linkwatch) * 100 * MS
        };
        if late == 0 {
            self.carrier_lost(node, interface);
        } else {
            let event = Event::CarrierLost(node, interface);
            self.queue.push(self.now + late, event);
        }
    }

    /// linkwatch_do_dev(): dev_deactivate() and neigh_carrier_down().
    pub(crate) fn carrier_lost(&mut self, node: NodeId, interface: usize) {
        self.nodes[node].interfaces[interface].carrier = false;
        self.flush_neighbours(node, Some(interface), false);
    }
}

/// The packet that rejects another: an ICMP error, or an RST.
pub(crate) fn rejection(packet: &Packet, with: RejectWith) -> Option<Packet> {
    let segment = packet.segment()?;
    let body = if with == RejectWith::TcpReset {
        if segment.rst {
            return None;
        }
        Body::Tcp(reset_for(segment))
    } else {
        Body::Icmp(IcmpError {
            kind: with,
            src: packet.src,
            dst: packet.dst,
            seq: segment.seq,
        })
    };
    Some(Packet {
        src: packet.dst,
        dst: packet.src,
        body,
        confirms: false,
        owner: None,
    })
}

/// tcp_v4_send_reset(): the RST for a segment of no connection.
pub(crate) fn reset_for(segment: &Segment) -> Segment {
    let (seq, ack) = match segment.ack {
        Some(ack) => (ack, None),
        None => (0, Some(segment.end())),
    };
    Segment {
        seq,
        ack,
        rst: true,
        ..Segment::default()
    }
}

fn frame_size(frame: &Frame) -> u64 {
    match &frame.payload {
        Payload::Ip(packet) => HEADERS + packet.segment().map_or(0, |segment| segment.len),
        Payload::Discovery(_) => 42,
    }
}
