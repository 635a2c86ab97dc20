//! Aborts of data whose next hop (a neighbour of its own host or of a router) stops
//! answering.
//!
//! Computes when the neighbour entry fails (`neighbour::entry`) relative to TCP's own time
//! limits; `facts` calls it.

use std::time::Duration;

use crate::abort::Abort;
use crate::abort::facts::{Facts, InFlight};
use crate::abort::neighbour_unresolved::{self, DyingNeighbour};
use crate::abort::sender::{First, Resolver};
use crate::errno;
use crate::neighbour;
use crate::neighbour::entry::NeighbourEntry;
use crate::retransmission::{Attempt, Flight};
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::text;

/// The entry may not fail in time.
pub(crate) const ENTRY_MAY_NOT_FAIL: &str = "whether the neighbour entry fails before TCP gives up depends on \
    its random reachable time (neigh_rand_reach_time())";

/// The same, when another host answers at the neighbour's address.
const NEW_OWNER_MAY_NOT_BE_ASKED: &str = "whether the new owner of the address is asked before TCP \
    gives up depends on the entry's random reachable time (neigh_rand_reach_time())";

/// A neighbour that stopped answering, and the entry for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// What is known of the entry before the data.
    pub entry: NeighbourEntry,
    /// The entry is in the sender's host; else in a router.
    pub by_own_host: bool,
    /// When it stopped answering, in simulated time.
    pub dead_since: Duration,
    /// Since when another host answers at its address.
    pub replaced: Option<Duration>,
}

/// Number of moments tried at which the loss of a carrier may be noticed.
const CARRIER_LOSS_STEPS: u32 = 32;
/// When linkwatch_event() runs at the latest: it is an ordinary thread among real-time
/// ones.
pub const CARRIER_LOSS_DELAY: Duration = Duration::from_millis(100);

impl Facts {
    /// Packets are lost silently at first. Once the neighbour entry has failed
    /// (NUD_FAILED), every attempt waits for an address in vain and draws a host
    /// unreachable; or another host answers at the address, which knows no such connection.
    pub(crate) fn neighbour_dead(&self) -> Abort {
        let lost = self.unacknowledged(Attempt::Lost, false, errno::TIMED_OUT);
        let Some(end) = lost.abort_at.hull() else {
            return lost;
        };
        let latest = neighbour::confirmed_entry_fails(self.is_server).latest;
        let undecided_because = |why: &str, abort: Abort| Abort {
            undecided: Some(why.into()),
            ..abort
        };
        let replaced = self.neighbour.as_ref().and_then(|n| n.replaced);
        if end.earliest > latest && replaced.is_none() {
            return self.abort_after_entry_failed(lost, end);
        }
        let Some(neighbour) = &self.neighbour else {
            return undecided_because(ENTRY_MAY_NOT_FAIL, lost);
        };
        let resolver = self.resolver(neighbour.by_own_host);
        let dying = DyingNeighbour {
            entry: &neighbour.entry,
            sent: self.sent,
            answers_for: neighbour.dead_since.saturating_sub(self.sent),
            replaced: replaced.map(|at| at.saturating_sub(self.sent)),
        };
        let flight = self.flight(Attempt::Lost, false);
        let (wheel, phase) = (self.kernel.wheel(), self.kernel.phase);
        let ends =
            neighbour_unresolved::with_entry(&flight, (resolver, self.family), dying, wheel, phase);
        let hosts = &ends.unreachable;
        if ends.undecided || (replaced.is_some() && !self.icmp.0.is_zero()) {
            let why = "whether the new owner of the address answers what waits for it";
            return undecided_because(why, lost);
        }
        match (
            ends.timed_out.is_empty(),
            hosts.is_empty(),
            ends.reset.is_empty(),
        ) {
            // A packet that waits for the address is not sent again, and TCP counts from
            // the write.
            (false, true, true) => Abort {
                abort_at: match ends.queued {
                    (false, _) => lost.abort_at,
                    (true, false) => ends.timed_out,
                    (true, true) => ends.timed_out.and(lost.abort_at),
                },
                ..lost
            },
            (true, false, true) => self.host_unreachable(
                Abort {
                    abort_at: ends.unreachable,
                    ..lost
                },
                &flight,
                "the neighbour entry is stale and fails 8.2 s after the first packet that meets it \
                 so, and the host unreachable that a later try draws is kept",
            ),
            (true, true, false) => self.reset_by_new_owner(lost, ends.reset),
            (_, _, true) => {
                let abort_at = ends.timed_out.and(ends.unreachable);
                undecided_because(ENTRY_MAY_NOT_FAIL, Abort { abort_at, ..lost })
            }
            (_, _, false) => {
                let abort_at = ends.timed_out.and(ends.unreachable).and(ends.reset);
                undecided_because(NEW_OWNER_MAY_NOT_BE_ASKED, Abort { abort_at, ..lost })
            }
        }
    }

