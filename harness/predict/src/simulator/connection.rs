//! What is sent between the ends of a connection: data, FIN, RST, and their effect on both
//! sockets.

use std::time::Duration;

use super::delays::Kind;
use super::heartbeat::Beats;
use super::neighbours::NeighbourEntries;
use super::packets::DELAYED_ACK;
use super::state::{Failure, Outgoing, Sock};
use super::{RTT, Scheduled, Simulator};
use crate::abort::Abort;
use crate::abort::facts::{Facts, Fate, InFlight};
use crate::abort::neighbour_dead::CARRIER_LOSS_DELAY;
use crate::retransmission::rtt::RttEstimator;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::sysctls::Sysctls;
use crate::timers::delayed_ack::AckState;
use halfopen_scenario::case::{Lane, OnSilence};

/// A segment on a veth: more bytes than that are several.
pub(super) const SEGMENT: u64 = 1400;
/// Time a packet waits for the resolution of an address.
pub(super) const RESOLUTION_TIME: Duration = Duration::from_millis(3_300);

impl<'a> Simulator<'a> {
    /// A connection is established: two ends, one of which waits for accept().
    pub(super) fn establish(
        &mut self,
        p: usize,
        name: Option<String>,
        to: &'a str,
        port: u16,
        at: Span,
    ) -> Result<(), String> {
        let client = self.socks.len();
        let server = client + 1;
        let end = self
            .paths
            .path(self.processes[p].host, to)
            .map_or(0, |path| path.len());
        let (_, asked) = self
            .paths
            .resolution_delay(self.processes[p].host, to, end)?;
        let fresh = !self.paths.are_resolved(self.processes[p].host, to);
        self.paths.set_resolved(self.processes[p].host, to);
        let process = &self.processes[p];
        let lane = process.lane;
        let listener = self
            .processes
            .iter()
            .find(|q| q.host == to && q.ports.contains(&port));
        let their_lane = listener.map_or(lane, |q| q.lane);
        for (host, lane, peer, has_process) in [
            (process.host, lane, server, true),
            (to, their_lane, client, false),
        ] {
            self.socks.push(Sock {
                host,
                lane,
                peer,
                exists: true,
                has_process,
                unread: 0,
                unread_at: at,
                fin: None,
                fin_sent: false,
                fin_sent_at: None,
                error: None,
                broken: false,
                since: at,
                received: vec![at],
                probes: Vec::new(),
                outgoing: None,
                window_closed: None,
                soft: None,
                heartbeat: None,
                beats_in_flight: Beats::default(),
                beats_received: Beats::default(),
                beats_received_at: at,
                ended: false,
                idle_abort: None,
                rtt: RttEstimator::default(),
                ack_state: AckState::new(at.earliest),
                segments_sent: 0,
                segments_received: 0,
                resolution_delay: Duration::ZERO,
                ack_pending: false,
                fin_waits: false,
                round_trips: Vec::new(),
                entries: NeighbourEntries::default(),
            });
        }
        self.set_neighbour_reachable(client, fresh, at);
        self.attach_heartbeat(client, true, at);
        let name = self.name(p, name);
        self.processes[p].connections.push((name, client));
        self.socks[server].resolution_delay = asked;
        for sock in [client, server] {
            self.note_round_trip(sock, at)?;
        }
        if self.has_delay(client)? {
            return self.send_handshake_ack(client, port, at);
        }
        if let Some(waiting) = self.backlog.get_mut(&(to, port)) {
            waiting.push_back(server);
        }
        Ok(())
    }

    /// accept() returned it: its detector is set only now.
    pub(super) fn accept(&mut self, sock: usize, lane: &'a Lane, at: Span) {
        self.socks[sock].lane = lane;
        self.socks[sock].since = at;
        self.attach_heartbeat(sock, false, at);
    }

