//! Neighbour entries that age while a host sends and hears nothing back.

use std::time::Duration;

use super::World;
use super::line::Kind;
use crate::predict::facts::Fate;
use crate::predict::gone::WHETHER_IT_FAILS;
use crate::predict::neighbour;
use crate::predict::span::Span;
use crate::predict::sysctls::Sysctls;
use crate::scenario::case::NodeKind;

/// What is received so soon after a connection stands confirms its neighbour
/// in the tick in which the entry was used for the first time.
const AT_ONCE: Duration = Duration::from_millis(4);

impl World<'_> {
    /// Whether one packet that leaves now gets to the peer's host.
    pub(super) fn gets_there(&mut self, sock: usize, kind: Kind, at: Span) -> Result<bool, String> {
        let s = &self.socks[sock];
        let (from, to) = (s.host, self.socks[s.peer].host);
        match self.paths.one_way(from, to, kind)? {
            Fate::Unheard => self.still_reaches(sock, at),
            fate => Ok(fate.gets_there()),
        }
    }

    /// Whether a neighbour whose answers are lost is still sent to: its entry fails
    /// meanwhile. Who was asked first, and did not ask, has one that is stale; its
    /// first use begins the delay, and what confirms it within a tick is as old as
    /// that when the delay ends (neigh_timer_handler()): the entry is asked for, in
    /// vain if the silence has begun by then. Who asked trusts the answer for a random
    /// time, and from then on its next packet begins the delay.
    pub(super) fn still_reaches(&mut self, sock: usize, at: Span) -> Result<bool, String> {
        let silent = self.moment.latest;
        let s = &mut self.socks[sock];
        let first = *s.into_silence.get_or_insert(at.earliest);
        let s = &self.socks[sock];
        let peer = &self.socks[s.peer];
        let since = s.received.first().map_or(s.since, |at| *at).earliest;
        let asked = self.was_asked_first(sock);
        let fails = neighbour::confirmed_entry_fails(asked);
        let heard = s.received.iter().filter(|r| r.earliest <= silent);
        let at_once = heard.map(|r| r.latest).max() <= Some(since + AT_ONCE);
        if asked && at_once && silent < since + neighbour::DELAY {
            let (least, most) = neighbour::stale_entry_fails(self.kernel.wheel());
            if at.latest < since + least {
                return Ok(true);
            }
            if at.earliest > since + most {
                return Ok(false);
            }
            return Err(WHETHER_IT_FAILS.into());
        }
        let probes = Sysctls::of(self.case, s.host, self.kernel).keepalive(&s.lane.detector);
        let quiet = !asked && probes.is_none() && first == at.earliest;
        let matters = self.is_watched(&peer.lane.name);
        if at.latest < since + fails.earliest || quiet || !matters {
            return Ok(true);
        }
        Err(WHETHER_IT_FAILS.into())
    }

    /// What becomes of packets whose next hop's entry has failed.
    pub(super) fn forgotten_neighbour(&self, sock: usize) -> Result<Fate, String> {
        let s = &self.socks[sock];
        let to = self.socks[s.peer].host;
        let path = self.paths.path(s.host, to).unwrap_or_default();
        let mut asks = s.host;
        for hop in path.windows(2) {
            if self.paths.kind_of(hop[0]) != Some(NodeKind::Switch) {
                asks = hop[0];
            }
            if self.paths.is_deaf(hop[0], hop[1]) {
                break;
            }
        }
        Ok(Fate::Unresolved {
            by_own_host: asks == s.host,
        })
    }

    /// Whether the hosts and routers on its way were asked by those that they send
    /// to: what a connection's server sends comes to whom has asked. But a router
    /// asks by its link-local address in IPv6, and is asked in its turn.
    fn was_asked_first(&self, sock: usize) -> bool {
        let s = &self.socks[sock];
        let nodes = &self.case.network.nodes;
        let routed = nodes.iter().any(|n| n.kind == NodeKind::Router);
        let client = sock < s.peer;
        !(client || routed && self.paths.is_ipv6())
    }
}