    fn reset_by_new_owner(&self, lost: Abort, abort_at: Spans) -> Abort {
        Abort {
            abort_at,
            because: "the neighbour entry fails 8.2 s after the first packet that meets it stale; \
                      the next try asks everybody, and the new owner of the address answers it by \
                      an RST: it knows no such connection"
                .into(),
            errno: "ECONNRESET",
            rules: [vec![RuleId::Reset, RuleId::Neighbour], lost.rules.clone()].concat(),
            ..lost
        }
    }

    fn resolver(&self, by_own_host: bool) -> Resolver {
        if by_own_host {
            Resolver::OwnHost {
                resends: self.kernel.resends_when_freed(),
            }
        } else {
            Resolver::Router {
                there: self.icmp.0,
                back: self.icmp.1,
            }
        }
    }

    /// The entry has certainly failed by then. Every three seconds an error may revert one
    /// back-off, or a dropped packet restart a wait. Only these limits are sure: the time
    /// budget applies, and the last wait is no longer than the longest RTO.
    fn abort_after_entry_failed(&self, lost: Abort, end: Span) -> Abort {
        let flight = self.flight(Attempt::Lost, false);
        let first = lost.attempts.get(usize::from(flight.tail_loss_probe));
        let first = first
            .and_then(Spans::hull)
            .map_or(Duration::ZERO, |s| s.earliest);
        let fails = neighbour::confirmed_entry_fails(self.is_server).latest;
        let how = format!(
            "the neighbour entry fails within {} meanwhile, and from then on the next hop's host \
             unreachable is kept",
            text::time(fails)
        );
        let abort_at = Spans::one(Span::new(
            first.saturating_add(flight.budget()).min(end.earliest),
            end.latest.saturating_add(flight.rto_max),
        ));
        self.host_unreachable(Abort { abort_at, ..lost }, &flight, &how)
    }

    /// The same abort with the error that is kept in sk_err_soft, and how it arises.
    fn host_unreachable(&self, lost: Abort, flight: &Flight, how: &str) -> Abort {
        let text = text::flight(flight, errno::HOST_UNREACHABLE, self.kernel.hz);
        let rules = [RuleId::Neighbour, RuleId::SoftError];
        Abort {
            because: format!("{text}; {how}"),
            errno: errno::HOST_UNREACHABLE,
            rules: [lost.rules.as_slice(), &rules].concat(),
            ..lost
        }
    }

    /// Data in flight while its own host notices the loss of its carrier.
    pub(crate) fn no_carrier(&self) -> Option<Abort> {
        let at_once = self.neighbour_unresolved(true, InFlight::After);
        let each = (0..=CARRIER_LOSS_STEPS).map(|n| {
            let mut facts = self.clone();
            facts.changed = CARRIER_LOSS_DELAY * n / CARRIER_LOSS_STEPS;
            facts.neighbour_unresolved(true, InFlight::Before)
        });
        let all = each.fold(at_once, Abort::or);
        // Only some of the moments are tried; and the last wait begins as much earlier or
        // later as the entry fails.
        let hull = all.abort_at.hull()?;
        let hull = Span::new(
            hull.earliest.saturating_sub(CARRIER_LOSS_DELAY),
            hull.latest.saturating_add(CARRIER_LOSS_DELAY),
        );
        Some(Abort {
            abort_at: Spans::one(hull),
            because: format!(
                "{}; the loss of the carrier is noticed within 0.1 s, which moves the end by as \
                 much",
                all.because
            ),
            ..all
        })
    }

    /// Like silent loss at first; after three seconds host unreachables arrive.
    pub(crate) fn neighbour_unresolved(&self, by_own_host: bool, in_flight: InFlight) -> Abort {
        // Packets that left before the entry was flushed did leave the host.
        let stuck = by_own_host && in_flight == InFlight::After;
        let timed_out = self.unacknowledged(Attempt::Lost, stuck, errno::TIMED_OUT);
        let flight = self.flight(Attempt::Lost, stuck);
        let how = "the next hop's address is asked for in vain, three requests a second apart, and \
                   each packet that waited for it draws a host unreachable";
        let abort = self.host_unreachable(timed_out, &flight, how);
        let undecided_because = |why: &str| Abort {
            undecided: Some(why.into()),
            ..abort.clone()
        };
        let (wheel, phase) = (self.kernel.wheel(), self.kernel.phase);
        let first = match in_flight {
            InFlight::After => First::Queued,
            InFlight::Before => First::Sent(self.changed),
        };
        let resolver = self.resolver(by_own_host);
        let ends =
            neighbour_unresolved::ends(&flight, (resolver, self.family), first, wheel, phase);
        match (ends.timed_out.is_empty(), ends.unreachable.is_empty()) {
            (true, _) => Abort {
                abort_at: ends.unreachable,
                ..abort
            },
            (false, true) => Abort {
                abort_at: ends.timed_out,
                errno: errno::TIMED_OUT,
                because: format!("{}; it ends before one is kept", abort.because),
                ..abort
            },
            (false, false) => undecided_because("whether the error is kept before TCP gives up"),
        }
    }
}
