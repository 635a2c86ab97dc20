//! What passes between the ends of a connection.

use std::time::Duration;

use super::entries::Hops;
use super::heart::Signs;
use super::line::Kind;
use super::process::{Failure, Outgoing, Sock};
use super::{RTT, World};
use crate::acks::Acks;
use crate::facts::{Facts, Fate, InFlight};
use crate::fall::Fall;
use crate::gone::NOTICED_WITHIN;
use crate::rtt::Rounds;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::sysctls::Sysctls;
use halfopen_scenario::case::{Lane, OnSilence};

/// A segment on a veth: more bytes than that are several.
pub(super) const SEGMENT: u64 = 1400;
/// A packet waits so long for an address.
pub(super) const ASKED: Duration = Duration::from_millis(3_300);

impl<'a> World<'a> {
    /// A connection stands: two ends, one of them waits for accept().
    pub(super) fn established(
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
        let (_, asked) = self.paths.asking(self.processes[p].host, to, end)?;
        let fresh = !self.paths.have_met(self.processes[p].host, to);
        self.paths.meet(self.processes[p].host, to);
        let process = &self.processes[p];
        let lane = process.lane;
        let listener = self
            .processes
            .iter()
            .find(|q| q.host == to && q.ports.contains(&port));
        let their_lane = listener.map_or(lane, |q| q.lane);
        for (host, lane, peer, held) in [
            (process.host, lane, server, true),
            (to, their_lane, client, false),
        ] {
            self.socks.push(Sock {
                host,
                lane,
                peer,
                exists: true,
                held,
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
                closed: None,
                soft: None,
                heart: None,
                sending: Signs::default(),
                heard: Signs::default(),
                heard_at: at,
                over: false,
                quiet_end: None,
                rounds: Rounds::default(),
                acks: Acks::new(at.earliest),
                sent: 0,
                got: 0,
                asked: Duration::ZERO,
                owes: false,
                fin_waits: false,
                trips: Vec::new(),
                hops: Hops::default(),
            });
        }
        self.knows_neighbours(client, fresh, at);
        self.gets_heart(client, true, at);
        let name = self.name(p, name);
        self.processes[p].open.push((name, client));
        self.socks[server].asked = asked;
        for sock in [client, server] {
            self.note_trip(sock, at)?;
        }
        if self.is_far(client)? {
            return self.knocks(client, port, at);
        }
        if let Some(waiting) = self.backlog.get_mut(&(to, port)) {
            waiting.push_back(server);
        }
        Ok(())
    }

    /// accept() returned it: only now its detector is set.
    pub(super) fn adopt(&mut self, sock: usize, lane: &'a Lane, at: Span) {
        self.socks[sock].lane = lane;
        self.socks[sock].since = at;
        self.gets_heart(sock, false, at);
    }

    pub(super) fn facts_of(
        &self,
        lane: &Lane,
        fate: Fate,
        in_flight: InFlight,
        several: bool,
    ) -> Facts {
        // Noticed by now?
        let fate = match (fate, self.no_carrier) {
            (Fate::NoCarrier, _) if self.kernel.notices_carrier() => {
                Fate::Unresolved { by_own_host: true }
            }
            (Fate::NoCarrier, Some(since))
                if in_flight == InFlight::After && self.now > since.latest + NOTICED_WITHIN =>
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
            called: super::listens(lane),
            several,
            rtt: RTT,
            icmp: (Duration::ZERO, Duration::ZERO),
            neighbour: None,
            sent: Duration::ZERO,
        }
    }

