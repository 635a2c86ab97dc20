//! Probes to an address that somebody else has by now: where they go depends on
//! the age of the neighbour entry that they use (`entry`). The first one that
//! meets it failed asks everybody, and who answers knows no such connection.

use std::time::Duration;

use crate::neighbour;
use crate::neighbour::entry::{self, FailureTime, NeighbourEntry, NudTimers};
use crate::wheel::{Jiffies, Wheel};

/// The entry of who sends to an address that has a new owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Replaced {
    /// What is known of it.
    pub entry: NeighbourEntry,
    /// The sender itself has it; else a router.
    pub by_own_host: bool,
    /// When the keepalive timer was armed, in the story.
    pub armed: Duration,
    /// How long after that the new owner answers.
    pub answers: Duration,
}

/// One way in which it may age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryAge {
    nud: NudTimers,
    /// TCP confirms it by its next packet.
    pending: bool,
    by_own_host: bool,
    answers: Jiffies,
}

/// An entry that probes use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbedEntry {
    wheel: Wheel,
    age: EntryAge,
    used: Option<Jiffies>,
    confirmed: Option<Jiffies>,
    /// A probe waits for an address when the new owner comes.
    pub undecided: bool,
}

impl Replaced {
    /// How it may age, of a connection whose timer was armed at `began`.
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

    /// What else may be, when it went like that; and whether it cannot have.
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
    /// A probe leaves, by a timer that was armed then and has this granule.
    /// Whether the new owner gets it.
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
            // A packet comes to a router when the tick's timers have run.
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
