//! One course of a TCP sender whose next hop's address is not resolved, attempt by attempt,
//! in ticks. `neighbour_unresolved` runs it for every phase and interprets the results.

use std::collections::VecDeque;
use std::time::Duration;

use crate::neighbour;
use crate::neighbour::entry::{self, FailureTime, NudTimers};
use crate::retransmission::{Flight, THIN_LINEAR};
use crate::wheel::{Arms, Jiffies, Wheel};

/// What happened to the first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It waits for the address.
    Queued,
    /// It left before the entry was flushed, and is lost; so is everything sent until this
    /// time, counted from the write.
    Sent(Duration),
}

/// The node that resolves the address in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// A router on the path, this far away.
    Router {
        /// Delay of a packet to it.
        there: Duration,
        /// Delay of its error.
        back: Duration,
    },
    /// The sender's own host: while a packet waits there, attempts fail
    /// (skb_still_in_host_queue()) and nothing more is queued.
    OwnHost {
        /// [`super::kernel::KernelFacts::resends_when_freed`].
        resends: bool,
    },
}

impl Resolver {
    fn by_own_host(self) -> bool {
        matches!(self, Resolver::OwnHost { .. })
    }
}

/// Packets that wait for the same resolution.
struct Resolution {
    packets: u32,
    /// When the last request is sent.
    asked: Jiffies,
    /// When the resolution fails, at the node where they wait.
    until: Jiffies,
}

/// The state of the sender.
pub(crate) struct Sender<'a> {
    flight: &'a Flight,
    resolver: Resolver,
    wheel: Wheel,
    base: u64,
    pub now: Jiffies,
    /// icsk_backoff.
    backoff: u32,
    /// The first retransmission.
    first: Option<Jiffies>,
    /// The time stamp of the last attempt.
    sent: Jiffies,
    expires: Jiffies,
    /// When the timer was armed, and the granule of its bucket.
    armed: (Jiffies, u64),
    /// icsk_retransmits.
    retransmits: u32,
    /// The loss probe has not been sent yet.
    probe: bool,
    /// Resolutions for which packets wait.
    resolutions: VecDeque<Resolution>,
    /// Delay to the node where they wait, in ticks.
    pub there: u64,
    back: u64,
    /// State of the neighbour entry: what leaves before it fails is lost.
    pub nud: NudTimers,
    /// When the stale entry was used.
    pub used: Option<Jiffies>,
    /// From when on another host answers.
    pub answers: Option<Jiffies>,
    /// Another host has answered, by an RST.
    pub reset: bool,
    /// See [`Ends::vague`].
    pub undecided: bool,
    /// See [`Ends::waits`].
    pub was_queued: bool,
    /// An error is in sk_err_soft.
    pub error_kept: bool,
    /// An error takes back one back-off.
    pub reverts: bool,
    /// A retransmission found the packet waiting (TSQ_THROTTLED, lost_out).
    throttled: bool,
}

impl<'a> Sender<'a> {
    pub fn new(
        flight: &'a Flight,
        resolver: Resolver,
        first: First,
        wheel: Wheel,
        (began, rto, probe): (Jiffies, u64, u64),
    ) -> Self {
        let in_host_queue = resolver.by_own_host() && first == First::Queued;
        let after = if flight.tail_loss_probe { probe } else { rto };
        let mut expires = wheel.fires(began, after, Arms::Anyone);
        let mut armed = (began, wheel.granule(after));
        if in_host_queue && flight.tail_loss_probe {
            // The loss probe cannot leave: tcp_rearm_rto() arms the rest of the RTO, one
            // tick at least.
            let left = (began + rto).saturating_sub(expires).max(1);
            armed = (expires, wheel.granule(left));
            expires = wheel.fires(expires, left, Arms::Timer);
        }
        let (there, back) = match resolver {
            Resolver::Router { there, back } => (wheel.whole_ticks(there), wheel.whole_ticks(back)),
            Resolver::OwnHost { .. } => (0, 0),
        };
        let mut sender = Sender {
            flight,
            resolver,
            wheel,
            base: rto,
            now: began,
            backoff: 0,
            first: None,
            sent: began,
            expires,
            armed,
            retransmits: 0,
            probe: flight.tail_loss_probe && !in_host_queue,
            resolutions: VecDeque::new(),
            there,
            back,
            nud: {
                let at = match first {
                    First::Queued => began,
                    First::Sent(after) => began + wheel.ticks(after),
                };
                // Flushed, not by a timer: what leaves in the same tick waits.
                NudTimers::Fails(FailureTime { asked: at, at })
            },
            used: None,
            answers: None,
            reset: false,
            undecided: false,
            was_queued: false,
            error_kept: false,
            reverts: true,
            throttled: false,
        };
        if first == First::Queued {
            sender.queue();
        }
        sender
    }

    /// A packet that leaves now waits for the address.
    fn queue(&mut self) {
        let arrival = self.now + self.there;
        self.was_queued = true;
        if let Some(answers) = self.answers {
            self.reset = arrival >= answers;
            self.undecided |= !self.reset && neighbour::fails(self.wheel, arrival) >= answers;
        }
        match self.resolutions.back_mut() {
            Some(resolution) if arrival <= resolution.until => resolution.packets += 1,
            _ => self.resolutions.push_back(Resolution {
                packets: 1,
                asked: neighbour::last_asked(self.wheel, arrival),
                until: neighbour::fails(self.wheel, arrival),
            }),
        }
    }

