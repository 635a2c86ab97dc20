//! Neighbour entries in a story: who used and confirmed them, and when.

use std::time::Duration;

use super::World;
use super::line::Kind;
use super::paths::Paths;
use super::process::Failure;
use crate::entry::Entries;
use crate::facts::Fate;
use crate::gone::{Neighbour, WHETHER_IT_FAILS};
use crate::neighbour;
use crate::renewed::Renewed;
use crate::rule::RuleId;
use crate::span::Span;
use crate::sysctls::Sysctls;
use halfopen_scenario::case::NodeKind;

/// The longest that an acknowledgment waits on a short line (TCP_DELACK_MIN).
const DELAYED: Duration = Duration::from_millis(44);

/// The entries that one end's packets use.
#[derive(Debug, Clone, Default)]
pub(super) struct Hops {
    /// Its own host's, for who comes next; None: unknown.
    own: Option<Entries>,
    /// The last router's, for the peer.
    last: Option<Entries>,
    /// Since when the neighbour answers no more.
    dies: Option<Duration>,
}

impl<'a> Paths<'a> {
    /// Who asks for the address that nobody answers for.
    fn asker(&self, from: &str, to: &str) -> Option<&'a str> {
        let path = self.path(from, to)?;
        let mut asks = *path.first()?;
        for (at, hop) in path.windows(2).enumerate() {
            if asks == hop[0] && self.leg(from, to, &path[at..]).is_some() {
                return Some(asks);
            }
            if self.kind_of(hop[1]) == Some(NodeKind::Router) {
                asks = hop[1];
            }
        }
        Some(asks)
    }

    fn last_router(&self, from: &str, to: &str) -> Option<&'a str> {
        let path = self.path(from, to)?;
        let mut routers = path.into_iter();
        routers.rfind(|node| self.kind_of(node) == Some(NodeKind::Router))
    }
}

