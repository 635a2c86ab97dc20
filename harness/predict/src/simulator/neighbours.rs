//! Neighbour entries in the simulation: who used and confirmed them, and when. Feeds
//! `neighbour::entry`; packets, probes and aborts use it.

use std::time::Duration;

use super::Simulator;
use super::delays::Kind;
use super::paths::Paths;
use super::state::Failure;
use crate::abort::facts::Fate;
use crate::abort::neighbour_dead::{ENTRY_MAY_NOT_FAIL, Neighbour};
use crate::neighbour;
use crate::neighbour::entry::NeighbourEntry;
use crate::neighbour::replaced::Replaced;
use crate::rule::RuleId;
use crate::span::Span;
use crate::sysctls::Sysctls;
use halfopen_scenario::case::NodeKind;

/// Longest delay of an acknowledgment without line delay (TCP_DELACK_MIN).
const DELAYED_ACK: Duration = Duration::from_millis(44);

/// The entries that one end's packets use.
#[derive(Debug, Clone, Default)]
pub(super) struct NeighbourEntries {
    /// The own host's entry for the next hop; None: unknown.
    own: Option<NeighbourEntry>,
    /// The last router's entry for the peer.
    last_router: Option<NeighbourEntry>,
    /// Since when the neighbour does not answer.
    dead_since: Option<Duration>,
}

impl<'a> Paths<'a> {
    /// The node that resolves the address that does not answer.
    fn resolver(&self, from: &str, to: &str) -> Option<&'a str> {
        let path = self.path(from, to)?;
        let mut resolver = *path.first()?;
        for (at, hop) in path.windows(2).enumerate() {
            if resolver == hop[0] && self.leg_fate(from, to, &path[at..]).is_some() {
                return Some(resolver);
            }
            if self.kind_of(hop[1]) == Some(NodeKind::Router) {
                resolver = hop[1];
            }
        }
        Some(resolver)
    }

    fn last_router(&self, from: &str, to: &str) -> Option<&'a str> {
        let path = self.path(from, to)?;
        let mut routers = path.into_iter();
        routers.rfind(|node| self.kind_of(node) == Some(NodeKind::Router))
    }
}

