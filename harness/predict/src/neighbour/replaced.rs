//! Keepalive probes to an address that has a new owner: where they go depends on the age of
//! the neighbour entry (`entry`). The first probe after the entry failed is resolved by
//! broadcast, and the new owner, which knows no such connection, answers with RST.
//! `timers::keepalive` uses it.

use std::time::Duration;

use crate::neighbour;
use crate::neighbour::entry::{self, FailureTime, NeighbourEntry, NudTimers};
use crate::wheel::{Jiffies, Wheel};

/// The entry for an address that has a new owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Replaced {
    /// What is known of the entry.
    pub entry: NeighbourEntry,
    /// It is in the sender's host; else in a router.
    pub by_own_host: bool,
    /// When the keepalive timer was armed, in simulated time.
    pub armed: Duration,
    /// How long after that the new owner answers.
    pub answers: Duration,
}

/// One possible age of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryAge {
    nud: NudTimers,
    /// TCP confirms it by its next packet.
    pending: bool,
    by_own_host: bool,
    answers: Jiffies,
}

/// An entry while probes use it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbedEntry {
    wheel: Wheel,
    age: EntryAge,
    used: Option<Jiffies>,
    confirmed: Option<Jiffies>,
    /// A probe waits for the address when the new owner appears.
    pub undecided: bool,
}

impl Replaced {
    /// The possible ages, for a connection whose timer was armed at `began`.
    pub(crate) fn ages(&self, began: Jiffies, wheel: Wheel) -> Vec<EntryAge> {
        let (entry, pending) = self.entry.unconfirmed();
        let answers = began + wheel.ticks(self.answers);
        let timers = entry.timers(began, self.armed, wheel).into_iter();
        timers
            .map(|nud| EntryAge {
                nud,
                pending,
                by_own_host: self.by_own_host,
                answers,
            })
            .collect()
    }
}

impl EntryAge {
    pub(crate) fn start(self, wheel: Wheel) -> ProbedEntry {
        ProbedEntry {
            wheel,
            age: self,
            used: None,
            confirmed: None,
            undecided: false,
        }
    }

    /// The next possible age to try after this result; and whether this result must be
    /// discarded.
    pub(crate) fn alternative(self, result: ProbedEntry) -> (Option<EntryAge>, bool) {
        if let Some(at) = result.confirmed {
            let nud = entry::stale_after(result.wheel, (at, at));
            let pending = false;
            return (
                Some(EntryAge {
                    nud,
                    pending,
                    ..self
                }),
                true,
            );
        }
        let other = match (self.nud, result.used) {
            (NudTimers::Stale(_, most), Some(used)) if used < most => Some(EntryAge {
                nud: NudTimers::Stale(used + 1, most),
                ..self
            }),
            _ => None,
        };
        (other, false)
    }
}

impl ProbedEntry {
    /// A probe leaves, by a timer that was armed then with this granule. Returns whether
    /// the new owner receives it.
    pub(crate) fn send_probe(&mut self, now: Jiffies, armed: (Jiffies, u64)) -> bool {
        let first = std::mem::take(&mut self.age.pending);
        match self.age.nud {
            NudTimers::Stale(since, _) if now >= since => {
                self.used = Some(now);
                self.age.nud = NudTimers::Fails(entry::failure(self.wheel, now));
            }
            NudTimers::Stale(..) => {
                if first {
                    self.confirmed = Some(now);
                }
            }
            NudTimers::Fails(end) if now < end.at => {}
            // A packet reaches a router after the tick's timers have run.
            NudTimers::Fails(end)
                if self.age.by_own_host && !end.has_failed(now, armed, self.wheel) => {}
            NudTimers::Fails(_) if now >= self.age.answers => return true,
            NudTimers::Fails(_) => {
                let at = neighbour::fails(self.wheel, now);
                let asked = neighbour::last_asked(self.wheel, now);
                self.undecided |= at >= self.age.answers;
                self.age.nud = NudTimers::Fails(FailureTime { asked, at });
            }
        }
        false
    }
}
