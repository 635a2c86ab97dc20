//! TCP with data on its way to a next hop whose address nobody tells: one course, try
//! by try, in ticks. What it means is told in `unresolved`.

use std::collections::VecDeque;
use std::time::Duration;

use super::entry::{self, Ages, Fails};
use super::neighbour;
use super::retransmit::{Flight, THIN_LINEAR};
use super::wheel::{Arms, Jiffies, Wheel};

/// What became of the first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It waits for the address.
    Waits,
    /// It left before the address was forgotten, and is lost; so is what
    /// leaves until then, counted from the write.
    Gone(Duration),
}

/// Who asks in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// A router on the way, so long away.
    Router {
        /// Until a packet is there.
        there: Duration,
        /// Until its error is here.
        back: Duration,
    },
    /// The sender's own host: while a packet waits there, tries fail
    /// (skb_still_in_host_queue()) and nothing more is queued.
    OwnHost {
        /// [`super::kernel::KernelFacts::resends_when_freed`].
        resends: bool,
    },
}

impl Asks {
    fn by_own_host(self) -> bool {
        matches!(self, Asks::OwnHost { .. })
    }
}

/// Packets that wait together.
struct Waiting {
    packets: u32,
    /// When the address is asked for the last time.
    asked: Jiffies,
    /// When they are given up, where they wait.
    until: Jiffies,
}

/// Its state.
pub(super) struct Sender<'a> {
    flight: &'a Flight,
    asks: Asks,
    wheel: Wheel,
    base: u64,
    pub now: Jiffies,
    /// icsk_backoff.
    backoff: u32,
    /// The first retransmission.
    first: Option<Jiffies>,
    /// The last try's time stamp.
    sent: Jiffies,
    expires: Jiffies,
    /// When that was decided, and how wide its bucket is.
    armed: (Jiffies, u64),
    /// icsk_retransmits.
    tries: u32,
    /// The loss probe is still to come.
    probe: bool,
    /// Packets that wait for an address, by the rounds they are asked for in.
    rounds: VecDeque<Waiting>,
    /// How far away they do.
    pub there: u64,
    back: u64,
    /// What leaves before the entry fails is lost.
    pub ages: Ages,
    /// The entry was stale, and this is when it was used.
    pub used: Option<Jiffies>,
    /// From when on somebody else answers.
    pub answers: Option<Jiffies>,
    /// Somebody else has: by an RST.
    pub answered: bool,
    /// See [`Ends::vague`].
    pub vague: bool,
    /// See [`Ends::waits`].
    pub waited: bool,
    /// An error is in sk_err_soft.
    pub kept: bool,
    /// An error takes back one back-off.
    pub reverts: bool,
    /// A retransmission found the packet waiting (TSQ_THROTTLED, lost_out).
    throttled: bool,
}

impl<'a> Sender<'a> {
    pub fn new(
        flight: &'a Flight,
        asks: Asks,
        first: First,
        wheel: Wheel,
        (began, rto, probe): (Jiffies, u64, u64),
    ) -> Self {
        let stuck = asks.by_own_host() && first == First::Waits;
        let after = if flight.tail_loss_probe { probe } else { rto };
        let mut expires = wheel.fires(began, after, Arms::Anyone);
        let mut armed = (began, wheel.granule(after));
        if stuck && flight.tail_loss_probe {
            // The loss probe cannot leave: tcp_rearm_rto() arms what is left of
            // the RTO, one tick at least.
            let left = (began + rto).saturating_sub(expires).max(1);
            armed = (expires, wheel.granule(left));
            expires = wheel.fires(expires, left, Arms::Timer);
        }
        let (there, back) = match asks {
            Asks::Router { there, back } => (wheel.whole_ticks(there), wheel.whole_ticks(back)),
            Asks::OwnHost { .. } => (0, 0),
        };
        let mut sender = Sender {
            flight,
            asks,
            wheel,
            base: rto,
            now: began,
            backoff: 0,
            first: None,
            sent: began,
            expires,
            armed,
            tries: 0,
            probe: flight.tail_loss_probe && !stuck,
            rounds: VecDeque::new(),
            there,
            back,
            ages: {
                let at = match first {
                    First::Waits => began,
                    First::Gone(after) => began + wheel.ticks(after),
                };
                // Not by a timer: what leaves in the same tick waits.
                Ages::Fails(Fails { asked: at, at })
            },
            used: None,
            answers: None,
            answered: false,
            vague: false,
            waited: false,
            kept: false,
            reverts: true,
            throttled: false,
        };
        if first == First::Waits {
            sender.waits();
        }
        sender
    }

    /// A packet that leaves now waits for the address.
    fn waits(&mut self) {
        let comes = self.now + self.there;
        self.waited = true;
        if let Some(answers) = self.answers {
            self.answered = comes >= answers;
            self.vague |= !self.answered && neighbour::fails(self.wheel, comes) >= answers;
        }
        match self.rounds.back_mut() {
            Some(round) if comes <= round.until => round.packets += 1,
            _ => self.rounds.push_back(Waiting {
                packets: 1,
                asked: neighbour::last_asked(self.wheel, comes),
                until: neighbour::fails(self.wheel, comes),
            }),
        }
    }