impl Simulator<'_> {
    /// A connection is established: its ends' hosts and routers have reachable entries for
    /// each other. `fresh`: they had none before.
    pub(super) fn set_neighbour_reachable(&mut self, client: usize, fresh: bool, at: Span) {
        let server = self.socks[client].peer;
        let (from, to) = (self.socks[client].host, self.socks[server].host);
        let delay = self.paths.round_trip(from, to).unwrap_or_default();
        let at = Span::new(at.earliest.saturating_sub(delay), at.latest + delay);
        let routed = self.paths.last_router(from, to).is_some();
        // A router sends requests from its link-local address in IPv6.
        let resolver = routed && self.paths.is_ipv6();
        let learned = || Some(NeighbourEntry::learned(at));
        let resolved = || Some(NeighbourEntry::resolved(at));
        let known = |entry: Option<NeighbourEntry>| entry.filter(|_| fresh);
        self.socks[client].entries = NeighbourEntries {
            own: known(resolved()),
            last_router: known(resolved()).filter(|_| routed),
            dead_since: None,
        };
        self.socks[server].entries = NeighbourEntries {
            own: known(if resolver { resolved() } else { learned() }),
            last_router: known(learned()).filter(|_| routed),
            dead_since: None,
        };
        self.note_acknowledgment(server);
    }

    /// A packet leaves a socket's host.
    pub(super) fn use_neighbour_entries(&mut self, sock: usize, at: Span) {
        let (from, to) = (
            self.socks[sock].host,
            self.socks[self.socks[sock].peer].host,
        );
        let delay = self.paths.one_way_delay(from, to).unwrap_or_default();
        let wheel = self.kernel.wheel();
        let entries = &mut self.socks[sock].entries;
        entries.own.take_if(|entry| !entry.used(at, wheel));
        let there = Span::new(at.earliest, at.latest + delay);
        entries
            .last_router
            .take_if(|entry| !entry.used(there, wheel));
    }

    /// Data arrives over a path without delay and is acknowledged, at once or `later`, if
    /// the acknowledgment gets back.
    pub(super) fn exchange_data(&mut self, sock: usize, at: Span, answered: bool, later: bool) {
        let peer = self.socks[sock].peer;
        if answered {
            self.use_neighbour_entries(sock, at);
        }
        let latest = if later {
            at.latest + DELAYED_ACK
        } else {
            at.latest
        };
        self.use_neighbour_entries(peer, Span::new(at.earliest, latest));
        if answered {
            self.note_acknowledgment(sock);
        }
    }

    /// TCP has received an acknowledgment of data.
    pub(super) fn note_acknowledgment(&mut self, sock: usize) {
        let entries = &mut self.socks[sock].entries;
        let known = [&mut entries.own, &mut entries.last_router]
            .into_iter()
            .flatten();
        known.for_each(NeighbourEntry::confirm_by_next);
    }

    /// The network has changed: records whether the neighbour still answers.
    pub(super) fn note_neighbour(&mut self, sock: usize, change: Span) -> Result<(), String> {
        let peer = self.socks[sock].peer;
        let (from, to) = (self.socks[sock].host, self.socks[peer].host);
        let fate = self.paths.exchange_fate(from, to, Kind::Data, Kind::Ack)?;
        let dead = matches!(fate, Fate::NeighbourDead | Fate::ReturnDead);
        if dead == self.socks[sock].entries.dead_since.is_some() {
            return Ok(());
        }
        let probed = self.probes_since(sock);
        let wheel = self.kernel.wheel();
        let entries = &mut self.socks[sock].entries;
        for entry in [&mut entries.own, &mut entries.last_router]
            .into_iter()
            .flatten()
        {
            if let Some(first) = probed.filter(|first| dead && *first <= change.latest) {
                entry.may_have_been_used(Span::new(first, change.latest));
            }
            entry.set_answering(!dead, change, wheel);
        }
        entries.dead_since = dead.then_some(change.latest);
        Ok(())
    }

    /// The known state of the entry that a socket's packets use.
    pub(super) fn neighbour_of(&self, sock: usize) -> Option<Neighbour> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        let mut sysctls = self.case.sysctls.values().flat_map(|of| of.keys());
        if sysctls.any(|key| key.contains(".neigh.")) {
            return None;
        }
        let resolver = self.paths.resolver(from, to)?;
        let by_own_host = resolver == from;
        let last = self.paths.last_router(from, to) == Some(resolver);
        let entry = match by_own_host {
            true => s.entries.own.clone(),
            false => s.entries.last_router.clone().filter(|_| last),
        };
        Some(Neighbour {
            entry: entry?,
            by_own_host,
            dead_since: s.entries.dead_since.unwrap_or_default(),
            replaced: self.new_owners.get(to).copied(),
        })
    }

    /// The new owner of the address that probes go to, and the entry.
    pub(super) fn replaced_neighbour(&self, sock: usize, armed: Duration) -> Option<Replaced> {
        let s = &self.socks[sock];
        s.entries.dead_since?;
        let neighbour = self.neighbour_of(sock)?;
        Some(Replaced {
            entry: neighbour.entry,
            by_own_host: neighbour.by_own_host,
            armed,
            answers: neighbour.replaced?.saturating_sub(armed),
        })
    }

    /// Whether a packet that leaves now reaches the peer's host.
    pub(super) fn packet_arrives(&self, sock: usize, kind: Kind, at: Span) -> Result<bool, String> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        match self.paths.one_way(from, to, kind)? {
            Fate::ReturnDead => self.still_reaches(sock, at),
            fate => Ok(fate.is_delivered()),
        }
    }

    /// Whether packets are still sent to a neighbour whose answers are lost: its entry
    /// fails meanwhile.
    pub(super) fn still_reaches(&self, sock: usize, at: Span) -> Result<bool, String> {
        let s = &self.socks[sock];
        let neighbour = self.neighbour_of(sock);
        let entry = neighbour.and_then(|known| {
            let tried = s.outgoing.as_ref().map(|outgoing| outgoing.sent.earliest);
            let probed = self.probes_since(sock).filter(|probed| *probed < at.latest);
            let tried = tried.into_iter().chain(probed).min();
            known.entry.reaches(at, tried, self.kernel.wheel())
        });
        let since = s.received.first().unwrap_or(&s.since).earliest;
        let matters = self.is_watched(&self.socks[s.peer].lane.name);
        match entry {
            Some(reaches) => Ok(reaches),
            None if at.latest < since + neighbour::STALE_FAILS_AFTER || !matters => Ok(true),
            None => Err(ENTRY_MAY_NOT_FAIL.into()),
        }
    }

    /// The fate of packets whose next hop's entry has failed.
    pub(super) fn unresolved_neighbour(&self, sock: usize) -> Fate {
        let s = &self.socks[sock];
        let resolver = self.paths.resolver(s.host, self.socks[s.peer].host);
        Fate::Unresolved {
            by_own_host: resolver == Some(s.host),
        }
    }

    /// Since when keepalive of either end may have sent probes, which are not simulated one
    /// by one.
    fn probes_since(&self, sock: usize) -> Option<Duration> {
        let s = &self.socks[sock];
        let idle = [sock, s.peer].into_iter().filter_map(|s| {
            let lane = self.socks[s].lane;
            let sysctls = Sysctls::of(self.case, self.socks[s].host, self.kernel);
            Some(sysctls.keepalive(&lane.detector)?.idle)
        });
        Some(s.received.last()?.earliest + idle.min()?)
    }

    /// Explains the end of probes to an address that has a new owner.
    pub(super) fn explain_replaced_neighbour(
        &self,
        sock: usize,
        end: &mut Failure,
        undecided: bool,
    ) {
        let s = &self.socks[sock];
        let to = self.socks[s.peer].host;
        if s.entries.dead_since.is_none() || !self.new_owners.contains_key(to) {
            return;
        }
        let delayed = !s.round_trips.is_empty();
        if undecided || delayed || self.neighbour_of(sock).is_none() {
            end.undecided = Some(
                "the neighbour entry ages meanwhile, and when the new owner of the \
                             address answers is not followed"
                    .into(),
            );
        }
        if end.errno == "ECONNRESET" {
            end.rules.push(RuleId::Neighbour);
            end.because = "the neighbour entry fails 8.2 s after the first probe that meets it \
                           stale; the next one asks everybody, and the new owner of the address \
                           answers it by an RST"
                .into();
        } else if end.undecided.is_some() && !undecided && !delayed {
            end.undecided = Some(
                "whether a probe asks everybody for the address before keepalive \
                             gives up depends on the entry's random reachable time \
                             (neigh_rand_reach_time())"
                    .into(),
            );
        }
    }

    /// Earliest time from the sending of the data in flight to the failure of its
    /// neighbour's entry.
    pub(super) fn entry_fails(&self, sock: usize) -> Duration {
        let outgoing = self.socks[sock].outgoing.as_ref();
        let known = outgoing.zip(self.neighbour_of(sock));
        known.map_or(neighbour::STALE_FAILS_AFTER, |(outgoing, neighbour)| {
            neighbour.entry.fails_after(outgoing.sent.earliest)
        })
    }
}
