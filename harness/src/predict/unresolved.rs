//! A router that cannot find out its next hop's address.
//!
//! Packets wait on the router while it asks (net/core/neighbour.c); after three
//! seconds it gives up and answers each of them with a host unreachable, and
//! asks anew for the next packet. In IPv4 every such error takes one back-off
//! back, and when the shortened wait is over already it retransmits, or gives
//! up, there and then (tcp_ld_RTO_revert()), *before* the error is kept: a
//! connection that the first of them ends reports ETIMEDOUT.
//!
//! Where the sender's own host asks, a packet cannot be sent again while it waits
//! there. Since 5.13 the host remembers that it was to be, and sends it as soon as
//! it waits no longer: when the neighbour is given up, the next question goes out in
//! the same tick, and the timer starts anew with the RTO as it is
//! (tcp_wfree(), tcp_tsq_write(), tcp_xmit_retransmit_queue()).

use std::collections::VecDeque;
use std::time::Duration;

use super::entry::{self, Ages, Entries, Fails};
use super::neighbour;
use super::retransmit::{Flight, THIN_LINEAR};
use super::span::{Span, Spans};
use super::wheel::{Arms, Jiffies, Phase, Wheel};
use crate::scenario::case::Family;

const ROUND: Duration = Duration::from_millis(3_300);
const A_FEW_ROUNDS: Duration = Duration::from_secs(30);

/// How it ends, counted from the write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ends {
    /// With no error kept.
    pub timed_out: Spans,
    /// With host unreachable.
    pub unreachable: Spans,
    /// With an RST of who answers in the neighbour's place.
    pub reset: Spans,
    /// Whether it waits for an address when somebody comes who answers.
    pub vague: bool,
    /// Whether a try waits for an address before TCP gives up, in some ways, and
    /// whether none does, in others.
    pub waits: (bool, bool),
}

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

/// Data whose next hop's address nobody tells.
///
/// In IPv6 the error takes no back-off back: tcp_v6_err() does so for "no
/// route" only.
pub fn ends(
    flight: &Flight,
    (asks, family): (Asks, Family),
    first: First,
    wheel: Wheel,
    phase: Phase,
) -> Ends {
    let mut ends = (Vec::new(), Vec::new());
    for began in wheel.beginnings(wheel.ticks(flight.rto_max), phase) {
        let rtos = flight.rtos(wheel);
        for (rto, probe) in rtos.flat_map(|rto| flight.probes(wheel, rto)) {
            // A packet comes to a router far away within a tick: perhaps the next.
            let far = matches!(asks, Asks::Router { there, .. } if !there.is_zero());
            for late in 0..=u64::from(far) {
                let mut sender = Sender::new(flight, asks, first, wheel, (began, rto, probe));
                sender.there += late;
                sender.reverts = family == Family::Ipv4;
                sender.goes_on();
                let kept = sender.kept;
                let end = if kept { &mut ends.1 } else { &mut ends.0 };
                end.push((began, sender.now));
            }
        }
    }
    Ends {
        timed_out: Spans::of_ticks(&ends.0, wheel, phase),
        unreachable: within_a_round(Spans::of_ticks(&ends.1, wheel, phase)),
        ..Ends::default()
    }
}

/// A neighbour that answers no more, and its entry.
#[derive(Debug, Clone, Copy)]
pub struct Aging<'a> {
    /// What is known of it before the first packet.
    pub entry: &'a Entries,
    /// When that leaves.
    pub sent: Duration,
    /// How long after that the neighbour still answers.
    pub alive: Duration,
    /// How long after that somebody else answers everybody's questions.
    pub replaced: Option<Duration>,
}

