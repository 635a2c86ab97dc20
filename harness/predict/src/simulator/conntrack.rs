//! Connection tracking of a router: what it knows and when that expires; and an address
//! that moved.

use std::time::Duration;

use super::Simulator;
use super::delays::Kind;
use super::state::Sock;
use crate::abort::facts::Fate;
use crate::span::Span;
use crate::sysctls::Sysctls;
use crate::timers::keepalive::ProbeFate;
use halfopen_scenario::case::{Case, EventAction, Family, Nat, OnForgotten};

/// Connection-tracking state of a router.
#[derive(Debug, Clone)]
pub(super) struct Conntrack<'a> {
    case: &'a Case,
    nat: &'a Nat,
    /// The entries are gone.
    pub forgotten: bool,
    /// When the last packet was forwarded; None: no connection yet.
    last: Option<Span>,
    /// Keepalive probes refresh the entry before it expires.
    pub refreshed: bool,
}

impl<'a> Conntrack<'a> {
    /// The state of the case's router, if it tracks connections.
    pub fn of(case: &'a Case) -> Option<Self> {
        let nat = case.network.nats.first()?;
        Some(Conntrack {
            case,
            nat,
            forgotten: false,
            last: None,
            refreshed: false,
        })
    }

    /// What the router does with a packet; None: it forwards it. `is_reply`: a packet from
    /// the inside has just been forwarded.
    pub fn fate(&self, router: &str, from: &str, kind: Kind, is_reply: bool) -> Option<Fate> {
        if router != self.nat.router {
            return None;
        }
        let inside = self.is_inside(from);
        let known = match kind {
            Kind::Syn => inside,
            Kind::SynAck => true,
            _ => !self.forgotten,
        };
        let resumes = self.nat.on_forgotten == OnForgotten::Resume;
        if known || (resumes && (inside || is_reply)) {
            return None;
        }
        // In IPv4 the packet is for the router's own address, whose TCP answers; but a SYN
        // is for the host behind it, and nobody answers an RST.
        let own_answer = resumes && self.case.family == Family::Ipv4 && kind != Kind::Syn;
        let answers = own_answer || self.nat.on_forgotten == OnForgotten::Reset;
        Some(if answers && kind != Kind::Rst {
            Fate::Reset
        } else {
            Fate::Lost
        })
    }

    /// Whether a packet for an unknown connection is for the router's own address: what is
    /// sent to a translated one.
    pub fn delivers_locally(&self, from: &str) -> bool {
        self.case.family == Family::Ipv4 && !self.is_inside(from)
    }

    pub fn is_inside(&self, host: &str) -> bool {
        self.nat.is_inside(&self.case.network, host)
    }

    /// When the entry expires, if no packet comes.
    pub fn expires_at(&self) -> Option<Duration> {
        let last = self.last.filter(|_| !self.forgotten && !self.refreshed)?;
        Some(last.latest + self.nat.idle)
    }

    /// Whether it expires at about this time.
    fn expires_near(&self, at: Span, tie: Duration) -> bool {
        let Some(last) = self.last.filter(|_| !self.refreshed) else {
            return false;
        };
        let ends = last.after(self.nat.idle);
        ends.earliest <= at.latest + tie && at.earliest <= ends.latest + tie
    }

    /// Whether this is the router that keeps the state.
    pub fn is_of(&self, router: &str) -> bool {
        self.nat.router == router
    }
}