impl World<'_> {
    /// A connection begins: its ends' hosts, and routers, know each other.
    /// `fresh`: they did not before.
    pub(super) fn knows_neighbours(&mut self, client: usize, fresh: bool, at: Span) {
        let server = self.socks[client].peer;
        let (from, to) = (self.socks[client].host, self.socks[server].host);
        let way = self.paths.round_trip(from, to).unwrap_or_default();
        let at = Span::new(at.earliest.saturating_sub(way), at.latest + way);
        let routed = self.paths.last_router(from, to).is_some();
        // A router asks by its link-local address in IPv6.
        let asks = routed && self.paths.is_ipv6();
        let learnt = || Some(Entries::learnt(at));
        let answered = || Some(Entries::answered(at));
        let known = |entry: Option<Entries>| entry.filter(|_| fresh);
        self.socks[client].hops = Hops {
            own: known(answered()),
            last: known(answered()).filter(|_| routed),
            dies: None,
        };
        self.socks[server].hops = Hops {
            own: known(if asks { answered() } else { learnt() }),
            last: known(learnt()).filter(|_| routed),
            dies: None,
        };
        self.acknowledged_by(server);
    }

    /// A packet leaves a socket's host.
    pub(super) fn uses_neighbours(&mut self, sock: usize, at: Span) {
        let (from, to) = (
            self.socks[sock].host,
            self.socks[self.socks[sock].peer].host,
        );
        let way = self.paths.takes(from, to).unwrap_or_default();
        let wheel = self.kernel.wheel();
        let hops = &mut self.socks[sock].hops;
        hops.own.take_if(|entry| !entry.used(at, wheel));
        let there = Span::new(at.earliest, at.latest + way);
        hops.last.take_if(|entry| !entry.used(there, wheel));
    }

    /// Data arrives over a short line and is acknowledged, at once or `later`, if
    /// that gets back.
    pub(super) fn exchanges(&mut self, sock: usize, at: Span, answered: bool, later: bool) {
        let peer = self.socks[sock].peer;
        if answered {
            self.uses_neighbours(sock, at);
        }
        let latest = if later {
            at.latest + DELAYED
        } else {
            at.latest
        };
        self.uses_neighbours(peer, Span::new(at.earliest, latest));
        if answered {
            self.acknowledged_by(sock);
        }
    }

    /// TCP has got an acknowledgment of data.
    pub(super) fn acknowledged_by(&mut self, sock: usize) {
        let hops = &mut self.socks[sock].hops;
        let known = [&mut hops.own, &mut hops.last].into_iter().flatten();
        known.for_each(Entries::acknowledged);
    }

    /// The network has changed: whether the neighbour still answers.
    pub(super) fn note_neighbour(&mut self, sock: usize, change: Span) -> Result<(), String> {
        let peer = self.socks[sock].peer;
        let (from, to) = (self.socks[sock].host, self.socks[peer].host);
        let fate = self.paths.there_and_back(from, to, Kind::Data, Kind::Ack)?;
        let dead = matches!(fate, Fate::Gone | Fate::Unheard);
        if dead == self.socks[sock].hops.dies.is_some() {
            return Ok(());
        }
        let probed = self.probes_since(sock);
        let wheel = self.kernel.wheel();
        let hops = &mut self.socks[sock].hops;
        for entry in [&mut hops.own, &mut hops.last].into_iter().flatten() {
            if let Some(first) = probed.filter(|first| dead && *first <= change.latest) {
                entry.may_be_used(Span::new(first, change.latest));
            }
            entry.answers(!dead, change, wheel);
        }
        hops.dies = dead.then_some(change.latest);
        Ok(())
    }

    /// What is known of the entry that a socket's packets meet.
    pub(super) fn neighbour_of(&self, sock: usize) -> Option<Neighbour> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        let mut sysctls = self.case.sysctls.values().flat_map(|of| of.keys());
        if sysctls.any(|key| key.contains(".neigh.")) {
            return None;
        }
        let asks = self.paths.asker(from, to)?;
        let by_own_host = asks == from;
        let last = self.paths.last_router(from, to) == Some(asks);
        let entry = match by_own_host {
            true => s.hops.own.clone(),
            false => s.hops.last.clone().filter(|_| last),
        };
        Some(Neighbour {
            entry: entry?,
            by_own_host,
            dies: s.hops.dies.unwrap_or_default(),
            replaced: self.anew.get(to).copied(),
        })
    }

    /// Whether somebody else has the address that probes go to, and the entry.
    pub(super) fn renewed(&self, sock: usize, armed: Duration) -> Option<Renewed> {
        let s = &self.socks[sock];
        s.hops.dies?;
        let neighbour = self.neighbour_of(sock)?;
        Some(Renewed {
            entry: neighbour.entry,
            by_own_host: neighbour.by_own_host,
            armed,
            answers: neighbour.replaced?.saturating_sub(armed),
        })
    }

    /// Whether one packet that leaves now gets to the peer's host.
    pub(super) fn gets_there(&self, sock: usize, kind: Kind, at: Span) -> Result<bool, String> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        match self.paths.one_way(from, to, kind)? {
            Fate::Unheard => self.still_reaches(sock, at),
            fate => Ok(fate.gets_there()),
        }
    }

    /// Whether a neighbour whose answers are lost is still sent to: its entry fails
    /// meanwhile.
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
            None if at.latest < since + neighbour::STALE_FAILS || !matters => Ok(true),
            None => Err(WHETHER_IT_FAILS.into()),
        }
    }

    /// What becomes of packets whose next hop's entry has failed.
    pub(super) fn forgotten_neighbour(&self, sock: usize) -> Fate {
        let s = &self.socks[sock];
        let asker = self.paths.asker(s.host, self.socks[s.peer].host);
        Fate::Unresolved {
            by_own_host: asker == Some(s.host),
        }
    }

    /// Since when keepalive of either end may have probed, which the story does not
    /// tell one by one.
    fn probes_since(&self, sock: usize) -> Option<Duration> {
        let s = &self.socks[sock];
        let idle = [sock, s.peer].into_iter().filter_map(|s| {
            let lane = self.socks[s].lane;
            let sysctls = Sysctls::of(self.case, self.socks[s].host, self.kernel);
            Some(sysctls.keepalive(&lane.detector)?.idle)
        });
        Some(s.received.last()?.earliest + idle.min()?)
    }

    /// What is to be said of probes to an address that somebody else has by now.
    pub(super) fn asks_everybody(&self, sock: usize, end: &mut Failure, vague: bool) {
        let s = &self.socks[sock];
        let to = self.socks[s.peer].host;
        if s.hops.dies.is_none() || !self.anew.contains_key(to) {
            return;
        }
        let far = !s.trips.is_empty();
        if vague || far || self.neighbour_of(sock).is_none() {
            end.open = Some(
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
        } else if end.open.is_some() && !vague && !far {
            end.open = Some(
                "whether a probe asks everybody for the address before keepalive \
                             gives up depends on the entry's random reachable time \
                             (neigh_rand_reach_time())"
                    .into(),
            );
        }
    }

    /// How long after what is under way was sent its neighbour's entry can have
    /// failed.
    pub(super) fn entry_fails(&self, sock: usize) -> Duration {
        let outgoing = self.socks[sock].outgoing.as_ref();
        let known = outgoing.zip(self.neighbour_of(sock));
        known.map_or(neighbour::STALE_FAILS, |(outgoing, neighbour)| {
            neighbour.entry.fails_after(outgoing.sent.earliest)
        })
    }
}