    pub(super) fn facts_of(
        &self,
        lane: &Lane,
        fate: Fate,
        in_flight: InFlight,
        several: bool,
    ) -> Facts {
        // Whether the loss of the carrier has been noticed by now.
        let fate = match (fate, self.carrier_lost) {
            (Fate::NoCarrier, _) if self.kernel.notices_carrier() => {
                Fate::Unresolved { by_own_host: true }
            }
            (Fate::NoCarrier, Some(since))
                if in_flight == InFlight::After && self.now > since.latest + CARRIER_LOSS_DELAY =>
            {
                Fate::Unresolved { by_own_host: true }
            }
            _ => fate,
        };
        Facts {
            kernel: self.kernel,
            sysctls: Sysctls::of(self.case, &lane.host, self.kernel),
            detector: lane.detector.clone(),
            family: self.case.family,
            fate,
            in_flight,
            changed: Duration::ZERO,
            is_server: super::listens(lane),
            several,
            rtt: RTT,
            icmp: (Duration::ZERO, Duration::ZERO),
            neighbour: None,
            sent: Duration::ZERO,
        }
    }

    /// The facts about what a socket sends, with the measured round trip.
    pub(super) fn facts_for(
        &self,
        sock: usize,
        fate: Fate,
        in_flight: InFlight,
        several: bool,
    ) -> Facts {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        Facts {
            rtt: s.rtt.estimate().unwrap_or(RTT),
            icmp: self
                .paths
                .delay_to_end(from, to, Kind::Data)
                .unwrap_or_default(),
            neighbour: self.neighbour_of(sock),
            ..self.facts_of(s.lane, fate, in_flight, several)
        }
    }

    /// Sends bytes, or tries to.
    pub(super) fn send(&mut self, sock: usize, bytes: u64, at: Span) -> Result<(), String> {
        if let Some(outgoing) = &mut self.socks[sock].outgoing {
            if outgoing.on_line.is_some() && bytes > SEGMENT {
                return Err("full segments that follow others on a long line".into());
            }
            outgoing.bytes += bytes;
            return Ok(());
        }
        if self.has_delay(sock)? {
            return self.transmit_data(sock, bytes, at);
        }
        self.socks[sock].ack_state.data_sent(at.earliest);
        let (from, to) = (
            self.socks[sock].host,
            self.socks[self.socks[sock].peer].host,
        );
        let fate = self.paths.exchange_fate(from, to, Kind::Data, Kind::Ack)?;
        match fate {
            Fate::Arrives => self.deliver_data(sock, bytes, at, true),
            Fate::ReturnDead if !self.still_reaches(sock, at)? => {
                let fate = self.unresolved_neighbour(sock);
                self.outstanding(sock, bytes, at, fate, false)
            }
            Fate::Unanswered | Fate::ReturnDead => {
                self.deliver_data(sock, bytes, at, false)?;
                self.acknowledgment_draws_reset(self.socks[sock].peer, at)?;
                self.outstanding(sock, bytes, at, fate, true)
            }
            Fate::Reset => {
                self.reset(sock, at);
                Ok(())
            }
            _ => self.outstanding(sock, bytes, at, fate, false),
        }
    }

    /// Schedules the RST that answers this end's acknowledgment of data, where a node on
    /// the path answers it so. TCP acknowledges within TCP_DELACK_MIN.
    fn acknowledgment_draws_reset(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let s = &self.socks[sock];
        let to = self.socks[s.peer].host;
        if !s.exists || self.paths.one_way(s.host, to, Kind::Ack)? != Fate::Reset {
            return Ok(());
        }
        if self.beats_within(sock, at) {
            return Err("whether a beat or the RST for an acknowledgment is first".into());
        }
        let at = Span::new(at.earliest, at.latest + DELAYED_ACK);
        let reset = Scheduled::Reset { sock, at };
        self.scheduled.push((at.earliest, reset));
        Ok(())
    }

    fn outstanding(
        &mut self,
        sock: usize,
        bytes: u64,
        at: Span,
        fate: Fate,
        arrived: bool,
    ) -> Result<(), String> {
        self.outstanding_since(sock, bytes, at, (fate, InFlight::After), arrived)
    }

