//! Packets that are under way for a time: what leaves, arrives and is
//! acknowledged over long lines.

use std::time::Duration;

use super::heart::Signs;
use super::line::{Kind, Way};
use super::paths::Paths;
use super::process::{Flying, Outgoing};
use super::socket::SEGMENT;
use super::{Later, World};
use crate::facts::{Fate, InFlight};
use crate::span::Span;
use crate::sysctls::Sysctls;
use crate::wheel::Phase;

/// What hosts take for a packet, both ways: where the phase is known, else.
const HANDLING: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(4));
/// The longest that a short line's acknowledgments were delayed (TCP_DELACK_MIN).
const DELAYED: Duration = Duration::from_millis(44);
/// What comes closer together than that may be the other way round: where the
/// phase is known, else.
const RACE: (Duration, Duration) = (Duration::from_millis(3), Duration::from_millis(10));
/// The first congestion window: ten segments (TCP_INIT_CWND).
const AT_ONCE: u64 = 10 * SEGMENT;
/// A round trip at least takes this on the machine alone.
const LEAST: Duration = Duration::from_micros(10);

/// A packet that has left its host.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// The end that sent it.
    from: usize,
    what: What,
    /// When it left, or comes out of the long cable `hop` of its path.
    at: Span,
    hop: Option<usize>,
    /// It says that so many segments have come.
    acks: u64,
}

#[derive(Debug, Clone)]
enum What {
    Data {
        number: u64,
        bytes: u64,
        signs: Signs,
        sent: Span,
    },
    Ack,
    Fin,
    Rst,
    /// The third packet of a handshake, for this port.
    Knock(u16),
}

impl What {
    fn kind(&self) -> Kind {
        match self {
            What::Data { .. } => Kind::Data,
            What::Ack | What::Knock(_) => Kind::Ack,
            What::Fin => Kind::Fin,
            What::Rst => Kind::Rst,
        }
    }
}

