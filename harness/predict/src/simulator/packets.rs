//! Packets on paths with delay: what leaves, arrives and is acknowledged.

use std::time::Duration;

use super::connection::SEGMENT;
use super::delays::{Kind, Progress};
use super::heartbeat::Beats;
use super::paths::Paths;
use super::state::{Outgoing, Segment};
use super::{Scheduled, Simulator};
use crate::abort::facts::{Fate, InFlight};
use crate::span::Span;
use crate::sysctls::Sysctls;
use crate::wheel::Phase;

/// Processing time of both hosts for a packet: with a known phase, else.
const HOST_DELAY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(4));
/// Longest delay of acknowledgments without line delay (TCP_DELACK_MIN).
pub(super) const DELAYED_ACK: Duration = Duration::from_millis(44);
/// Events closer together than this may occur in either order: with a known phase, else.
const TIE_WINDOW: (Duration, Duration) = (Duration::from_millis(3), Duration::from_millis(10));
/// The first congestion window: ten segments (TCP_INIT_CWND).
const INITIAL_WINDOW: u64 = 10 * SEGMENT;
/// The least round trip on the machine itself.
const MIN_RTT: Duration = Duration::from_micros(10);

/// A packet that has left its host.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// The end that sent it.
    from: usize,
    what: What,
    /// When it left its host, or leaves the delayed cable `hop` of its path.
    at: Span,
    hop: Option<usize>,
    /// The number of segments it acknowledges.
    acked: u64,
}

#[derive(Debug, Clone)]
enum What {
    Data {
        number: u64,
        bytes: u64,
        beats: Beats,
        sent: Span,
    },
    Ack,
    Fin,
    Rst,
    /// The third packet of a handshake (ACK), for this port.
    HandshakeAck(u16),
}

impl What {
    fn kind(&self) -> Kind {
        match self {
            What::Data { .. } => Kind::Data,
            What::Ack | What::HandshakeAck(_) => Kind::Ack,
            What::Fin => Kind::Fin,
            What::Rst => Kind::Rst,
        }
    }
}