impl Simulator<'_> {
    /// A packet of a connection was forwarded by the router, from this host.
    pub(super) fn conntrack_packet(&mut self, from: &str, at: Span) -> Result<(), String> {
        let tie = self.tie_window();
        if let Some(conntrack) = &mut self.paths.conntrack {
            if conntrack.expires_near(at, tie) {
                return Err(
                    "whether the router still remembers depends on an uncertain packet".into(),
                );
            }
            conntrack.last = Some(at);
            conntrack.refreshed = false;
            if conntrack.nat.on_forgotten == OnForgotten::Resume && conntrack.is_inside(from) {
                conntrack.forgotten = false;
            }
        }
        Ok(())
    }

    /// A connection is opened through the router.
    pub(super) fn conntrack_open(&mut self, at: Span) -> Result<(), String> {
        let Some(conntrack) = &mut self.paths.conntrack else {
            return Ok(());
        };
        if self.socks.iter().any(|s| s.exists) {
            return Err("several connections through a router that keeps state".into());
        }
        conntrack.forgotten = false;
        conntrack.last = Some(at);
        Ok(())
    }

    /// Flushes all entries now.
    pub(super) fn conntrack_flush(&mut self) -> Result<(), String> {
        if let Some(conntrack) = &mut self.paths.conntrack {
            conntrack.forgotten = true;
            conntrack.refreshed = false;
        }
        self.network_changed(Span::at(self.now))
    }

    /// A node was rebooted: a router has lost its entries.
    pub(super) fn router_rebooted(&mut self, host: &str, event: &str) -> Result<(), String> {
        let kept = self.case.events.iter().any(|e| {
            let keeps = matches!(
                e.action,
                EventAction::Reboot {
                    keeps_state: true,
                    ..
                }
            );
            e.name == event && keeps
        });
        let here = self.paths.conntrack.as_ref().is_some_and(|m| m.is_of(host));
        if here && !kept {
            self.conntrack_flush()?;
        }
        Ok(())
    }

    /// The path changes: an entry that keepalive refreshed may expire meanwhile.
    pub(super) fn check_path_change(&self) -> Result<(), String> {
        if self.paths.conntrack.as_ref().is_some_and(|m| m.refreshed) {
            return Err("the path changes while probes keep a router's memory fresh".into());
        }
        Ok(())
    }

    /// When the entry expires, if no packet comes.
    pub(super) fn conntrack_due(&self) -> Option<Duration> {
        let ends = self
            .paths
            .conntrack
            .as_ref()
            .and_then(Conntrack::expires_at)?;
        self.socks.iter().any(|s| s.exists).then_some(ends)
    }

    /// The entry expires, unless probes refreshed it.
    pub(super) fn conntrack_expires(&mut self) -> Result<(), String> {
        let Some(conntrack) = &self.paths.conntrack else {
            return Ok(());
        };
        let remembers = conntrack.nat.idle;
        let mut refreshed = false;
        for s in self.socks.iter().filter(|s| s.exists) {
            if s.outgoing.is_some() {
                return Err("data is under way when the router's memory runs out".into());
            }
            refreshed |= self.probes_refresh(s, remembers)?;
        }
        if refreshed {
            if let Some(conntrack) = &mut self.paths.conntrack {
                conntrack.refreshed = true;
            }
            return Ok(());
        }
        self.conntrack_flush()
    }

    /// Whether a socket's probes come before the entry expires.
    fn probes_refresh(&self, sock: &Sock<'_>, remembers: Duration) -> Result<bool, String> {
        let sysctls = Sysctls::of(self.case, sock.host, self.kernel);
        let settings = sysctls.keepalive(&sock.lane.detector);
        let Some(settings) = settings.filter(|_| sock.has_process) else {
            return Ok(false);
        };
        // After an answered probe the next comes at the longer of the two.
        let gap = settings.idle.max(settings.interval);
        if gap >= remembers {
            return Ok(false);
        }
        let wheel = self.kernel.wheel();
        let ticks = wheel.ticks(gap);
        if wheel.span(ticks + wheel.granule(ticks)) >= remembers {
            return Err(
                "whether a probe comes before the router forgets depends on where the timer \
                 wheel stands"
                    .into(),
            );
        }
        let answered = |fate: &(Span, ProbeFate)| fate.1 == ProbeFate::Answered;
        if !sock.probes.last().is_none_or(answered) {
            return Err("probes that nobody answers may keep a router's memory fresh".into());
        }
        Ok(true)
    }

    /// An address moves: the cases that the rules do not cover.
    pub(super) fn check_move(&self, from: &str, announced: bool) -> Result<(), String> {
        let sysctls = self.case.sysctls.values().flat_map(|of| of.keys());
        if !announced && sysctls.into_iter().any(|key| key.contains(".neigh.")) {
            return Err("how fast neighbour entries age was changed by sysctls".into());
        }
        for s in self.socks.iter().filter(|s| s.exists && s.has_process) {
            let sysctls = Sysctls::of(self.case, s.host, self.kernel);
            if sysctls.keepalive(&s.lane.detector).is_some() && s.host == from {
                return Err("probes from an address that the host has no longer".into());
            }
            if !announced && s.heartbeat.is_some() {
                return Err("when the new owner of an address first answers a beat".into());
            }
        }
        Ok(())
    }

    /// Why nobody noticed, when connection tracking is the reason.
    pub(super) fn conntrack_reason(&self) -> Option<String> {
        let conntrack = self.paths.conntrack.as_ref()?;
        if conntrack.refreshed {
            return Some("the probes come before the router forgets, and keep it from it".into());
        }
        conntrack
            .forgotten
            .then(|| "the router has forgotten the connection, and nothing is sent by it".into())
    }
}