/// Data for a neighbour that has died: it is lost in silence until the entry has
/// failed. When that is depends on when the entry goes stale, which is chance;
/// but all that matters is which try is the first after it.
pub fn aged(
    flight: &Flight,
    (asks, family): (Asks, Family),
    aging: Aging<'_>,
    wheel: Wheel,
    phase: Phase,
) -> Ends {
    let (mut timed_out, mut unreachable, mut reset) = (Vec::new(), Vec::new(), Vec::new());
    let (mut vague, mut waits) = (false, (false, false));
    for began in wheel.beginnings(wheel.ticks(flight.rto_max), phase) {
        let alive = began + wheel.ticks(aging.alive);
        let answers = aging.replaced.map(|after| began + wheel.ticks(after));
        let rtos = flight.rtos(wheel);
        for (rto, probe) in rtos.flat_map(|rto| flight.probes(wheel, rto)) {
            let mut ages = aging.entry.age(began, aging.sent, wheel);
            let mut again = false;
            while let Some(one) = ages.pop() {
                let first = match one {
                    Ages::Fails(end) if end.at <= began => First::Waits,
                    _ => First::Gone(Duration::ZERO),
                };
                let mut sender = Sender::new(flight, asks, first, wheel, (began, rto, probe));
                sender.reverts = family == Family::Ipv4;
                sender.answers = answers;
                if first != First::Waits {
                    sender.ages = one;
                    sender.leaves();
                } else if answers.is_some_and(|at| began >= at) {
                    sender.answered = true;
                }
                sender.goes_on();
                vague |= sender.vague;
                if let (Some(used), Ages::Stale(_, most)) = (sender.used, one) {
                    if used < most {
                        ages.push(Ages::Stale(used + 1, most));
                    }
                    let until = entry::delayed_until(wheel, used);
                    if until <= alive {
                        // It answers when it is asked.
                        if !std::mem::replace(&mut again, true) {
                            ages.push(entry::goes_stale(wheel, (until, alive.max(until))));
                        }
                        continue;
                    }
                }
                waits.0 |= sender.waited;
                waits.1 |= !sender.waited;
                let ends = match (sender.answered, sender.kept) {
                    (true, _) => &mut reset,
                    (false, true) => &mut unreachable,
                    (false, false) => &mut timed_out,
                };
                ends.push((began, sender.now));
            }
        }
    }
    let of = |ticks: &mut Vec<(Jiffies, Jiffies)>| {
        ticks.sort_unstable();
        ticks.dedup();
        Spans::of_ticks(ticks, wheel, phase)
    };
    Ends {
        timed_out: of(&mut timed_out),
        unreachable: within_a_round(of(&mut unreachable)),
        reset: of(&mut reset),
        vague,
        waits,
    }
}

