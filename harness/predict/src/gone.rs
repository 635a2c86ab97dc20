//! How data ends whose neighbour, its own host's or a router's, answers no more.

use std::time::Duration;

use super::entry::Entries;
use super::errno;
use super::facts::{Facts, InFlight};
use super::fall::Fall;
use super::neighbour;
use super::retransmit::{Attempt, Flight};
use super::rule::RuleId;
use super::sender::{Asks, First};
use super::span::{Span, Spans};
use super::unresolved::{self, Aging};
use super::words;

/// Why it is open whether a neighbour's entry fails in time.
pub(super) const WHETHER_IT_FAILS: &str = "whether the neighbour entry fails before TCP gives up depends on \
    its random reachable time (neigh_rand_reach_time())";

/// Somebody who else answers in the neighbour's place.
const WHETHER_SOMEBODY_ANSWERS: &str = "whether the new owner of the address is asked before TCP \
    gives up depends on the entry's random reachable time (neigh_rand_reach_time())";

/// A neighbour that answers no more, and the entry of who sends to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// What is known of it, before the data.
    pub entry: Entries,
    /// The sender itself has it; else a router.
    pub by_own_host: bool,
    /// Since when it answers no more, in the story.
    pub dies: Duration,
    /// Since when somebody else answers in its place.
    pub replaced: Option<Duration>,
}

/// Moments at which the loss of a carrier may be noticed that are tried.
const NOTICED: u32 = 32;
/// LW: linkwatch_event()'s turn, an ordinary thread's among real-time ones.
pub const NOTICED_WITHIN: Duration = Duration::from_millis(100);

impl Facts {
    /// Silence at first. Once the neighbour entry has failed, every try waits
    /// for an address in vain and draws a host unreachable; or somebody else
    /// answers, who knows no such connection.
    pub(super) fn gone(&self) -> Fall {
        let silent = self.flies(Attempt::Lost, false, errno::TIMED_OUT);
        let Some(end) = silent.dead.hull() else {
            return silent;
        };
        let latest = neighbour::confirmed_entry_fails(self.called).latest;
        let cannot_tell = |why: &str, fall: Fall| Fall {
            open: Some(why.into()),
            ..fall
        };
        let replaced = self.neighbour.as_ref().and_then(|n| n.replaced);
        if end.earliest > latest && replaced.is_none() {
            return self.gone_for_long(silent, end);
        }
        let Some(neighbour) = &self.neighbour else {
            return cannot_tell(WHETHER_IT_FAILS, silent);
        };
        let asks = self.asks(neighbour.by_own_host);
        let aging = Aging {
            entry: &neighbour.entry,
            sent: self.sent,
            alive: neighbour.dies.saturating_sub(self.sent),
            replaced: replaced.map(|at| at.saturating_sub(self.sent)),
        };
        let flight = self.flight(Attempt::Lost, false);
        let (wheel, phase) = (self.kernel.wheel(), self.kernel.phase);
        let ends = unresolved::aged(&flight, (asks, self.family), aging, wheel, phase);
        let hosts = &ends.unreachable;
        if ends.vague || (replaced.is_some() && !self.icmp.0.is_zero()) {
            let why = "whether the new owner of the address answers what waits for it";
            return cannot_tell(why, silent);
        }
        match (
            ends.timed_out.is_empty(),
            hosts.is_empty(),
            ends.reset.is_empty(),
        ) {
            // What waits for the address is not sent again, and TCP counts from the write.
            (false, true, true) => Fall {
                dead: match ends.waits {
                    (false, _) => silent.dead,
                    (true, false) => ends.timed_out,
                    (true, true) => ends.timed_out.and(silent.dead),
                },
                ..silent
            },
            (true, false, true) => self.host_unreachable(
                Fall {
                    dead: ends.unreachable,
                    ..silent
                },
                &flight,
                "the neighbour entry is stale and fails 8.2 s after the first packet that meets it \
                 so, and the host unreachable that a later try draws is kept",
            ),
            (true, true, false) => self.reset_at(silent, ends.reset),
            (_, _, true) => {
                let dead = ends.timed_out.and(ends.unreachable);
                cannot_tell(WHETHER_IT_FAILS, Fall { dead, ..silent })
            }
            (_, _, false) => {
                let dead = ends.timed_out.and(ends.unreachable).and(ends.reset);
                cannot_tell(WHETHER_SOMEBODY_ANSWERS, Fall { dead, ..silent })
            }
        }
    }