    /// The facts about what a socket sends, with the round trip as it is measured.
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
            rtt: s.rounds.round().unwrap_or(RTT),
            icmp: self
                .paths
                .to_its_end(from, to, Kind::Data)
                .unwrap_or_default(),
            neighbour: self.neighbour_of(sock),
            ..self.facts_of(s.lane, fate, in_flight, several)
        }
    }

    /// Bytes leave a socket, or try to.
    pub(super) fn send(&mut self, sock: usize, bytes: u64, at: Span) -> Result<(), String> {
        if let Some(outgoing) = &mut self.socks[sock].outgoing {
            if outgoing.flying.is_some() && bytes > SEGMENT {
                return Err("full segments that follow others on a long line".into());
            }
            outgoing.bytes += bytes;
            return Ok(());
        }
        if self.is_far(sock)? {
            return self.launch(sock, bytes, at);
        }
        self.socks[sock].acks.answers(at.earliest);
        let (from, to) = (
            self.socks[sock].host,
            self.socks[self.socks[sock].peer].host,
        );
        let fate = self.paths.there_and_back(from, to, Kind::Data, Kind::Ack)?;
        match fate {
            Fate::Arrives => self.arrives(sock, bytes, at, true),
            Fate::Unheard if !self.still_reaches(sock, at)? => {
                let fate = self.forgotten_neighbour(sock);
                self.outstanding(sock, bytes, at, fate, false)
            }
            Fate::Unanswered | Fate::Unheard => {
                self.arrives(sock, bytes, at, false)?;
                self.outstanding(sock, bytes, at, fate, true)
            }
            Fate::Reset => {
                self.is_reset(sock, at);
                Ok(())
            }
            _ => self.outstanding(sock, bytes, at, fate, false),
        }
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

    /// The same, of data that was sent then; `in_flight`: whether it was under
    /// way already when it began to fare like that.
    pub(super) fn outstanding_since(
        &mut self,
        sock: usize,
        bytes: u64,
        at: Span,
        (fate, in_flight): (Fate, InFlight),
        arrived: bool,
    ) -> Result<(), String> {
        let refused = matches!(fate, Fate::OwnQdisc | Fate::OwnHost { .. });
        let held = refused && in_flight == InFlight::After;
        let sent = at;
        let mut facts = self.facts_for(sock, fate, in_flight, bytes > SEGMENT);
        if in_flight == InFlight::Before {
            facts.changed = self.moment.since(at.earliest).earliest;
        }
        let fall = self.fall_of(sock, &facts, at);
        let at = self.kernel.anchor(at);
        let (from, to) = (
            self.socks[sock].host,
            self.socks[self.socks[sock].peer].host,
        );
        if bytes > SEGMENT && self.paths.is_counted(from, to, Kind::Data) {
            return Err("which of several segments a filter takes that takes only so many".into());
        }
        if self.paths.is_counted(from, to, Kind::Data) {
            self.paths.spend(from, to, Kind::Data);
            self.filter_has_taken(sock, sent)?;
        }
        let outgoing = Outgoing {
            bytes,
            sent,
            since: at,
            arrived,
            fate,
            fall,
            through: None,
            flying: None,
            held,
            tried: at.latest,
        };
        let through = self.first_through(sock, &outgoing, at.earliest)?;
        self.socks[sock].outgoing = Some(Outgoing {
            through,
            ..outgoing
        });
        Ok(())
    }

    /// How data ends that was sent then and fares so.
    pub(super) fn fall_of(&self, sock: usize, facts: &Facts, sent: Span) -> Option<Fall> {
        let s = &self.socks[sock];
        let fall = facts.armed(sent, Facts::data_falls)?;
        Some(match s.lane.detector.heartbeat {
            Some(_) if s.rounds.is_empty() => fall.by_delayed_acks(),
            _ => fall,
        })
    }

    /// A filter that takes only so many packets lets a later try through: the
    /// first one after `from_then` that is not taken, if TCP lives so long.
    pub(super) fn first_through(
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
        let tries = outgoing.fall.iter().flat_map(|f| &f.attempts);
        for at in tries
            .filter_map(Spans::hull)
            .map(|span| span.plus(outgoing.since))
            .filter(|at| at.earliest >= from_then)
        {
            if paths.there_and_back(from, to, Kind::Data, Kind::Ack)? == Fate::Arrives {
                return Ok(Some(at));
            }
            if !paths.is_counted(from, to, Kind::Data) {
                break;
            }
            paths.spend(from, to, Kind::Data);
        }
        Ok(None)
    }

    /// A filter that takes only so many has taken one: what fares better from
    /// now on, once it takes no more.
    pub(super) fn filter_has_taken(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let peer = self.socks[sock].peer;
        for sock in [sock, peer] {
            if self.socks[sock].exists {
                self.note_neighbour(sock, at)?;
                self.note_probes(sock, at)?;
            }
        }
        Ok(())
    }

    /// Bytes reach the peer's host.
    pub(super) fn arrives(
        &mut self,
        sock: usize,
        bytes: u64,
        at: Span,
        answered: bool,
    ) -> Result<(), String> {
        self.gets_through(sock, at);
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
        if !known || (!self.socks[peer].held && self.socks[peer].fin_sent) {
            self.socks[peer].exists = false;
            let back =
                self.paths
                    .one_way(self.socks[peer].host, self.socks[sock].host, Kind::Rst)?;
            if back.gets_there() {
                self.is_reset(sock, at);
                return Ok(());
            }
            return self.outstanding(sock, bytes, at, Fate::Lost, false);
        }
        if !self.is_far(sock)? {
            let (rto, srtt) = self.estimate(peer);
            let waits = self.socks[peer].acks.hears(at.earliest, rto, srtt);
            self.exchanges(sock, at, answered, !waits.is_zero());
            self.router_hears(self.socks[sock].host, at)?;
        }
        if bytes > 0 {
            self.socks[peer].unread += bytes;
            self.socks[peer].unread_at = at;
        }
        let mut signs = std::mem::take(&mut self.socks[sock].sending);
        signs.data |= bytes > 0;
        if !signs.none() {
            let heard = &mut self.socks[peer];
            if heard.lane.detector.heartbeat.is_none() && signs.beats + signs.answers > 0 {
                return Err("beats to a program that knows none".into());
            }
            heard.heard = heard.heard.plus(signs);
            heard.heard_at = at;
        }
        self.received(peer, at);
        if answered {
            self.received(sock, at);
        }
        Ok(())
    }

    /// Notes when a byte gets through after a heal, by a connection that is
    /// older than the fault: of several tries the first one counts.
    fn gets_through(&mut self, sock: usize, at: Span) {
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

    /// A segment comes: keepalive waits anew, also where nothing in it is new
    /// (tcp_ack() sets rcv_tstamp and icsk_probes_out).
    pub(super) fn received(&mut self, sock: usize, at: Span) {
        let s = &mut self.socks[sock];
        s.received.push(at);
        s.received.sort_unstable_by_key(|at| at.earliest);
        s.quiet_end = None;
        self.says_there_is_room(sock, at);
    }

    /// An RST reaches a socket: tcp_reset().
    pub(super) fn is_reset(&mut self, sock: usize, at: Span) {
        let forgotten = self.paths.memory.as_ref().is_some_and(|m| m.forgotten);
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
        s.quiet_end = None;
    }

    /// Whether data that is retransmitted keeps what follows from leaving: the
    /// first expiry of the RTO leaves room for one segment (tcp_enter_loss()).
    ///
    /// Before 6.10 a FIN leaves nevertheless, in one segment with what was written
    /// meanwhile (tcp_send_fin(), tcp_cwnd_test()).
    fn is_stuck(&self, sock: usize, at: Span) -> Result<bool, String> {
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
        let tries = outgoing.fall.iter().flat_map(|f| &f.attempts);
        let again = tries.filter_map(Spans::hull).nth(usize::from(probes));
        Ok(match again.map(|again| again.plus(outgoing.since)) {
            Some(again) if again.latest < at.earliest => true,
            Some(again) if again.earliest <= at.latest => {
                return Err("whether a FIN leaves before data is retransmitted".into());
            }
            _ => false,
        })
    }

    /// Whether what an end whose heart gives up says gets there at once.
    pub(super) fn goodbye_arrives(&self, sock: usize, at: Span) -> Result<bool, String> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        let heart = s.lane.detector.heartbeat.as_ref();
        let resets = heart.is_some_and(|h| h.on_silence == OnSilence::Reset);
        let kind = if resets { Kind::Rst } else { Kind::Fin };
        Ok((resets || !self.is_stuck(sock, at)?)
            && self.paths.one_way(from, to, kind)?.gets_there())
    }

    /// A FIN leaves.
    pub(super) fn send_fin(&mut self, sock: usize, at: Span) -> Result<(), String> {
        if self.socks[sock].fin_sent || !self.socks[sock].exists {
            return Ok(());
        }
        self.socks[sock].fin_sent = true;
        self.socks[sock].fin_sent_at = Some(at);
        let peer = self.socks[sock].peer;
        if self.is_stuck(sock, at)? {
            self.socks[sock].fin_waits = true;
            return Ok(());
        }
        if self.is_far(sock)? {
            return self.says_goodbye(sock, false, at);
        }
        if self.gets_there(sock, Kind::Fin, at)? && self.socks[peer].exists {
            self.socks[peer].fin = Some(at);
            self.received(peer, at);
        }
        Ok(())
    }

    /// What kept a FIN from leaving has been acknowledged.
    pub(super) fn lets_fin_go(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let s = &mut self.socks[sock];
        if s.exists && std::mem::take(&mut s.fin_waits) {
            s.fin_sent = false;
            return self.send_fin(sock, at);
        }
        Ok(())
    }

    /// close(), by the process or because it ended.
    pub(super) fn close(&mut self, sock: usize, at: Span, abort: bool) -> Result<(), String> {
        self.socks[sock].held = false;
        if !self.socks[sock].exists {
            return Ok(());
        }
        self.becomes_an_orphan(sock);
        // Unread data makes it an abort: RFC 2525 2.17, tcp_close().
        if abort || self.socks[sock].unread > 0 || self.socks[sock].heard.beats > 0 {
            self.socks[sock].exists = false;
            let peer = self.socks[sock].peer;
            if self.is_far(sock)? {
                return self.says_goodbye(sock, true, at);
            }
            if self.gets_there(sock, Kind::Rst, at)? && self.socks[peer].exists {
                self.is_reset(peer, at);
            }
            return Ok(());
        }
        self.send_fin(sock, at)
    }

    /// The kernel gives a connection up.
    pub(super) fn gives_up(&mut self, sock: usize, failure: Failure) {
        let beat = !self.socks[sock].sending.none();
        let data = self.socks[sock]
            .outgoing
            .as_ref()
            .is_some_and(|o| o.bytes > 0);
        let failure = if beat && !data {
            failure.of_a_beat()
        } else {
            failure
        };
        let s = &mut self.socks[sock];
        s.error = Some(failure);
        s.broken = true;
        s.exists = false;
        s.outgoing = None;
        s.quiet_end = None;
    }
}