    /// The same, for data sent at `at`; `in_flight`: whether it was in flight before its
    /// fate changed.
    pub(super) fn outstanding_since(
        &mut self,
        sock: usize,
        bytes: u64,
        at: Span,
        (fate, in_flight): (Fate, InFlight),
        arrived: bool,
    ) -> Result<(), String> {
        let refused = matches!(fate, Fate::OwnQdisc | Fate::OwnHost { .. });
        let unsent = refused && in_flight == InFlight::After;
        let sent = at;
        let mut facts = self.facts_for(sock, fate, in_flight, bytes > SEGMENT);
        if in_flight == InFlight::Before {
            facts.changed = self.last_event.since(at.earliest).earliest;
        }
        let abort = self.abort_of(sock, &facts, at);
        let at = self.kernel.anchor(at);
        let (from, to) = (
            self.socks[sock].host,
            self.socks[self.socks[sock].peer].host,
        );
        if bytes > SEGMENT && self.paths.is_counted(from, to, Kind::Data) {
            return Err("which of several segments a filter takes that takes only so many".into());
        }
        if self.paths.is_counted(from, to, Kind::Data) {
            self.paths.count_packet(from, to, Kind::Data);
            self.filter_took_packet(sock, sent)?;
        }
        let outgoing = Outgoing {
            bytes,
            sent,
            since: at,
            arrived,
            fate,
            abort,
            delivered: None,
            on_line: None,
            unsent,
            attempted: at.latest,
        };
        let delivered = self.first_delivered(sock, &outgoing, at.earliest)?;
        self.socks[sock].outgoing = Some(Outgoing {
            delivered,
            ..outgoing
        });
        Ok(())
    }

    /// The abort of data sent at `sent` with this fate.
    pub(super) fn abort_of(&self, sock: usize, facts: &Facts, sent: Span) -> Option<Abort> {
        let s = &self.socks[sock];
        let abort = facts.armed(sent, Facts::data_abort)?;
        Some(match s.lane.detector.heartbeat {
            Some(_) if s.rtt.is_empty() => abort.with_delayed_acks(),
            _ => abort,
        })
    }

    /// A filter with a packet limit lets a later attempt pass: the first one after
    /// `from_then` that is not dropped, if TCP does not give up before.
    pub(super) fn first_delivered(
        &self,
        sock: usize,
        outgoing: &Outgoing,
        from_then: Duration,
    ) -> Result<Option<Span>, String> {
        let (from, to) = (
            self.socks[sock].host,
            self.socks[self.socks[sock].peer].host,
        );
        let mut paths = self.paths.clone();
        let attempts = outgoing.abort.iter().flat_map(|f| &f.attempts);
        for at in attempts
            .filter_map(Spans::hull)
            .map(|span| span.plus(outgoing.since))
            .filter(|at| at.earliest >= from_then)
        {
            if paths.exchange_fate(from, to, Kind::Data, Kind::Ack)? == Fate::Arrives {
                return Ok(Some(at));
            }
            if !paths.is_counted(from, to, Kind::Data) {
                break;
            }
            paths.count_packet(from, to, Kind::Data);
        }
        Ok(None)
    }

    /// A filter with a packet limit has dropped one: the fate of others changes once the
    /// limit is reached.
    pub(super) fn filter_took_packet(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let peer = self.socks[sock].peer;
        for sock in [sock, peer] {
            if self.socks[sock].exists {
                self.note_neighbour(sock, at)?;
                self.note_probes(sock, at)?;
            }
        }
        Ok(())
    }

