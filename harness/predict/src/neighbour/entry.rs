//! The age of a neighbour entry: which NUD states it may be in, and when it fails.
//!
//! net/core/neighbour.c: an entry is NUD_REACHABLE until nothing has confirmed it for a
//! random time of 15 to 45 s (neigh_rand_reach_time()). Then it is NUD_STALE, and the first
//! packet starts NUD_DELAY of 5 s (__neigh_event_send()), after which three unicast
//! requests are sent a second apart (NUD_PROBE). If nobody answers, it is NUD_FAILED 8.2 s
//! after that packet. Until then packets leave for the old address, and nothing that
//! happens to them is reported; the first packet after it is resolved by broadcast or
//! multicast.
//!
//! An entry is confirmed by the answer to a request, and by TCP with the first packet it
//! sends after an acknowledgment, the handshake's included (sk_dst_confirm(),
//! sock_confirm_neigh()). That packet is marked, and the mark survives a veth pair
//! (skb_scrub_packet()): so a router that is a namespace of the same kernel also takes it
//! as a confirmation, which no router behind a real cable does.

use std::time::Duration;

use crate::neighbour::{self, DELAY_PROBE_TIME, REACHABLE_TIME, RETRANS_TIME, SOLICITS};
use crate::span::Span;
use crate::wheel::{Arms, Jiffies, Wheel};

/// More possible states than this are not followed.
const MAX_STATES: usize = 8;
/// An entry whose delay began within this many ticks is tried in each.
const MAX_TICKS: u64 = 64;

/// A NUD state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nud {
    /// NUD_REACHABLE, confirmed last within this time.
    Reachable(Span),
    /// NUD_DELAY: used when it was stale, and possibly confirmed since.
    Delay {
        since: Span,
        confirmed: Option<Span>,
    },
}

/// All states the entry may be in, in simulated time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourEntry {
    states: Vec<Nud>,
    /// TCP confirms it by its next packet.
    pending: bool,
    /// The neighbour does not answer.
    not_answering: bool,
}

/// When the entry of a neighbour that does not answer becomes stale, or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NudTimers {
    /// The first packet within or after this time starts the delay: the earliest and the
    /// latest time of becoming stale.
    Stale(Jiffies, Jiffies),
    /// It fails then.
    Fails(FailureTime),
}

/// The failure of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureTime {
    /// When the last request is sent.
    pub asked: Jiffies,
    /// When it fails.
    pub at: Jiffies,
}

impl FailureTime {
    /// Whether it has failed for what a timer of the same host sends at `now`, armed at
    /// `armed` with this granule. Of two timers due in the same tick those in wider buckets
    /// run first, and of one bucket the one armed last (__run_timers(), hlist_add_head()).
    pub fn has_failed(self, now: Jiffies, (armed, granule): (Jiffies, u64), wheel: Wheel) -> bool {
        if now != self.at {
            return now > self.at;
        }
        let neighbours = wheel.granule(self.at - self.asked);
        granule < neighbours || (granule == neighbours && armed < self.asked)
    }
}

/// When the delay ends and the first request is sent, of a stale entry used at `used`.
pub fn delay_ends(wheel: Wheel, used: Jiffies) -> Jiffies {
    wheel.fires(used, wheel.ticks(DELAY_PROBE_TIME), Arms::Anyone)
}

/// The failure of an entry that was used while stale.
pub fn failure(wheel: Wheel, used: Jiffies) -> FailureTime {
    let retrans = wheel.ticks(RETRANS_TIME);
    let next = |at| wheel.fires(at, retrans, Arms::Timer);
    let first = delay_ends(wheel, used);
    let asked = (1..SOLICITS).fold(first, |at, _| next(at));
    FailureTime {
        asked,
        at: next(asked),
    }
}

/// Maximum lateness of a timer of this length.
fn max_lateness(wheel: Wheel, after: Duration) -> Duration {
    wheel.span(wheel.granule(wheel.ticks(after)))
}

/// When an entry becomes stale that was confirmed last between these moments.
pub fn stale_after(wheel: Wheel, (first, last): (Jiffies, Jiffies)) -> NudTimers {
    let most = wheel.ticks(REACHABLE_TIME.1);
    NudTimers::Stale(
        first + wheel.ticks(REACHABLE_TIME.0),
        last + most + wheel.granule(most),
    )
}

impl NeighbourEntry {
    /// The entry of a node that sent a request and was answered.
    pub fn resolved(at: Span) -> Self {
        NeighbourEntry {
            states: vec![Nud::Reachable(at)],
            pending: false,
            not_answering: false,
        }
    }

    /// The entry of a node that received a request, learned the sender's address from it
    /// (NUD_STALE) and answered a packet.
    pub fn learned(at: Span) -> Self {
        let confirmed = None;
        let since = at;
        NeighbourEntry {
            states: vec![Nud::Delay { since, confirmed }],
            ..NeighbourEntry::resolved(at)
        }
    }