impl Simulator<'_> {
    /// The hosts of a connection, seen from this end.
    fn ends_of(&self, sock: usize) -> (&str, &str) {
        let s = &self.socks[sock];
        (s.host, self.socks[s.peer].host)
    }

    /// Whether packets between these ends are delayed.
    pub(super) fn has_delay(&self, sock: usize) -> Result<bool, String> {
        let (from, to) = self.ends_of(sock);
        Ok(!self.paths.round_trip(from, to)?.is_zero())
    }

    /// Sends data over a path with delay.
    pub(super) fn transmit_data(
        &mut self,
        sock: usize,
        bytes: u64,
        at: Span,
    ) -> Result<(), String> {
        if bytes > INITIAL_WINDOW {
            return Err("what is written fills a long line by and by".into());
        }
        let s = &mut self.socks[sock];
        s.segments_sent += 1;
        let number = s.segments_sent;
        let beats = std::mem::take(&mut s.beats_in_flight);
        s.ack_state.data_sent(at.earliest);
        s.ack_pending = false;
        s.idle_abort = None;
        s.outgoing = Some(Outgoing {
            bytes,
            sent: at,
            since: self.kernel.anchor(at),
            arrived: false,
            fate: Fate::Arrives,
            abort: None,
            delivered: None,
            on_line: Some(Segment { number, bytes }),
            unsent: false,
            attempted: at.latest,
        });
        let what = What::Data {
            number,
            bytes,
            beats,
            sent: at,
        };
        self.transmit(sock, what, at)
    }

    fn transmit(&mut self, from: usize, what: What, at: Span) -> Result<(), String> {
        self.use_neighbour_entries(from, at);
        let acked = self.socks[from].segments_received;
        let packet = Packet {
            from,
            what,
            at,
            hop: None,
            acked,
        };
        let (own, peer) = (
            self.socks[from].host,
            self.socks[self.socks[from].peer].host,
        );
        let end = self.paths.path(own, peer).map_or(0, |path| path.len());
        let (resolution, _) = self.paths.resolution_delay(own, peer, end)?;
        let kind = packet.what.kind();
        if self.paths.one_way(own, peer, kind)? == Fate::ReturnDead
            && !self.still_reaches(from, at)?
        {
            let fate = self.unresolved_neighbour(from);
            return self.drop_packet(packet, fate, 0);
        }
        let (own, peer) = (
            self.socks[from].host,
            self.socks[self.socks[from].peer].host,
        );
        if resolution.is_zero() || !self.paths.one_way(own, peer, kind)?.is_delivered() {
            return self.forward(packet);
        }
        // It waits for an address that has to be resolved again.
        self.paths.set_resolved(own, peer);
        let at = at.after(resolution);
        let packet = Packet { at, ..packet };
        self.scheduled
            .push((at.earliest, Scheduled::Packet(packet)));
        Ok(())
    }

    /// Sends a FIN or an RST over a path with delay.
    pub(super) fn send_fin_or_rst(
        &mut self,
        sock: usize,
        rst: bool,
        at: Span,
    ) -> Result<(), String> {
        self.transmit(sock, if rst { What::Rst } else { What::Fin }, at)
    }

    /// Sends the client's ACK that completes the handshake.
    pub(super) fn send_handshake_ack(
        &mut self,
        client: usize,
        port: u16,
        at: Span,
    ) -> Result<(), String> {
        self.transmit(client, What::HandshakeAck(port), at)
    }

    /// Forwards a packet until it ends or enters the next cable with delay.
    pub(super) fn forward(&mut self, packet: Packet) -> Result<(), String> {
        let (from, to) = self.ends_of(packet.from);
        if self.ties_with_change(&packet) {
            return Err("whether a packet on a long line or the fault is first".into());
        }
        let kind = packet.what.kind();
        let is_reply = (kind == Kind::Ack, packet.hop);
        let progress = self.paths.advance(from, to, kind, is_reply)?;
        let path = self.paths.path(from, to).unwrap_or_default();
        let first = packet.hop.map_or(0, |hop| hop + 1);
        let last = match progress {
            Progress::InCable { hop, .. } => hop,
            Progress::Ends { at, .. } => at,
        };
        let host = path.first().copied().unwrap_or_default();
        let routers = path.get(first..=last).unwrap_or_default();
        let conntrack = self.paths.conntrack.as_ref();
        if conntrack.is_some_and(|m| routers.iter().any(|node| m.is_of(node))) {
            self.conntrack_packet(host, packet.at)?;
        }
        match progress {
            Progress::InCable { hop, delay } => {
                let at = packet.at.after(delay);
                let packet = Packet {
                    at,
                    hop: Some(hop),
                    ..packet
                };
                self.scheduled
                    .push((at.earliest, Scheduled::Packet(packet)));
                Ok(())
            }
            Progress::Ends { fate, .. } if fate.is_delivered() => self.deliver(packet),
            Progress::Ends { fate, at } => self.drop_packet(packet, fate, at),
        }
    }

    /// Whether its fate depends on leaving a cable before or after a network change at
    /// about this time.
    fn ties_with_change(&self, packet: &Packet) -> bool {
        let Some(hop) = packet.hop else {
            return false;
        };
        let (from, to) = self.ends_of(packet.from);
        let fares = |paths: &Paths<'_>| paths.fate_from(from, to, packet.what.kind(), hop);
        let tie = match self.kernel.phase {
            Phase::Known { .. } => TIE_WINDOW.0,
            Phase::Unknown => TIE_WINDOW.1,
        };
        let near = |from: Duration, until: Duration| {
            from <= packet.at.latest + tie && until + tie >= packet.at.earliest
        };
        let now = fares(&self.paths);
        let differs = |paths: &Paths<'_>| fares(paths) != now;
        if self.paths_before.as_ref().is_some_and(differs)
            && near(self.last_event.earliest, self.last_event.latest)
        {
            return true;
        }
        let mut coming = self.scheduled.iter().filter(|(at, _)| near(*at, *at));
        coming.any(|(_, later)| self.paths_after(later).is_some_and(|paths| differs(&paths)))
    }

    fn deliver(&mut self, packet: Packet) -> Result<(), String> {
        let Packet { from, at, .. } = packet;
        let peer = self.socks[from].peer;
        match packet.what {
            What::Rst => {
                if self.socks[peer].exists {
                    self.reset(peer, at);
                }
                return Ok(());
            }
            What::HandshakeAck(port) => {
                self.socks[peer].since = at;
                self.socks[peer].beats_received_at = at;
                self.socks[peer].ack_state = crate::timers::delayed_ack::AckState::new(at.earliest);
                let asked = self.socks[peer].resolution_delay;
                self.measured(peer, Span::at(self.round_trip_from(peer)? + asked))?;
                let host = self.socks[peer].host;
                if let Some(waiting) = self.backlog.get_mut(&(host, port)) {
                    waiting.push_back(peer);
                }
            }
            What::Data { .. } | What::Ack | What::Fin => {}
        }
        let s = &self.socks[peer];
        if !s.exists || (!s.has_process && s.fin_sent && matches!(packet.what, What::Data { .. })) {
            if matches!(packet.what, What::Data { .. }) {
                let ended = |fin: Span| fin.latest > at.earliest;
                if s.fin_sent_at.is_some_and(ended) {
                    return Err("whether the peer's process has ended when data comes".into());
                }
                self.socks[peer].exists = false;
                return self.transmit(peer, What::Rst, at);
            }
            return Ok(());
        }
        self.received(peer, at);
        self.ack_received(peer, packet.acked, at)?;
        match packet.what {
            What::Fin => {
                if self.socks[peer].exists {
                    self.socks[peer].fin = Some(at);
                }
                Ok(())
            }
            What::Data {
                number,
                bytes,
                beats,
                ..
            } => {
                self.socks[peer].segments_received = self.socks[peer].segments_received.max(number);
                let kept = std::mem::replace(&mut self.socks[from].beats_in_flight, beats);
                let delivered = self.deliver_data(from, bytes, at, false);
                self.socks[from].beats_in_flight = kept;
                delivered?;
                self.schedule_ack(peer, bytes, at)
            }
            What::Ack | What::Rst | What::HandshakeAck(_) => Ok(()),
        }
    }

    /// Data was received: sends the acknowledgment or schedules it.
    fn schedule_ack(&mut self, sock: usize, bytes: u64, at: Span) -> Result<(), String> {
        let (rto, srtt) = self.rto_and_srtt(sock);
        let s = &mut self.socks[sock];
        let wait = s.ack_state.data_received(at.earliest, rto, srtt);
        if wait.is_zero() || bytes > SEGMENT {
            return self.transmit(sock, What::Ack, at);
        }
        s.ack_pending = true;
        let segments_received = s.segments_received;
        // A timer of the wheel's first level is late by a tick at most.
        let due = Span::new(wait, wait + self.kernel.wheel().tick()).plus(at);
        self.scheduled.push((
            due.earliest,
            Scheduled::DelayedAck {
                sock,
                due,
                segments_received,
            },
        ));
        Ok(())
    }

    pub(super) fn send_delayed_ack(
        &mut self,
        sock: usize,
        due: Span,
        segments_received: u64,
    ) -> Result<(), String> {
        let s = &self.socks[sock];
        if !s.exists || !s.ack_pending || s.segments_received != segments_received {
            return Ok(());
        }
        let (rto, _) = self.rto_and_srtt(sock);
        self.socks[sock].ack_pending = false;
        self.socks[sock].ack_state.timer_fired(rto);
        self.transmit(sock, What::Ack, due)
    }

    /// A program has read all data.
    pub(super) fn ack_on_read(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let s = &mut self.socks[sock];
        if !s.ack_pending || !s.ack_state.acks_on_read() {
            return Ok(());
        }
        s.ack_pending = false;
        s.ack_state.ack_sent();
        self.transmit(sock, What::Ack, at)
    }

    fn ack_received(&mut self, sock: usize, upto: u64, at: Span) -> Result<(), String> {
        let Some(outgoing) = self.socks[sock].outgoing.clone() else {
            return Ok(());
        };
        let Some(on_line) = outgoing.on_line.filter(|f| f.number <= upto) else {
            return Ok(());
        };
        self.note_acknowledgment(sock);
        let took = |at: Duration, sent: Duration| at.saturating_sub(sent);
        let least = took(at.earliest, outgoing.sent.earliest);
        let most = took(at.latest, outgoing.sent.latest);
        if self.socks[sock].rtt.is_empty() {
            // The path had no delay before.
            let heartbeat = self.socks[sock].heartbeat.is_some();
            let most = if heartbeat {
                DELAYED_ACK
            } else {
                Duration::ZERO
            };
            self.measured(sock, Span::new(Duration::ZERO, most))?;
        }
        self.measured(sock, Span::new(least.min(most), most))?;
        self.socks[sock].outgoing = None;
        let rest = outgoing.bytes.saturating_sub(on_line.bytes);
        if rest > 0 || !self.socks[sock].beats_in_flight.is_empty() {
            // Nagle's algorithm held it back (tcp_nagle_check()).
            self.transmit_data(sock, rest, at)?;
        }
        self.send_waiting_fin(sock, at)
    }

    /// TCP takes a sample of the round trip.
    pub(super) fn measured(&mut self, sock: usize, took: Span) -> Result<(), String> {
        let handling = match self.kernel.phase {
            Phase::Known { .. } => HOST_DELAY.0,
            Phase::Unknown => HOST_DELAY.1,
        };
        let rto_min = Sysctls::of(self.case, self.socks[sock].host, self.kernel).rto_min;
        let rtt = &mut self.socks[sock].rtt;
        rtt.measure(took.earliest + MIN_RTT, took.latest + handling, rto_min);
        Ok(())
    }

    fn round_trip_from(&self, sock: usize) -> Result<Duration, String> {
        let (from, to) = self.ends_of(sock);
        self.paths.round_trip(from, to)
    }

    /// The RTO and the smoothed round trip.
    pub(super) fn rto_and_srtt(&self, sock: usize) -> (Duration, Duration) {
        let sysctls = Sysctls::of(self.case, self.socks[sock].host, self.kernel);
        let round = self.socks[sock].rtt.estimate().unwrap_or(super::RTT);
        let (rto, _) = round.rto(sysctls.rto_min, sysctls.rto_max);
        (rto, round.srtt.0)
    }

    /// A packet is not delivered.
    fn drop_packet(&mut self, packet: Packet, fate: Fate, node: usize) -> Result<(), String> {
        let Packet { from, at, what, .. } = packet;
        let (host, to) = self.ends_of(from);
        let back = self.paths.back_from(host, to, node)?;
        if let What::Data {
            number,
            bytes,
            beats,
            sent,
        } = what
        {
            self.socks[from].beats_in_flight = beats.plus(self.socks[from].beats_in_flight);
            let is_on_line = |o: &Outgoing| o.on_line.is_some_and(|f| f.number == number);
            let Some(outgoing) = self.socks[from].outgoing.take_if(|o| is_on_line(o)) else {
                return Ok(());
            };
            let bytes = outgoing.bytes.max(bytes);
            if fate == Fate::Reset {
                self.socks[from].outgoing = Some(outgoing);
                let at = at.after(back);
                let reset = Scheduled::Reset { sock: from, at };
                self.scheduled.push((at.earliest, reset));
                return Ok(());
            }
            self.data_lost(from, bytes, sent, fate, false)?;
        }
        if matches!(what, What::HandshakeAck(_)) {
            return Err("the last packet of a handshake gets lost".into());
        }
        // The data it acknowledges stays unacknowledged.
        let peer = self.socks[from].peer;
        let waits = |o: &Outgoing| o.on_line.is_some_and(|f| f.number <= packet.acked);
        // Unless another packet with this acknowledgment is on the path.
        let says = |p: &Packet| p.from == from && p.acked >= packet.acked;
        let mut later = self.scheduled.iter().map(|(_, later)| later);
        let said = later.any(|l| matches!(l, Scheduled::Packet(p) if says(p)));
        if said || !self.socks[peer].exists {
            return Ok(());
        }
        if let Some(outgoing) = self.socks[peer].outgoing.take_if(|o| waits(o)) {
            return self.data_lost(peer, outgoing.bytes, outgoing.sent, Fate::Unanswered, true);
        }
        Ok(())
    }

    /// Data sent at `sent` is lost, or its acknowledgment.
    fn data_lost(
        &mut self,
        sock: usize,
        bytes: u64,
        sent: Span,
        fate: Fate,
        arrived: bool,
    ) -> Result<(), String> {
        let (from, to) = self.ends_of(sock);
        let now = self.paths.exchange_fate(from, to, Kind::Data, Kind::Ack)?;
        let changed = self.fault.is_some() && self.last_event.latest > sent.earliest;
        let fate = match now {
            // A single packet was lost.
            Fate::Arrives | Fate::Reset => match fate {
                Fate::NeighbourDead | Fate::ReturnDead => Fate::NeighbourDead,
                Fate::Unanswered => Fate::Unanswered,
                _ => Fate::Lost,
            },
            now => now,
        };
        let in_flight = if changed {
            InFlight::Before
        } else {
            InFlight::After
        };
        self.outstanding_since(sock, bytes, sent, (fate, in_flight), arrived)?;
        if matches!(now, Fate::Arrives | Fate::Reset) {
            // The next attempt is delivered.
            let then = self.now;
            if let Some(outgoing) = &mut self.socks[sock].outgoing {
                let attempts = outgoing.abort.iter().flat_map(|f| &f.attempts);
                outgoing.delivered = attempts
                    .filter_map(crate::span::Spans::hull)
                    .map(|at| at.plus(outgoing.since))
                    .find(|at| at.earliest >= then);
            }
        }
        Ok(())
    }

    /// An RST from a node on the path arrives.
    pub(super) fn reset_arrives(&mut self, sock: usize, at: Span) {
        if self.socks[sock].exists {
            self.reset(sock, at);
        }
    }
}