impl World<'_> {
    /// The hosts of a connection, seen from this end.
    fn ends_of(&self, sock: usize) -> (&str, &str) {
        let s = &self.socks[sock];
        (s.host, self.socks[s.peer].host)
    }

    /// Whether packets between these ends take time.
    pub(super) fn is_far(&self, sock: usize) -> Result<bool, String> {
        let (from, to) = self.ends_of(sock);
        Ok(!self.paths.round_trip(from, to)?.is_zero())
    }

    /// Data leaves for a far peer.
    pub(super) fn launch(&mut self, sock: usize, bytes: u64, at: Span) -> Result<(), String> {
        if bytes > AT_ONCE {
            return Err("what is written fills a long line by and by".into());
        }
        let s = &mut self.socks[sock];
        s.sent += 1;
        let number = s.sent;
        let signs = std::mem::take(&mut s.sending);
        s.acks.answers(at.earliest);
        s.owes = false;
        s.quiet_end = None;
        s.outgoing = Some(Outgoing {
            bytes,
            sent: at,
            since: self.kernel.anchor(at),
            arrived: false,
            fate: Fate::Arrives,
            fall: None,
            through: None,
            flying: Some(Flying { number, bytes }),
            held: false,
            tried: at.latest,
        });
        let what = What::Data {
            number,
            bytes,
            signs,
            sent: at,
        };
        self.leaves(sock, what, at)
    }

    fn leaves(&mut self, from: usize, what: What, at: Span) -> Result<(), String> {
        self.uses_neighbours(from, at);
        let acks = self.socks[from].got;
        let packet = Packet {
            from,
            what,
            at,
            hop: None,
            acks,
        };
        let (own, peer) = (
            self.socks[from].host,
            self.socks[self.socks[from].peer].host,
        );
        let end = self.paths.path(own, peer).map_or(0, |path| path.len());
        let (asks, _) = self.paths.asking(own, peer, end)?;
        let kind = packet.what.kind();
        if self.paths.one_way(own, peer, kind)? == Fate::Unheard && !self.still_reaches(from, at)? {
            let fate = self.forgotten_neighbour(from);
            return self.lost(packet, fate, 0);
        }
        let (own, peer) = (
            self.socks[from].host,
            self.socks[self.socks[from].peer].host,
        );
        if asks.is_zero() || !self.paths.one_way(own, peer, kind)?.gets_there() {
            return self.moves(packet);
        }
        // It waits for an address that was forgotten.
        self.paths.meet(own, peer);
        let at = at.after(asks);
        let packet = Packet { at, ..packet };
        self.later.push((at.earliest, Later::Packet(packet)));
        Ok(())
    }

    /// A FIN or an RST leaves for a far peer.
    pub(super) fn says_goodbye(&mut self, sock: usize, rst: bool, at: Span) -> Result<(), String> {
        self.leaves(sock, if rst { What::Rst } else { What::Fin }, at)
    }

    /// The client's end of a handshake.
    pub(super) fn knocks(&mut self, client: usize, port: u16, at: Span) -> Result<(), String> {
        self.leaves(client, What::Knock(port), at)
    }

    /// A packet goes on, until it ends or a long cable takes it.
    pub(super) fn moves(&mut self, packet: Packet) -> Result<(), String> {
        let (from, to) = self.ends_of(packet.from);
        if self.meets_a_change(&packet) {
            return Err("whether a packet on a long line or the fault is first".into());
        }
        let kind = packet.what.kind();
        let told = (kind == Kind::Ack, packet.hop);
        let way = self.paths.goes(from, to, kind, told)?;
        let path = self.paths.path(from, to).unwrap_or_default();
        let first = packet.hop.map_or(0, |hop| hop + 1);
        let last = match way {
            Way::UnderWay { hop, .. } => hop,
            Way::Ends { at, .. } => at,
        };
        let host = path.first().copied().unwrap_or_default();
        let routers = path.get(first..=last).unwrap_or_default();
        let memory = self.paths.memory.as_ref();
        if memory.is_some_and(|m| routers.iter().any(|node| m.is_of(node))) {
            self.router_hears(host, packet.at)?;
        }
        match way {
            Way::UnderWay { hop, delay } => {
                let at = packet.at.after(delay);
                let packet = Packet {
                    at,
                    hop: Some(hop),
                    ..packet
                };
                self.later.push((at.earliest, Later::Packet(packet)));
                Ok(())
            }
            Way::Ends { fate, .. } if fate.gets_there() => self.delivered(packet),
            Way::Ends { fate, at } => self.lost(packet, fate, at),
        }
    }

    /// Whether it matters if it comes out of a cable before or after a change
    /// of the network at about this time.
    fn meets_a_change(&self, packet: &Packet) -> bool {
        let Some(hop) = packet.hop else {
            return false;
        };
        let (from, to) = self.ends_of(packet.from);
        let fares = |paths: &Paths<'_>| paths.on_from(from, to, packet.what.kind(), hop);
        let race = match self.kernel.phase {
            Phase::Known { .. } => RACE.0,
            Phase::Unknown => RACE.1,
        };
        let near = |from: Duration, until: Duration| {
            from <= packet.at.latest + race && until + race >= packet.at.earliest
        };
        let now = fares(&self.paths);
        let differs = |paths: &Paths<'_>| fares(paths) != now;
        if self.before.as_ref().is_some_and(differs)
            && near(self.moment.earliest, self.moment.latest)
        {
            return true;
        }
        let mut coming = self.later.iter().filter(|(at, _)| near(*at, *at));
        coming.any(|(_, later)| self.after(later).is_some_and(|paths| differs(&paths)))
    }

    fn delivered(&mut self, packet: Packet) -> Result<(), String> {
        let Packet { from, at, .. } = packet;
        let peer = self.socks[from].peer;
        match packet.what {
            What::Rst => {
                if self.socks[peer].exists {
                    self.is_reset(peer, at);
                }
                return Ok(());
            }
            What::Knock(port) => {
                self.socks[peer].since = at;
                self.socks[peer].heard_at = at;
                self.socks[peer].acks = crate::acks::Acks::new(at.earliest);
                let asked = self.socks[peer].asked;
                self.measured(peer, Span::at(self.round_trip_of(peer)? + asked))?;
                let host = self.socks[peer].host;
                if let Some(waiting) = self.backlog.get_mut(&(host, port)) {
                    waiting.push_back(peer);
                }
            }
            What::Data { .. } | What::Ack | What::Fin => {}
        }
        let s = &self.socks[peer];
        if !s.exists || (!s.held && s.fin_sent && matches!(packet.what, What::Data { .. })) {
            if matches!(packet.what, What::Data { .. }) {
                let ended = |fin: Span| fin.latest > at.earliest;
                if s.fin_sent_at.is_some_and(ended) {
                    return Err("whether the peer's process has ended when data comes".into());
                }
                self.socks[peer].exists = false;
                return self.leaves(peer, What::Rst, at);
            }
            return Ok(());
        }
        self.received(peer, at);
        self.acknowledged(peer, packet.acks, at)?;
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
                signs,
                ..
            } => {
                self.socks[peer].got = self.socks[peer].got.max(number);
                let held = std::mem::replace(&mut self.socks[from].sending, signs);
                let told = self.arrives(from, bytes, at, false);
                self.socks[from].sending = held;
                told?;
                self.will_acknowledge(peer, bytes, at)
            }
            What::Ack | What::Rst | What::Knock(_) => Ok(()),
        }
    }

    /// Data has come: its acknowledgment leaves at once, or waits.
    fn will_acknowledge(&mut self, sock: usize, bytes: u64, at: Span) -> Result<(), String> {
        let (rto, srtt) = self.estimate(sock);
        let s = &mut self.socks[sock];
        let wait = s.acks.hears(at.earliest, rto, srtt);
        if wait.is_zero() || bytes > SEGMENT {
            return self.leaves(sock, What::Ack, at);
        }
        s.owes = true;
        let got = s.got;
        // A timer of the wheel's first level: a tick late at most.
        let due = Span::new(wait, wait + self.kernel.wheel().tick()).plus(at);
        self.later
            .push((due.earliest, Later::DelayedAck { sock, due, got }));
        Ok(())
    }

    pub(super) fn acknowledges_late(
        &mut self,
        sock: usize,
        due: Span,
        got: u64,
    ) -> Result<(), String> {
        let s = &self.socks[sock];
        if !s.exists || !s.owes || s.got != got {
            return Ok(());
        }
        let (rto, _) = self.estimate(sock);
        self.socks[sock].owes = false;
        self.socks[sock].acks.timer(rto);
        self.leaves(sock, What::Ack, due)
    }

    /// A program has read everything.
    pub(super) fn acknowledges_by_reading(&mut self, sock: usize, at: Span) -> Result<(), String> {
        let s = &mut self.socks[sock];
        if !s.owes || !s.acks.by_reading() {
            return Ok(());
        }
        s.owes = false;
        s.acks.sends();
        self.leaves(sock, What::Ack, at)
    }

    fn acknowledged(&mut self, sock: usize, upto: u64, at: Span) -> Result<(), String> {
        let Some(outgoing) = self.socks[sock].outgoing.clone() else {
            return Ok(());
        };
        let Some(flying) = outgoing.flying.filter(|f| f.number <= upto) else {
            return Ok(());
        };
        self.acknowledged_by(sock);
        let took = |at: Duration, sent: Duration| at.saturating_sub(sent);
        let least = took(at.earliest, outgoing.sent.earliest);
        let most = took(at.latest, outgoing.sent.latest);
        if self.socks[sock].rounds.is_empty() {
            // The line was short before.
            let heart = self.socks[sock].heart.is_some();
            let most = if heart { DELAYED } else { Duration::ZERO };
            self.measured(sock, Span::new(Duration::ZERO, most))?;
        }
        self.measured(sock, Span::new(least.min(most), most))?;
        self.socks[sock].outgoing = None;
        let rest = outgoing.bytes.saturating_sub(flying.bytes);
        if rest > 0 || !self.socks[sock].sending.none() {
            // Nagle's algorithm held it back (tcp_nagle_check()).
            self.launch(sock, rest, at)?;
        }
        self.lets_fin_go(sock, at)
    }

    /// TCP learns how long a round trip took.
    pub(super) fn measured(&mut self, sock: usize, took: Span) -> Result<(), String> {
        let handling = match self.kernel.phase {
            Phase::Known { .. } => HANDLING.0,
            Phase::Unknown => HANDLING.1,
        };
        let rto_min = Sysctls::of(self.case, self.socks[sock].host, self.kernel).rto_min;
        let rounds = &mut self.socks[sock].rounds;
        rounds.measure(took.earliest + LEAST, took.latest + handling, rto_min);
        Ok(())
    }

    fn round_trip_of(&self, sock: usize) -> Result<Duration, String> {
        let (from, to) = self.ends_of(sock);
        self.paths.round_trip(from, to)
    }

    /// Its RTO and its smoothed round trip.
    pub(super) fn estimate(&self, sock: usize) -> (Duration, Duration) {
        let sysctls = Sysctls::of(self.case, self.socks[sock].host, self.kernel);
        let round = self.socks[sock].rounds.round().unwrap_or(super::RTT);
        let (rto, _) = round.rto(sysctls.rto_min, sysctls.rto_max);
        (rto, round.srtt.0)
    }

    /// A packet does not get there.
    fn lost(&mut self, packet: Packet, fate: Fate, where_at: usize) -> Result<(), String> {
        let Packet { from, at, what, .. } = packet;
        let (host, to) = self.ends_of(from);
        let back = self.paths.back_from(host, to, where_at)?;
        if let What::Data {
            number,
            bytes,
            signs,
            sent,
        } = what
        {
            self.socks[from].sending = signs.plus(self.socks[from].sending);
            let flies = |o: &Outgoing| o.flying.is_some_and(|f| f.number == number);
            let Some(outgoing) = self.socks[from].outgoing.take_if(|o| flies(o)) else {
                return Ok(());
            };
            let bytes = outgoing.bytes.max(bytes);
            if fate == Fate::Reset {
                self.socks[from].outgoing = Some(outgoing);
                let at = at.after(back);
                let reset = Later::Reset { sock: from, at };
                self.later.push((at.earliest, reset));
                return Ok(());
            }
            self.falls(from, bytes, sent, fate, false)?;
        }
        if matches!(what, What::Knock(_)) {
            return Err("the last packet of a handshake gets lost".into());
        }
        // What it acknowledges stays unacknowledged.
        let peer = self.socks[from].peer;
        let waits = |o: &Outgoing| o.flying.is_some_and(|f| f.number <= packet.acks);
        // Unless another packet that says so is under way.
        let says = |p: &Packet| p.from == from && p.acks >= packet.acks;
        let mut later = self.later.iter().map(|(_, later)| later);
        let said = later.any(|l| matches!(l, Later::Packet(p) if says(p)));
        if said || !self.socks[peer].exists {
            return Ok(());
        }
        if let Some(outgoing) = self.socks[peer].outgoing.take_if(|o| waits(o)) {
            return self.falls(peer, outgoing.bytes, outgoing.sent, Fate::Unanswered, true);
        }
        Ok(())
    }

    /// Data that was sent then is lost, or its acknowledgment.
    fn falls(
        &mut self,
        sock: usize,
        bytes: u64,
        sent: Span,
        fate: Fate,
        arrived: bool,
    ) -> Result<(), String> {
        let (from, to) = self.ends_of(sock);
        let now = self.paths.there_and_back(from, to, Kind::Data, Kind::Ack)?;
        let changed = self.fault.is_some() && self.moment.latest > sent.earliest;
        let fate = match now {
            // It was one packet that got lost.
            Fate::Arrives | Fate::Reset => match fate {
                Fate::Gone | Fate::Unheard => Fate::Gone,
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
            // The next try after now gets through.
            let then = self.now;
            if let Some(outgoing) = &mut self.socks[sock].outgoing {
                let tries = outgoing.fall.iter().flat_map(|f| &f.attempts);
                outgoing.through = tries
                    .filter_map(crate::span::Spans::hull)
                    .map(|at| at.plus(outgoing.since))
                    .find(|at| at.earliest >= then);
            }
        }
        Ok(())
    }

    /// An RST comes back from somewhere on the way.
    pub(super) fn reset_comes(&mut self, sock: usize, at: Span) {
        if self.socks[sock].exists {
            self.is_reset(sock, at);
        }
    }
}