    /// TCP received an acknowledgment: its next packet confirms the entry.
    pub fn confirm_by_next(&mut self) {
        self.pending = true;
    }

    /// The entry without the pending confirmation, and whether there is one.
    pub fn unconfirmed(&self) -> (Self, bool) {
        let mut entry = self.clone();
        let pending = std::mem::take(&mut entry.pending);
        (entry, pending)
    }

    /// A packet leaves. Returns whether the states can still be followed.
    pub fn used(&mut self, at: Span, wheel: Wheel) -> bool {
        let confirms = std::mem::take(&mut self.pending).then_some(at);
        self.end_delays(at, wheel);
        let mut all = Vec::new();
        for entry in self.states.drain(..) {
            let Nud::Reachable(since) = entry else {
                all.push(entry.confirmed(confirms));
                continue;
            };
            let latest = since.latest + REACHABLE_TIME.1 + max_lateness(wheel, REACHABLE_TIME.1);
            if at.earliest <= latest {
                all.push(entry.confirmed(confirms));
            }
            if at.latest >= since.earliest + REACHABLE_TIME.0 {
                // The packet that begins the delay is too old to confirm anything when the
                // delay ends.
                all.push(Nud::Delay {
                    since: at,
                    confirmed: None,
                });
            }
        }
        all.dedup();
        self.states = all;
        self.states.len() <= MAX_STATES
    }

    /// Ends the delays that are over by then, while the neighbour answers.
    fn end_delays(&mut self, at: Span, wheel: Wheel) {
        if self.not_answering {
            return;
        }
        let mut all = Vec::new();
        for entry in self.states.drain(..) {
            let Nud::Delay { since, confirmed } = entry else {
                all.push(entry);
                continue;
            };
            let late = max_lateness(wheel, DELAY_PROBE_TIME);
            let end = Span::new(
                since.earliest + DELAY_PROBE_TIME,
                since.latest + DELAY_PROBE_TIME + late,
            );
            if end.latest >= at.earliest {
                all.push(entry);
            }
            if end.earliest <= at.latest {
                // A request is sent and answered at once; or none is needed.
                all.push(Nud::Reachable(match confirmed {
                    Some(at) if at.earliest > since.latest + late => at,
                    Some(at) if at.latest > since.earliest => Span::new(at.earliest, end.latest),
                    _ => end,
                }));
            }
        }
        all.dedup();
        self.states = all;
    }

    /// Packets may have used the entry within this time.
    pub fn may_have_been_used(&mut self, at: Span) {
        self.states.push(Nud::Delay {
            since: at,
            confirmed: None,
        });
        if self.pending {
            self.states.push(Nud::Reachable(at));
        }
    }

    /// The neighbour stops answering, or answers again.
    pub fn set_answering(&mut self, yes: bool, at: Span, wheel: Wheel) {
        if yes && self.not_answering {
            // It may have been in NUD_PROBE meanwhile, or have failed.
            self.not_answering = false;
            let since = Span::new(Duration::ZERO, at.latest);
            self.states.push(Nud::Delay {
                since,
                confirmed: None,
            });
        } else if !yes && !self.not_answering {
            self.end_delays(at, wheel);
            self.not_answering = true;
        }
    }

    /// The possible timers from a packet on that leaves at `began`, `sent` in simulated
    /// time.
    pub fn timers(&self, began: Jiffies, sent: Duration, wheel: Wheel) -> Vec<NudTimers> {
        let ticks = |span: Span| {
            let (ago, since) = (sent.saturating_sub(span.earliest), span.earliest);
            let first = began + wheel.whole_ticks(since.saturating_sub(sent)) - wheel.ticks(ago);
            let (ago, since) = (sent.saturating_sub(span.latest), span.latest);
            let last = began + wheel.ticks(since.saturating_sub(sent)) - wheel.whole_ticks(ago);
            (first, last)
        };
        let mut all = Vec::new();
        for entry in &self.states {
            match *entry {
                Nud::Reachable(since) => match stale_after(wheel, ticks(since)) {
                    NudTimers::Stale(least, most) if self.pending => {
                        if least <= began {
                            all.push(NudTimers::Stale(least, began));
                        }
                        if most > began {
                            all.push(stale_after(wheel, (began, began)));
                        }
                    }
                    timers => all.push(timers),
                },
                Nud::Delay { since, confirmed } => {
                    let confirmed = confirmed.map(|c| ticks(c).1);
                    let confirmed = if self.pending { Some(began) } else { confirmed };
                    let (first, last) = ticks(since);
                    let step = ((last - first) / MAX_TICKS).max(1);
                    for used in (first..=last).step_by(usize::try_from(step).unwrap_or(1)) {
                        let until = delay_ends(wheel, used);
                        let fresh = |c: &Jiffies| c + wheel.ticks(DELAY_PROBE_TIME) >= until;
                        all.push(match confirmed.filter(fresh) {
                            Some(c) => stale_after(wheel, (c, c)),
                            None => NudTimers::Fails(failure(wheel, used)),
                        });
                    }
                }
            }
        }
        all.dedup();
        all
    }