    /// Delivers bytes to the peer's host.
    pub(super) fn deliver_data(
        &mut self,
        sock: usize,
        bytes: u64,
        at: Span,
        answered: bool,
    ) -> Result<(), String> {
        self.note_first_byte(sock, at);
        let peer = self.socks[sock].peer;
        let known = self.socks[peer].exists;
        if self.socks[peer]
            .fin_sent_at
            .is_some_and(|fin| fin.latest > at.earliest)
        {
            return Err("whether the peer's process has ended when data comes".into());
        }
        // An orphan in FIN-WAIT answers data by RST, as a kernel that knows no
        // such connection does.
        if !known || (!self.socks[peer].has_process && self.socks[peer].fin_sent) {
            self.socks[peer].exists = false;
            let back =
                self.paths
                    .one_way(self.socks[peer].host, self.socks[sock].host, Kind::Rst)?;
            if back.is_delivered() {
                self.reset(sock, at);
                return Ok(());
            }
            return self.outstanding(sock, bytes, at, Fate::Lost, false);
        }
        if !self.has_delay(sock)? {
            let (rto, srtt) = self.rto_and_srtt(peer);
            let waits = self.socks[peer]
                .ack_state
                .data_received(at.earliest, rto, srtt);
            self.exchange_data(sock, at, answered, !waits.is_zero());
            self.conntrack_packet(self.socks[sock].host, at)?;
        }
        if bytes > 0 {
            self.socks[peer].unread += bytes;
            self.socks[peer].unread_at = at;
        }
        let mut beats = std::mem::take(&mut self.socks[sock].beats_in_flight);
        beats.data |= bytes > 0;
        if !beats.is_empty() {
            let receiver = &mut self.socks[peer];
            if receiver.lane.detector.heartbeat.is_none() && beats.beats + beats.answers > 0 {
                return Err("beats to a program that knows none".into());
            }
            receiver.beats_received = receiver.beats_received.plus(beats);
            receiver.beats_received_at = at;
        }
        self.received(peer, at);
        if answered {
            self.received(sock, at);
        }
        Ok(())
    }

    /// Records when a byte is delivered after a heal, by a connection that is older than
    /// the fault: the first of several attempts counts.
    fn note_first_byte(&mut self, sock: usize, at: Span) {
        let older = self
            .fault
            .is_some_and(|f| self.socks[sock].since.earliest < f.earliest);
        if let Some((healed, byte)) = self.healed.as_mut().filter(|_| older) {
            let at = at.since(*healed);
            *byte = Some(byte.map_or(at, |b| {
                Span::new(b.earliest.min(at.earliest), b.latest.min(at.latest))
            }));
        }
    }

    /// A segment is received: keepalive waits anew, even when nothing in it is new
    /// (tcp_ack() sets rcv_tstamp and icsk_probes_out).
    pub(super) fn received(&mut self, sock: usize, at: Span) {
        let s = &mut self.socks[sock];
        s.received.push(at);
        s.received.sort_unstable_by_key(|at| at.earliest);
        s.idle_abort = None;
        self.restart_probe_timer(sock, at);
    }

    /// An RST reaches a socket: tcp_reset().
    pub(super) fn reset(&mut self, sock: usize, at: Span) {
        let forgotten = self.paths.conntrack.as_ref().is_some_and(|m| m.forgotten);
        let s = &mut self.socks[sock];
        let (errno, because, rule) = if s.fin.is_some() {
            // CLOSE_WAIT: for writers only; read still says end of file.
            (
                "EPIPE",
                "an RST after the FIN, as data for a closed connection draws it",
                RuleId::Reset,
            )
        } else if forgotten {
            let because = "the router has forgotten the connection, and an RST answers the packet";
            ("ECONNRESET", because, RuleId::RouterMemory)
        } else {
            ("ECONNRESET", "an RST comes back", RuleId::Reset)
        };
        s.error = Some(Failure::now(errno, at, because, rule));
        s.broken = true;
        s.exists = false;
        s.outgoing = None;
        s.idle_abort = None;
    }