    fn rto(&self) -> u64 {
        let most = self.wheel.ticks(self.flight.rto_max);
        (self.base << self.backoff.min(20)).min(most)
    }

    /// tcp_write_timeout().
    fn budget_is_spent(&self) -> bool {
        let budget = self.flight.budget();
        self.first.is_some_and(|first| {
            self.wheel.span(self.now - first) >= budget && self.retransmits > 0
        })
    }

    /// A packet in the own host's queue cannot be sent again.
    fn is_in_host_queue(&self) -> bool {
        self.resolver.by_own_host() && !self.resolutions.is_empty()
    }

    fn send(&mut self) {
        if self.is_in_host_queue() {
            self.throttled = self.resolver == Resolver::OwnHost { resends: true };
            return;
        }
        self.throttled = false;
        self.sent = self.now;
        self.transmit();
    }

    fn arm(&mut self, rto: u64, arms: Arms) {
        let elapsed = self.first.map_or(0, |first| self.now - first);
        let limit = self.flight.user_timeout.map(|t| self.wheel.ticks(t));
        let rto = limit.map_or(rto, |limit| rto.min(limit.saturating_sub(elapsed).max(1)));
        self.reset_timer(rto, arms);
    }

    /// sk_reset_timer().
    fn reset_timer(&mut self, after: u64, arms: Arms) {
        self.armed = (self.now, self.wheel.granule(after));
        self.expires = self.wheel.fires(self.now, after, arms);
    }

    fn fails_before_it_expires(&self, resolution: &Resolution) -> bool {
        let end = FailureTime {
            asked: resolution.asked + self.back,
            at: resolution.until + self.back,
        };
        end.has_failed(self.expires, self.armed, self.wheel)
    }

    /// A packet leaves, and waits only if the entry has failed.
    pub fn transmit(&mut self) {
        let arrival = self.now + self.there;
        match self.nud {
            NudTimers::Stale(since, _) if arrival >= since => {
                self.used = Some(arrival);
                self.nud = NudTimers::Fails(entry::failure(self.wheel, arrival));
            }
            NudTimers::Stale(..) => {}
            NudTimers::Fails(end) if arrival < end.at => {}
            // Both timers belong to its own host and are due in this tick.
            NudTimers::Fails(end)
                if self.resolver.by_own_host()
                    && end.asked < end.at
                    && self.expires == self.now
                    && !end.has_failed(self.now, self.armed, self.wheel) => {}
            NudTimers::Fails(_) => self.queue(),
        }
    }

    /// tcp_retransmit_timer(). Whether the connection is over.
    fn retransmit(&mut self, arms: Arms) -> bool {
        if self.budget_is_spent() {
            return true;
        }
        // The stamp is the packet's own when it could not be sent again.
        let stamp = if self.is_in_host_queue() {
            self.sent
        } else {
            self.now
        };
        self.first.get_or_insert(stamp);
        self.retransmits += 1;
        self.send();
        if self.reset {
            return true;
        }
        if !(self.flight.thin_linear && self.retransmits <= THIN_LINEAR) {
            self.backoff += 1;
        }
        self.arm(self.rto(), arms);
        false
    }

    /// Runs until the connection ends: `now` is the time, `error_kept` selects the errno.
    pub fn run(&mut self) {
        if self.reset {
            return;
        }
        loop {
            let resolution = self.resolutions.front();
            if resolution.is_some_and(|resolution| self.fails_before_it_expires(resolution))
                && let Some(resolution) = self.resolutions.pop_front()
            {
                self.now = resolution.until + self.back;
                // Errors are packets, which are received after the tick's timers have run.
                if self.expires == self.now && self.timer_expired() {
                    return;
                }
                for _ in 0..resolution.packets {
                    if self.icmp_error() {
                        return;
                    }
                    self.error_kept = true;
                }
                // The freed packet is handled by the tasklet, whose softirq runs later
                // still.
                if std::mem::take(&mut self.throttled) {
                    self.send();
                    self.reset_timer(self.rto(), Arms::Timer);
                }
                continue;
            }
            self.now = self.expires;
            if self.timer_expired() {
                return;
            }
        }
    }

    /// The timer's function. Whether the connection is over.
    fn timer_expired(&mut self) -> bool {
        if !std::mem::take(&mut self.probe) {
            return self.retransmit(Arms::Timer);
        }
        // Of several segments it sends the last; only errors about the first one count.
        if !self.flight.several {
            self.send();
        }
        if self.reset {
            return true;
        }
        self.arm(self.base, Arms::Timer);
        false
    }

    /// tcp_ld_RTO_revert(). Whether the connection is over.
    fn icmp_error(&mut self) -> bool {
        if !self.reverts || self.retransmits == 0 || self.backoff == 0 {
            return false;
        }
        self.backoff -= 1;
        let rto = self.rto();
        let elapsed = self.now - self.sent;
        if elapsed >= rto {
            return self.retransmit(Arms::Anyone);
        }
        // inet_csk_reset_xmit_timer(): not clamped to the user timeout.
        self.reset_timer(rto - elapsed, Arms::Anyone);
        false
    }
}