    /// Whether a packet that leaves then still reaches a neighbour that does not answer;
    /// None: random. Packets that were not simulated may have left since `tried`.
    pub fn reaches(&self, at: Span, tried: Option<Duration>, wheel: Wheel) -> Option<bool> {
        let (least, most) = neighbour::stale_entry_fails(wheel);
        let delay = DELAY_PROBE_TIME + max_lateness(wheel, DELAY_PROBE_TIME);
        let before = |used: Duration| at.latest < used + least;
        let reachable = |since: Span| {
            let passes =
                tried.is_none_or(|tried| before(tried.max(since.earliest + REACHABLE_TIME.0)));
            passes.then_some(true)
        };
        let each = self.states.iter().map(|entry| match *entry {
            Nud::Reachable(since) => reachable(since),
            Nud::Delay { since, .. } if before(since.earliest) => Some(true),
            // TCP may have confirmed it by one of those packets during the delay.
            Nud::Delay { since, .. }
                if self.pending && tried.is_some_and(|t| t <= since.latest + delay) =>
            {
                None
            }
            Nud::Delay { since, confirmed } => {
                // Confirmed within a tick of its use, the confirmation is as old as the
                // delay when that ends (neigh_timer_handler()), and a request is sent.
                let fresh = confirmed.filter(|c| c.latest > since.earliest + wheel.tick());
                match fresh {
                    Some(c)
                        if c.earliest > since.latest + max_lateness(wheel, DELAY_PROBE_TIME) =>
                    {
                        reachable(c)
                    }
                    Some(_) => None,
                    None => (at.earliest > since.latest + most).then_some(false),
                }
            }
        });
        let all: Vec<_> = each.collect::<Option<_>>()?;
        let (first, others) = all.split_first()?;
        others.iter().all(|other| other == first).then_some(*first)
    }

    /// Earliest time of failure, counted from a packet at `sent`, which confirms the entry
    /// if TCP has a confirmation pending.
    pub fn fails_after(&self, sent: Duration) -> Duration {
        let confirms = self.pending.then_some(Span::at(sent));
        let all = self
            .states
            .iter()
            .map(|entry| match entry.confirmed(confirms) {
                Nud::Reachable(since) => (since.earliest + REACHABLE_TIME.0).max(sent),
                // Confirmed by the end of the delay, it is reachable from then on.
                Nud::Delay {
                    confirmed: Some(at),
                    ..
                } => (at.earliest + REACHABLE_TIME.0).max(sent),
                Nud::Delay { since, .. } => since.earliest,
            });
        let used = all.min().unwrap_or(sent);
        (used + neighbour::STALE_FAILS_AFTER).saturating_sub(sent)
    }
}

impl Nud {
    fn confirmed(self, confirms: Option<Span>) -> Self {
        match (self, confirms) {
            (Nud::Reachable(_), Some(at)) => Nud::Reachable(at),
            (Nud::Delay { since, .. }, Some(at)) => Nud::Delay {
                since,
                confirmed: Some(at),
            },
            (entry, None) => entry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// What TCP confirms by the packet itself is reachable from then on.
    #[test]
    fn an_entry_fails_as_soon_as_its_delay_is_over_unless_it_is_confirmed() {
        let mut entry = NeighbourEntry::learned(Span::at(secs(1)));
        assert_eq!(entry.fails_after(secs(3)), secs(1 + 8 - 3));
        entry.confirm_by_next();
        assert_eq!(entry.fails_after(secs(3)), secs(15 + 8));
        let reachable = NeighbourEntry::resolved(Span::at(secs(1)));
        assert_eq!(reachable.fails_after(secs(3)), secs(1 + 15 + 8 - 3));
    }
    /// A server that receives nothing any more (it was asked, did not ask): its packets
    /// pass until its entry has failed, and not after; when an entry it resolved itself
    /// fails is random.
    #[test]
    fn packets_reach_a_deaf_neighbour_until_the_entry_fails() {
        let wheel = Wheel::new(250);
        let at = |s| Span::at(secs(s));
        let mut learned = NeighbourEntry::learned(at(1));
        learned.set_answering(false, at(2), wheel);
        let reaches = |s| learned.reaches(at(s), Some(secs(2)), wheel);
        assert_eq!([8, 9, 10].map(reaches), [Some(true), None, Some(false)]);
        let mut reachable = NeighbourEntry::resolved(at(1));
        reachable.set_answering(false, at(2), wheel);
        let reaches = |s, tried| reachable.reaches(at(s), tried, wheel);
        assert_eq!(
            reaches(100, None),
            Some(true),
            "nothing has begun its delay"
        );
        assert_eq!(reaches(23, Some(secs(2))), Some(true));
        assert_eq!(reaches(25, Some(secs(2))), None);
        assert!(reachable.used(at(100), wheel));
        assert_eq!(reachable.reaches(at(110), None, wheel), Some(false));
    }
}