    /// Whether data that is retransmitted blocks what follows: the first expiry of the RTO
    /// leaves room for one segment (tcp_enter_loss()).
    ///
    /// Before 6.10 a FIN leaves nevertheless, in one segment with what was written
    /// meanwhile (tcp_send_fin(), tcp_cwnd_test()).
    fn fin_is_blocked(&self, sock: usize, at: Span) -> Result<bool, String> {
        let s = &self.socks[sock];
        let Some(outgoing) = &s.outgoing else {
            return Ok(false);
        };
        if !self.kernel.fin_needs_room() && outgoing.arrived {
            return match outgoing.bytes {
                0..=SEGMENT => Ok(false),
                _ => Err("whether a FIN fits one segment with what waits before it".into()),
            };
        }
        let probes = Sysctls::of(self.case, s.host, self.kernel).tail_loss_probe;
        let attempts = outgoing.abort.iter().flat_map(|f| &f.attempts);
        let again = attempts.filter_map(Spans::hull).nth(usize::from(probes));
        Ok(match again.map(|again| again.plus(outgoing.since)) {
            Some(again) if again.latest < at.earliest => true,
            Some(again) if again.earliest <= at.latest => {
                return Err("whether a FIN leaves before data is retransmitted".into());
            }
            _ => false,
        })
    }

    /// Whether the FIN or RST of an end whose heartbeat timed out arrives at once.
    pub(super) fn fin_or_rst_arrives(&self, sock: usize, at: Span) -> Result<bool, String> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        let heartbeat = s.lane.detector.heartbeat.as_ref();
        let resets = heartbeat.is_some_and(|h| h.on_silence == OnSilence::Reset);
        let kind = if resets { Kind::Rst } else { Kind::Fin };
        Ok((resets || !self.fin_is_blocked(sock, at)?)
            && self.paths.one_way(from, to, kind)?.is_delivered())
    }

    /// Sends a FIN.
    pub(super) fn send_fin(&mut self, sock: usize, at: Span) -> Result<(), String> {
        if self.socks[sock].fin_sent || !self.socks[sock].exists {
            return Ok(());
        }
        self.socks[sock].fin_sent = true;
        self.socks[sock].fin_sent_at = Some(at);
        let peer = self.socks[sock].peer;
        if self.fin_is_blocked(sock, at)? {
            self.socks[sock].fin_waits = true;
            return Ok(());
        }
        if self.has_delay(sock)? {
            return self.send_fin_or_rst(sock, false, at);
        }
        if self.packet_arrives(sock, Kind::Fin, at)? && self.socks[peer].exists {
            self.socks[peer].fin = Some(at);
            self.received(peer, at);
        }
        Ok(())
    }

    /// The data that blocked a FIN has been acknowledged.
    pub(super) fn send_waiting_fin(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let s = &mut self.socks[sock];
        if s.exists && std::mem::take(&mut s.fin_waits) {
            s.fin_sent = false;
            return self.send_fin(sock, at);
        }
        Ok(())
    }

    /// close(), by the process or because it ended.
    pub(super) fn close(&mut self, sock: usize, at: Span, abort: bool) -> Result<(), String> {
        self.socks[sock].has_process = false;
        if !self.socks[sock].exists {
            return Ok(());
        }
        self.orphan_data(sock);
        // Unread data makes it an abort: RFC 2525 2.17, tcp_close().
        if abort || self.socks[sock].unread > 0 || self.socks[sock].beats_received.beats > 0 {
            self.socks[sock].exists = false;
            let peer = self.socks[sock].peer;
            if self.has_delay(sock)? {
                return self.send_fin_or_rst(sock, true, at);
            }
            if self.packet_arrives(sock, Kind::Rst, at)? && self.socks[peer].exists {
                self.reset(peer, at);
            }
            return Ok(());
        }
        self.send_fin(sock, at)
    }

    /// The kernel aborts a connection.
    pub(super) fn abort_connection(&mut self, sock: usize, failure: Failure) {
        let beat = !self.socks[sock].beats_in_flight.is_empty();
        let data = self.socks[sock]
            .outgoing
            .as_ref()
            .is_some_and(|o| o.bytes > 0);
        let failure = if beat && !data {
            failure.of_heartbeat()
        } else {
            failure
        };
        let s = &mut self.socks[sock];
        s.error = Some(failure);
        s.broken = true;
        s.exists = false;
        s.outgoing = None;
        s.idle_abort = None;
    }
}