    fn rto(&self) -> u64 {
        let most = self.wheel.ticks(self.flight.rto_max);
        (self.base << self.backoff.min(20)).min(most)
    }

    /// tcp_write_timeout().
    fn is_over(&self) -> bool {
        let budget = self.flight.budget();
        self.first
            .is_some_and(|first| self.wheel.span(self.now - first) >= budget && self.tries > 0)
    }

    /// A packet in the own host's queue cannot be sent again.
    fn stays(&self) -> bool {
        self.asks.by_own_host() && !self.rounds.is_empty()
    }

    fn send(&mut self) {
        if self.stays() {
            self.throttled = self.asks == Asks::OwnHost { resends: true };
            return;
        }
        self.throttled = false;
        self.sent = self.now;
        self.leaves();
    }

    fn arm(&mut self, rto: u64, arms: Arms) {
        let elapsed = self.first.map_or(0, |first| self.now - first);
        let limit = self.flight.user_timeout.map(|t| self.wheel.ticks(t));
        let rto = limit.map_or(rto, |limit| rto.min(limit.saturating_sub(elapsed).max(1)));
        self.starts(rto, arms);
    }

    /// sk_reset_timer().
    fn starts(&mut self, after: u64, arms: Arms) {
        self.armed = (self.now, self.wheel.granule(after));
        self.expires = self.wheel.fires(self.now, after, arms);
    }

    fn fails_before_it_expires(&self, round: &Waiting) -> bool {
        let end = Fails {
            asked: round.asked + self.back,
            at: round.until + self.back,
        };
        end.is_over(self.expires, self.armed, self.wheel)
    }

    /// A packet leaves, and waits only if the entry has failed.
    pub fn leaves(&mut self) {
        let comes = self.now + self.there;
        match self.ages {
            Ages::Stale(since, _) if comes >= since => {
                self.used = Some(comes);
                self.ages = Ages::Fails(entry::fails(self.wheel, comes));
            }
            Ages::Stale(..) => {}
            Ages::Fails(end) if comes < end.at => {}
            // Its own host's timers, both of this tick.
            Ages::Fails(end)
                if self.asks.by_own_host()
                    && end.asked < end.at
                    && self.expires == self.now
                    && !end.is_over(self.now, self.armed, self.wheel) => {}
            Ages::Fails(_) => self.waits(),
        }
    }

    /// tcp_retransmit_timer(). Whether the connection is over.
    fn retransmits(&mut self, arms: Arms) -> bool {
        if self.is_over() {
            return true;
        }
        // The stamp is the packet's own when it could not be sent again.
        let stamp = if self.stays() { self.sent } else { self.now };
        self.first.get_or_insert(stamp);
        self.tries += 1;
        self.send();
        if self.answered {
            return true;
        }
        if !(self.flight.thin_linear && self.tries <= THIN_LINEAR) {
            self.backoff += 1;
        }
        self.arm(self.rto(), arms);
        false
    }

    /// Until the connection is over: `now` says when, `kept` with what.
    pub fn goes_on(&mut self) {
        if self.answered {
            return;
        }
        loop {
            let round = self.rounds.front();
            if round.is_some_and(|round| self.fails_before_it_expires(round))
                && let Some(round) = self.rounds.pop_front()
            {
                self.now = round.until + self.back;
                // Errors are packets, which arrive when the tick's timers have run.
                if self.expires == self.now && self.expire() {
                    return;
                }
                for _ in 0..round.packets {
                    if self.error_comes() {
                        return;
                    }
                    self.kept = true;
                }
                // What was freed is the tasklet's, whose softirq is later still.
                if std::mem::take(&mut self.throttled) {
                    self.send();
                    self.starts(self.rto(), Arms::Timer);
                }
                continue;
            }
            self.now = self.expires;
            if self.expire() {
                return;
            }
        }
    }

    /// The timer's function. Whether the connection is over.
    fn expire(&mut self) -> bool {
        if !std::mem::take(&mut self.probe) {
            return self.retransmits(Arms::Timer);
        }
        // Of several segments it sends the last; only errors about the first
        // one count.
        if !self.flight.several {
            self.send();
        }
        if self.answered {
            return true;
        }
        self.arm(self.base, Arms::Timer);
        false
    }

    /// tcp_ld_RTO_revert(). Whether the connection is over.
    fn error_comes(&mut self) -> bool {
        if !self.reverts || self.tries == 0 || self.backoff == 0 {
            return false;
        }
        self.backoff -= 1;
        let rto = self.rto();
        let elapsed = self.now - self.sent;
        if elapsed >= rto {
            return self.retransmits(Arms::Anyone);
        }
        // inet_csk_reset_xmit_timer(): not clamped to the user timeout.
        self.starts(rto - elapsed, Arms::Anyone);
        false
    }
}