/// A round: three requests a second apart. How many packets wait in one depends
/// on the last one, so that after many of them only this is sure: at its end
/// TCP looks at its budget.
fn within_a_round(told: Spans) -> Spans {
    match told.hull() {
        Some(hull) if hull.latest > A_FEW_ROUNDS => Spans::one(Span::new(
            hull.earliest.saturating_sub(ROUND),
            hull.latest.saturating_add(ROUND),
        )),
        _ => told,
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

struct Sender<'a> {
    flight: &'a Flight,
    asks: Asks,
    wheel: Wheel,
    base: u64,
    now: Jiffies,
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
    there: u64,
    back: u64,
    /// What leaves before the entry fails is lost.
    ages: Ages,
    /// The entry was stale, and this is when it was used.
    used: Option<Jiffies>,
    /// From when on somebody else answers.
    answers: Option<Jiffies>,
    /// Somebody else has: by an RST.
    answered: bool,
    /// See [`Ends::vague`].
    vague: bool,
    /// See [`Ends::waits`].
    waited: bool,
    /// An error is in sk_err_soft.
    kept: bool,
    /// An error takes back one back-off.
    reverts: bool,
    /// A retransmission found the packet waiting (TSQ_THROTTLED, lost_out).
    throttled: bool,
}

impl<'a> Sender<'a> {
    fn new(
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
    fn leaves(&mut self) {
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
    fn goes_on(&mut self) {
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

#[cfg(test)]
mod tests {
    use super::super::retransmit::{Attempt, RTO_MIN};
    use super::super::rtt::Round;
    use super::*;

    const NEAR: Asks = Asks::Router {
        there: Duration::ZERO,
        back: Duration::ZERO,
    };

    fn flight(retries2: u32) -> Flight {
        Flight {
            rtt: Round::steady(Duration::ZERO, Duration::from_millis(4)),
            rto_min: RTO_MIN,
            rto_max: Duration::from_secs(120),
            retries2,
            user_timeout: None,
            tail_loss_probe: true,
            thin_linear: false,
            several: false,
            never_leaves: false,
            attempt: Attempt::Lost,
        }
    }

    /// Measured on 6.18 at HZ=250: 3.05 s after the write, with ETIMEDOUT,
    /// because the first error that arrives ends it before it is kept.
    #[test]
    fn the_first_error_ends_it_without_being_kept() {
        let ends = ends(
            &flight(2),
            (NEAR, Family::Ipv4),
            First::Waits,
            Wheel::new(250),
            Phase::Unknown,
        );
        assert!(ends.unreachable.is_empty());
        let hull = ends.timed_out.hull().expect("it ends");
        assert!(hull.contains(Duration::from_millis(3_052)), "{hull:?}");
    }

    /// Measured on 7.3 at HZ=250, with tcp_rto_max_ms = 1654 and an IPv6 neighbour
    /// that is forgotten 31 ms after the write: 23.376 s after it. Every 3.07 s a
    /// packet is given up and sent again at once, and the RTO (1.66 s) once expires
    /// while it waits: at one of these moments, not at the RTO's own, it ends.
    #[test]
    fn what_waited_is_sent_again_as_soon_as_it_no_longer_does() {
        let flight = Flight {
            rto_max: Duration::from_millis(1654),
            ..flight(15)
        };
        let began = Phase::Known {
            jiffies: 1_000_004,
            into_tick: Duration::from_micros(150),
        };
        let first = First::Gone(Duration::from_millis(31));
        let ends = |resends| {
            let asks = (Asks::OwnHost { resends }, Family::Ipv6);
            ends(&flight, asks, first, Wheel::new(250), began).unreachable
        };
        let measured = Duration::from_micros(23_375_870);
        let within_a_tick = |span: Span| {
            let tick = Wheel::new(250).tick();
            (span.earliest..span.latest + tick).contains(&measured)
        };
        let [since, before] = [true, false].map(ends);
        assert!(since.iter().all(within_a_tick), "{since:?}");
        assert!(!since.is_empty() && !before.is_empty());
        assert!(!before.iter().any(within_a_tick), "{before:?}");
    }

    /// Measured on 7.3 at HZ=250, with tcp_retries2 = 0 and tcp_thin_linear_timeouts:
    /// 0.420 s after the write.
    #[test]
    fn a_thin_stream_does_not_back_off() {
        let flight = Flight {
            thin_linear: true,
            never_leaves: true,
            ..flight(0)
        };
        let asks = (Asks::OwnHost { resends: true }, Family::Ipv6);
        let ends = ends(&flight, asks, First::Waits, Wheel::new(250), Phase::Unknown);
        let hull = ends.timed_out.hull().expect("it ends");
        assert!(hull.contains(Duration::from_millis(420)), "{hull:?}");
        assert!(hull.latest < Duration::from_millis(450), "{hull:?}");
    }

    /// Measured on 6.18 at HZ=250: 13.76 s after the write, EHOSTUNREACH.
    #[test]
    fn later_it_reports_the_error() {
        let ends = ends(
            &flight(5),
            (NEAR, Family::Ipv4),
            First::Waits,
            Wheel::new(250),
            Phase::Unknown,
        );
        assert!(ends.timed_out.is_empty());
        let moment = Duration::from_millis(13_764);
        assert!(
            ends.unreachable.iter().any(|s| s.contains(moment)),
            "{:?}",
            ends.unreachable
        );
    }
}
