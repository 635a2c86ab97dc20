//! A router that keeps state of connections: what it knows, and until when;
//! an address that moved.

use std::time::Duration;

use super::World;
use super::line::Kind;
use super::process::Sock;
use crate::facts::Fate;
use crate::keepalive::ProbeFate;
use crate::span::Span;
use crate::sysctls::Sysctls;
use halfopen_scenario::case::{Case, EventAction, Family, Nat, OnForgotten};

/// What a router knows of connections.
#[derive(Debug, Clone)]
pub(super) struct Memory<'a> {
    case: &'a Case,
    nat: &'a Nat,
    /// It knows none any more.
    pub forgotten: bool,
    /// When the last packet passed; None: no connection yet.
    last: Option<Span>,
    /// Keepalive's probes come more often than it forgets.
    pub kept_fresh: bool,
}

impl<'a> Memory<'a> {
    /// The memory of the case's router, if one keeps any.
    pub fn of(case: &'a Case) -> Option<Self> {
        let nat = case.network.nats.first()?;
        Some(Memory {
            case,
            nat,
            forgotten: false,
            last: None,
            kept_fresh: false,
        })
    }

    /// What the router does with a packet: None, it lets it through. `told`: a
    /// packet from the inside has just passed.
    pub fn fate(&self, router: &str, from: &str, kind: Kind, told: bool) -> Option<Fate> {
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
        if known || (resumes && (inside || told)) {
            return None;
        }
        // Over IPv4 it is for the router's own address, whose TCP answers; but
        // a SYN is for the host behind it, and nobody answers an RST.
        let own_answer = resumes && self.case.family == Family::Ipv4 && kind != Kind::Syn;
        let answers = own_answer || self.nat.on_forgotten == OnForgotten::Reset;
        Some(if answers && kind != Kind::Rst {
            Fate::Reset
        } else {
            Fate::Lost
        })
    }

    /// Whether a packet for a connection that it has forgotten is for the
    /// router's own address: what comes to a translated one.
    pub fn takes_itself(&self, from: &str) -> bool {
        self.case.family == Family::Ipv4 && !self.is_inside(from)
    }

    pub fn is_inside(&self, host: &str) -> bool {
        self.nat.is_inside(&self.case.network, host)
    }

    /// Until when it remembers, if no packet comes.
    pub fn ends(&self) -> Option<Duration> {
        let last = self.last.filter(|_| !self.forgotten && !self.kept_fresh)?;
        Some(last.latest + self.nat.idle)
    }

    /// Whether it runs out at about this time.
    fn forgets_about(&self, at: Span, race: Duration) -> bool {
        let Some(last) = self.last.filter(|_| !self.kept_fresh) else {
            return false;
        };
        let ends = last.after(self.nat.idle);
        ends.earliest <= at.latest + race && at.earliest <= ends.latest + race
    }

    /// Whether this router keeps it.
    pub fn is_of(&self, router: &str) -> bool {
        self.nat.router == router
    }
}

impl World<'_> {
    /// A packet of a connection passed the router, from this host.
    pub(super) fn router_hears(&mut self, from: &str, at: Span) -> Result<(), String> {
        let race = self.race();
        if let Some(memory) = &mut self.paths.memory {
            if memory.forgets_about(at, race) {
                return Err(
                    "whether the router still remembers depends on an uncertain packet".into(),
                );
            }
            memory.last = Some(at);
            memory.kept_fresh = false;
            if memory.nat.on_forgotten == OnForgotten::Resume && memory.is_inside(from) {
                memory.forgotten = false;
            }
        }
        Ok(())
    }

    /// A connection is opened through the router.
    pub(super) fn router_learns(&mut self, at: Span) -> Result<(), String> {
        let Some(memory) = &mut self.paths.memory else {
            return Ok(());
        };
        if self.socks.iter().any(|s| s.exists) {
            return Err("several connections through a router that keeps state".into());
        }
        memory.forgotten = false;
        memory.last = Some(at);
        Ok(())
    }

    /// The router forgets every connection, now.
    pub(super) fn router_forgets(&mut self) -> Result<(), String> {
        if let Some(memory) = &mut self.paths.memory {
            memory.forgotten = true;
            memory.kept_fresh = false;
        }
        self.network_changed(Span::at(self.now))
    }

    /// A node is back: if it is the router, without what it knew.
    pub(super) fn router_is_back(&mut self, host: &str, event: &str) -> Result<(), String> {
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
        let here = self.paths.memory.as_ref().is_some_and(|m| m.is_of(host));
        if here && !kept {
            self.router_forgets()?;
        }
        Ok(())
    }

    /// The path changes: what keepalive kept fresh may be forgotten meanwhile.
    pub(super) fn path_changes(&self) -> Result<(), String> {
        if self.paths.memory.as_ref().is_some_and(|m| m.kept_fresh) {
            return Err("the path changes while probes keep a router's memory fresh".into());
        }
        Ok(())
    }

    /// When it does, if no packet comes.
    pub(super) fn memory_due(&self) -> Option<Duration> {
        let ends = self.paths.memory.as_ref().and_then(Memory::ends)?;
        self.socks.iter().any(|s| s.exists).then_some(ends)
    }

    /// The router's memory runs out, unless something kept it fresh.
    pub(super) fn memory_ends(&mut self) -> Result<(), String> {
        let Some(memory) = &self.paths.memory else {
            return Ok(());
        };
        let remembers = memory.nat.idle;
        let mut fresh = false;
        for s in self.socks.iter().filter(|s| s.exists) {
            if s.outgoing.is_some() {
                return Err("data is under way when the router's memory runs out".into());
            }
            fresh |= self.probes_keep_fresh(s, remembers)?;
        }
        if fresh {
            if let Some(memory) = &mut self.paths.memory {
                memory.kept_fresh = true;
            }
            return Ok(());
        }
        self.router_forgets()
    }

    /// Whether a socket's probes come before the router forgets.
    fn probes_keep_fresh(&self, sock: &Sock<'_>, remembers: Duration) -> Result<bool, String> {
        let sysctls = Sysctls::of(self.case, sock.host, self.kernel);
        let settings = sysctls.keepalive(&sock.lane.detector);
        let Some(settings) = settings.filter(|_| sock.held) else {
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

    /// An address moves: what the rules cannot follow.
    pub(super) fn can_follow_move(&self, from: &str, announced: bool) -> Result<(), String> {
        let sysctls = self.case.sysctls.values().flat_map(|of| of.keys());
        if !announced && sysctls.into_iter().any(|key| key.contains(".neigh.")) {
            return Err("how fast neighbour entries age was changed by sysctls".into());
        }
        for s in self.socks.iter().filter(|s| s.exists && s.held) {
            let sysctls = Sysctls::of(self.case, s.host, self.kernel);
            if sysctls.keepalive(&s.lane.detector).is_some() && s.host == from {
                return Err("probes from an address that the host has no longer".into());
            }
            if !announced && s.heart.is_some() {
                return Err("when the new owner of an address first answers a beat".into());
            }
        }
        Ok(())
    }

    /// Why nobody noticed, where a router's memory is the reason.
    pub(super) fn memory_is_quiet(&self) -> Option<String> {
        let memory = self.paths.memory.as_ref()?;
        if memory.kept_fresh {
            return Some("the probes come before the router forgets, and keep it from it".into());
        }
        memory
            .forgotten
            .then(|| "the router has forgotten the connection, and nothing is sent by it".into())
    }
}