    fn reset_at(&self, silent: Fall, dead: Spans) -> Fall {
        Fall {
            dead,
            because: "the neighbour entry fails 8.2 s after the first packet that meets it stale; \
                      the next try asks everybody, and the new owner of the address answers it by \
                      an RST: it knows no such connection"
                .into(),
            errno: "ECONNRESET",
            rules: [vec![RuleId::Reset, RuleId::Neighbour], silent.rules.clone()].concat(),
            ..silent
        }
    }

    fn asks(&self, by_own_host: bool) -> Asks {
        if by_own_host {
            Asks::OwnHost {
                resends: self.kernel.resends_when_freed(),
            }
        } else {
            Asks::Router {
                there: self.icmp.0,
                back: self.icmp.1,
            }
        }
    }

    /// By then the entry has failed for sure. Every three seconds an error may
    /// take a back-off back, or a dropped packet start a wait anew; the time
    /// budget rules, and the last wait is no longer than the longest RTO: only
    /// these limits are told.
    fn gone_for_long(&self, silent: Fall, end: Span) -> Fall {
        let flight = self.flight(Attempt::Lost, false);
        let first = silent.attempts.get(usize::from(flight.tail_loss_probe));
        let first = first
            .and_then(Spans::hull)
            .map_or(Duration::ZERO, |s| s.earliest);
        let fails = neighbour::confirmed_entry_fails(self.called).latest;
        let how = format!(
            "the neighbour entry fails within {} meanwhile, and from then on the next hop's host \
             unreachable is kept",
            words::time(fails)
        );
        let dead = Spans::one(Span::new(
            first.saturating_add(flight.budget()).min(end.earliest),
            end.latest.saturating_add(flight.rto_max),
        ));
        self.host_unreachable(Fall { dead, ..silent }, &flight, &how)
    }

    /// The same with the error that is kept, and how it comes.
    fn host_unreachable(&self, silent: Fall, flight: &Flight, how: &str) -> Fall {
        let words = words::flight(flight, errno::HOST_UNREACHABLE, self.kernel.hz);
        let rules = [RuleId::Neighbour, RuleId::SoftError];
        Fall {
            because: format!("{words}; {how}"),
            errno: errno::HOST_UNREACHABLE,
            rules: [silent.rules.as_slice(), &rules].concat(),
            ..silent
        }
    }

    /// Data that is on its way while its own host notices that it is cut off.
    pub(super) fn no_carrier(&self) -> Option<Fall> {
        let at_once = self.unresolved(true, InFlight::After);
        let each = (0..=NOTICED).map(|n| {
            let mut facts = self.clone();
            facts.changed = NOTICED_WITHIN * n / NOTICED;
            facts.unresolved(true, InFlight::Before)
        });
        let all = each.fold(at_once, Fall::or);
        // Only some of the moments are tried; and the last wait begins as much
        // sooner or later as the entry fails.
        let hull = all.dead.hull()?;
        let hull = Span::new(
            hull.earliest.saturating_sub(NOTICED_WITHIN),
            hull.latest.saturating_add(NOTICED_WITHIN),
        );
        Some(Fall {
            dead: Spans::one(hull),
            because: format!(
                "{}; the loss of the carrier is noticed within 0.1 s, which moves the end by as \
                 much",
                all.because
            ),
            ..all
        })
    }

    /// Like silence at first; after three seconds host unreachables arrive.
    pub(super) fn unresolved(&self, by_own_host: bool, in_flight: InFlight) -> Fall {
        // What left before the entry was gone did leave.
        let stuck = by_own_host && in_flight == InFlight::After;
        let timed_out = self.flies(Attempt::Lost, stuck, errno::TIMED_OUT);
        let flight = self.flight(Attempt::Lost, stuck);
        let how = "the next hop's address is asked for in vain, three requests a second apart, and \
                   each packet that waited for it draws a host unreachable";
        let fall = self.host_unreachable(timed_out, &flight, how);
        let cannot_tell = |why: &str| Fall {
            open: Some(why.into()),
            ..fall.clone()
        };
        let (wheel, phase) = (self.kernel.wheel(), self.kernel.phase);
        let first = match in_flight {
            InFlight::After => First::Waits,
            InFlight::Before => First::Gone(self.changed),
        };
        let asks = self.asks(by_own_host);
        let ends = unresolved::ends(&flight, (asks, self.family), first, wheel, phase);
        match (ends.timed_out.is_empty(), ends.unreachable.is_empty()) {
            (true, _) => Fall {
                dead: ends.unreachable,
                ..fall
            },
            (false, true) => Fall {
                dead: ends.timed_out,
                errno: errno::TIMED_OUT,
                because: format!("{}; it ends before one is kept", fall.because),
                ..fall
            },
            (false, false) => cannot_tell("whether the error is kept before TCP gives up"),
        }
    }
}
