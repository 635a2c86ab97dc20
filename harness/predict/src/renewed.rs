//! Probes to an address that somebody else has by now: where they go depends on
//! the age of the neighbour entry that they use (`entry`). The first one that
//! meets it failed asks everybody, and who answers knows no such connection.

use std::time::Duration;

use super::entry::{self, Ages, Entries, Fails};
use super::neighbour;
use super::wheel::{Jiffies, Wheel};

/// The entry of who sends to an address that has a new owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Renewed {
    /// What is known of it.
    pub entry: Entries,
    /// The sender itself has it; else a router.
    pub by_own_host: bool,
    /// When the keepalive timer was armed, in the story.
    pub armed: Duration,
    /// How long after that the new owner answers.
    pub answers: Duration,
}

/// One way in which it may age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    ages: Ages,
    /// TCP confirms it by its next packet.
    pending: bool,
    by_own_host: bool,
    answers: Jiffies,
}

/// An entry that probes use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passes {
    wheel: Wheel,
    way: Way,
    used: Option<Jiffies>,
    confirmed: Option<Jiffies>,
    /// A probe waits for an address when the new owner comes.
    pub vague: bool,
}

impl Renewed {
    /// How it may age, of a connection whose timer was armed at `began`.
    pub(super) fn ways(&self, began: Jiffies, wheel: Wheel) -> Vec<Way> {
        let (entry, pending) = self.entry.unconfirmed();
        let answers = began + wheel.ticks(self.answers);
        let ages = entry.age(began, self.armed, wheel).into_iter();
        ages.map(|ages| Way {
            ages,
            pending,
            by_own_host: self.by_own_host,
            answers,
        })
        .collect()
    }
}

impl Way {
    pub(super) fn begin(self, wheel: Wheel) -> Passes {
        Passes {
            wheel,
            way: self,
            used: None,
            confirmed: None,
            vague: false,
        }
    }

    /// What else may be, when it went like that; and whether it cannot have.
    pub(super) fn other(self, went: Passes) -> (Option<Way>, bool) {
        if let Some(at) = went.confirmed {
            let ages = entry::goes_stale(went.wheel, (at, at));
            let pending = false;
            return (
                Some(Way {
                    ages,
                    pending,
                    ..self
                }),
                true,
            );
        }
        let other = match (self.ages, went.used) {
            (Ages::Stale(_, most), Some(used)) if used < most => Some(Way {
                ages: Ages::Stale(used + 1, most),
                ..self
            }),
            _ => None,
        };
        (other, false)
    }
}

impl Passes {
    /// A probe leaves, by a timer that was armed then and has this granule.
    /// Whether the new owner gets it.
    pub(super) fn leaves(&mut self, now: Jiffies, armed: (Jiffies, u64)) -> bool {
        let first = std::mem::take(&mut self.way.pending);
        match self.way.ages {
            Ages::Stale(since, _) if now >= since => {
                self.used = Some(now);
                self.way.ages = Ages::Fails(entry::fails(self.wheel, now));
            }
            Ages::Stale(..) => {
                if first {
                    self.confirmed = Some(now);
                }
            }
            Ages::Fails(end) if now < end.at => {}
            // A packet comes to a router when the tick's timers have run.
            Ages::Fails(end) if self.way.by_own_host && !end.is_over(now, armed, self.wheel) => {}
            Ages::Fails(_) if now >= self.way.answers => return true,
            Ages::Fails(_) => {
                let at = neighbour::fails(self.wheel, now);
                let asked = neighbour::last_asked(self.wheel, now);
                self.vague |= at >= self.way.answers;
                self.way.ages = Ages::Fails(Fails { asked, at });
            }
        }
        false
    }
}
