//! From facts about data that a sender cannot get acknowledged to its end.

use std::time::Duration;

use super::connect::Calling;
use super::entry::Entries;
use super::errno;
use super::kernel::KernelFacts;
use super::neighbour;
use super::persist::Held;
use super::retransmit::{Attempt, Course, Flight};
use super::rtt::Round;
use super::rule::RuleId;
use super::span::{Span, Spans};
use super::sysctls::Sysctls;
use super::unresolved::{self, Aging, Asks, First};
use super::words;
use crate::scenario::case::{Detector, Family, RejectWith};

/// What becomes of a packet, or of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and what answers it comes back.
    Arrives,
    /// It arrives, but no answer comes back.
    Unanswered,
    /// The same, and nothing at all comes back over one of the cables: the
    /// neighbour entry of whoever sends into it fails later, as for `Gone`.
    Unheard,
    /// Nobody hears of it, though neighbours still answer (a packet filter).
    Lost,
    /// Nobody hears of it, and the next hop does not answer ARP or NDP any
    /// more: its entry, fresh now, fails later.
    Gone,
    /// The sender's own qdisc drops it: an error above 0.
    OwnQdisc,
    /// The sender's own host refuses it: an error below 0. `soft` is what its
    /// routing leaves in sk_err_soft, `now` what connect() returns.
    OwnHost {
        /// inet_sk_rebuild_header(), inet6_csk_route_socket().
        soft: Option<&'static str>,
        /// The errno of the call itself.
        now: &'static str,
    },
    /// An ICMP error comes back at once.
    Refused {
        /// Which.
        with: RejectWith,
        /// One a second: ip_error().
        slowly: bool,
    },
    /// An RST comes back at once.
    Reset,
    /// The next hop's address has to be found out and nobody answers: host
    /// unreachable after three seconds.
    Unresolved {
        /// The sender itself has to; else a router.
        by_own_host: bool,
    },
    /// The sender's own cable has lost its carrier just now: its neighbour
    /// entries go when that is noticed: at once since 6.8, else when a worker of the
    /// kernel has its turn. (Once a second for the whole machine, were it not that the
    /// ends of a lab's cables differ in index: linkwatch_urgent_event().)
    NoCarrier,
}

/// Moments at which the loss of a carrier may be noticed that are tried.
const NOTICED: u32 = 32;
/// LW: linkwatch_event()'s turn, an ordinary thread's among real-time ones.
pub const NOTICED_WITHIN: Duration = Duration::from_millis(100);

impl Fate {
    /// Whether the packet gets there, whatever becomes of its answer.
    pub fn gets_there(self) -> bool {
        matches!(self, Fate::Arrives | Fate::Unheard)
    }
}

/// Whether data was under way already when it began to fare like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// It left before the fault.
    Before,
    /// It was written after the fault.
    After,
}

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

/// All that decides how long data goes unacknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The kernel of the sender.
    pub kernel: KernelFacts,
    /// The sysctls of its host.
    pub sysctls: Sysctls,
    /// Its detector: only the user timeout matters to data.
    pub detector: Detector,
    /// The address family.
    pub family: Family,
    /// What becomes of its packets.
    pub fate: Fate,
    /// When the data was written.
    pub in_flight: InFlight,
    /// How long after that it began to fare like that.
    pub changed: Duration,
    /// Its peer called: it was asked for its address first, and did not ask.
    pub called: bool,
    /// More than one segment.
    pub several: bool,
    /// The round trip as its TCP counts with it.
    pub rtt: Round,
    /// How long a packet takes to who answers it by an ICMP error, and the
    /// error back.
    pub icmp: (Duration, Duration),
    /// The neighbour that may have died, and its entry, if that is known.
    pub neighbour: Option<Neighbour>,
    /// When the data is written, in the story.
    pub sent: Duration,
}

/// An end that comes by itself, counted from the write (or the connect()).
#[derive(Debug, Clone, PartialEq)]
pub struct Fall {
    /// When.
    pub dead: Spans,
    /// When it is tried again until then, in order.
    pub attempts: Vec<Spans>,
    /// What the calls show then.
    pub errno: &'static str,
    /// Why, in words.
    pub because: String,
    /// By which rules.
    pub rules: Vec<RuleId>,
    /// Why the errno cannot be told, if it cannot.
    pub open: Option<String>,
}

impl Fall {
    /// The same, so much later.
    pub fn later(self, by: Duration) -> Fall {
        Fall {
            dead: self.dead.map(|span| span.after(by)),
            attempts: self
                .attempts
                .iter()
                .map(|at| at.map(|span| span.after(by)))
                .collect(),
            ..self
        }
    }

    /// The round trip as TCP measures it by beats that nobody answers: their
    /// acknowledgments wait for up to 40 ms (TCP_DELACK_MIN,
    /// tcp_send_delayed_ack()), so every RTO is up to 44 in 200 longer.
    pub fn by_delayed_acks(self) -> Fall {
        let longer = |span: Span| Span::new(span.earliest, span.latest.mul_f64(1.22));
        Fall {
            dead: self.dead.map(longer),
            attempts: self.attempts.iter().map(|at| at.map(longer)).collect(),
            ..self
        }
    }

    /// Of one that is closed when tries are under way: from the `first` expiry of
    /// the RTO on it has this budget (tcp_orphan_retries()).
    pub fn of_an_orphan(mut self, first: usize, budget: Duration) -> Fall {
        let Some(first) = self.attempts.get(first).and_then(Spans::hull) else {
            return self;
        };
        let over = |at: &Spans| {
            let at = at.hull();
            at.is_some_and(|at| at.earliest >= first.earliest.saturating_add(budget))
        };
        if let Some(end) = self.attempts.iter().position(over) {
            self.dead = self.attempts[end].clone();
            self.attempts.truncate(end);
        }
        self
    }

    /// This one or that one: both are possible.
    pub fn or(self, other: Fall) -> Fall {
        let most = self.attempts.len().max(other.attempts.len());
        let nth = |all: &[Spans], n: usize| all.get(n).cloned().unwrap_or_default();
        let agree = self.errno == other.errno;
        let differ = || Some("two errors are as likely, by where the timer wheel stands".into());
        Fall {
            attempts: (0..most)
                .map(|n| nth(&self.attempts, n).and(nth(&other.attempts, n)))
                .collect(),
            dead: self.dead.and(other.dead),
            open: self
                .open
                .or(other.open)
                .or_else(|| if agree { None } else { differ() }),
            ..self
        }
    }
}

impl Facts {
    /// How something ends that begins within `at`, counted from `at.earliest`:
    /// in each phase the wheel may be in by then. `self.kernel.phase` is that
    /// of the story's beginning.
    pub fn armed(&self, at: Span, ends: impl Fn(&Facts) -> Option<Fall>) -> Option<Fall> {
        let wheel = self.kernel.wheel();
        let begins = self.kernel.phase.later(at.earliest, wheel);
        let each = begins.within(at.width(), wheel).into_iter();
        each.filter_map(|(late, phase)| {
            let mut facts = self.clone();
            facts.kernel.phase = phase;
            facts.sent = at.earliest + late;
            Some(ends(&facts)?.later(late))
        })
        .reduce(Fall::or)
    }

    fn user_timeout(&self) -> Option<Duration> {
        self.detector.user_timeout.filter(|t| !t.is_zero())
    }

    fn flight(&self, attempt: Attempt, never_leaves: bool) -> Flight {
        Flight {
            rtt: self.rtt,
            rto_min: self.sysctls.rto_min,
            rto_max: self.sysctls.rto_max,
            retries2: self.sysctls.retries2,
            user_timeout: self.user_timeout(),
            tail_loss_probe: self.sysctls.tail_loss_probe,
            thin_linear: self.sysctls.thin_linear && !self.several,
            several: self.several,
            never_leaves,
            attempt,
        }
    }

    fn held(&self, by_own_qdisc: bool) -> Held {
        Held {
            rtt: self.rtt,
            rto_min: self.sysctls.rto_min,
            rto_max: self.sysctls.rto_max,
            retries2: self.sysctls.retries2,
            user_timeout: self.user_timeout(),
            by_own_qdisc,
        }
    }

    /// How data ends that fares like this. None: it does not (it arrives, or
    /// an RST ends it before any timer does).
    pub fn data_falls(&self) -> Option<Fall> {
        let mut fall = self.falls()?;
        if self.detector.keepalive.is_some() {
            fall.rules.push(RuleId::KeepaliveQuietWithData);
        }
        Some(fall)
    }

    fn falls(&self) -> Option<Fall> {
        let timed_out = errno::TIMED_OUT;
        Some(match (self.fate, self.in_flight) {
            (Fate::Arrives | Fate::Reset, _) => return None,
            (Fate::Unanswered | Fate::Lost, _) => self.flies(Attempt::Lost, false, timed_out),
            (Fate::Gone | Fate::Unheard, _) => self.gone(),
            (Fate::OwnQdisc, InFlight::After) => self.waits(true, timed_out),
            (Fate::OwnQdisc, InFlight::Before) => {
                self.flies(Attempt::DroppedByOwnQdisc, false, timed_out)
            }
            (Fate::OwnHost { soft, .. }, InFlight::After) => {
                // ip_queue_xmit() keeps no soft error; inet6_csk_xmit() does.
                let kept = soft.filter(|_| self.family == Family::Ipv6);
                self.waits(false, kept.unwrap_or(timed_out))
            }
            (Fate::OwnHost { soft, .. }, InFlight::Before) => {
                // A drop by nft comes late enough to be stamped; no route does not.
                self.flies(Attempt::Lost, soft.is_some(), soft.unwrap_or(timed_out))
            }
            (Fate::Refused { with, slowly }, _) => {
                let reverts = errno::reverts_backoff(with, self.family);
                let attempt = if reverts {
                    Attempt::Reverted {
                        answered: self.in_flight == InFlight::After,
                        limit: slowly.then(|| self.kernel.error_burst()),
                        after: self.icmp.0 + self.icmp.1,
                    }
                } else {
                    Attempt::Lost
                };
                let soft = errno::of_icmp(with, self.family).unwrap_or(timed_out);
                let fall = self.flies(attempt, false, soft);
                Fall {
                    open: (slowly && reverts && self.several)
                        .then(|| "how many segments draw an error of a router that has few".into()),
                    ..fall
                }
            }
            (Fate::Unresolved { by_own_host }, in_flight) => {
                self.unresolved(by_own_host, in_flight)
            }
            (Fate::NoCarrier, _) => return self.no_carrier(),
        })
    }

    fn flies(&self, attempt: Attempt, never_leaves: bool, errno: &'static str) -> Fall {
        let flight = self.flight(attempt, never_leaves);
        let Course { attempts, dead } = self.of(&flight);
        let mut rules = vec![RuleId::Retransmission, RuleId::TimerWheel];
        if flight.tail_loss_probe {
            rules.push(RuleId::TailLossProbe);
        }
        if flight.user_timeout.is_some() {
            rules[0] = RuleId::UserTimeout;
        }
        if words::is_long(&flight) {
            rules.push(RuleId::RoundTrip);
        }
        match attempt {
            Attempt::Reverted { .. } => rules.push(RuleId::RevertedBackoff),
            Attempt::DroppedByOwnQdisc => rules.push(RuleId::LocalDrop),
            Attempt::Lost => {}
        }
        if errno != errno::TIMED_OUT {
            rules.push(RuleId::SoftError);
        }
        Fall {
            because: words::flight(&flight, errno, self.kernel.hz),
            dead,
            attempts,
            errno,
            rules,
            open: None,
        }
    }

    fn of(&self, flight: &Flight) -> Course {
        flight.course(self.kernel.wheel(), self.kernel.phase)
    }

    fn waits(&self, by_own_qdisc: bool, errno: &'static str) -> Fall {
        let held = self.held(by_own_qdisc);
        let Course { attempts, dead } = held.course(self.kernel.wheel(), self.kernel.phase);
        Fall {
            dead,
            attempts,
            errno,
            because: words::held(&held, errno),
            rules: vec![RuleId::SendFails, RuleId::TimerWheel],
            open: None,
        }
    }

    /// Silence at first. Once the neighbour entry has failed, every try waits
    /// for an address in vain and draws a host unreachable; or somebody else
    /// answers, who knows no such connection.
    fn gone(&self) -> Fall {
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
            (false, true, true) => silent,
            (true, false, true) => self.unreachable_at(silent, ends.unreachable),
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

    fn unreachable_at(&self, silent: Fall, dead: Spans) -> Fall {
        let errno = "EHOSTUNREACH";
        Fall {
            dead,
            because: format!(
                "{}; the neighbour entry is stale and fails 8.2 s after the first packet that \
                 meets it so, and the host unreachable that a later try draws is kept",
                words::flight(&self.flight(Attempt::Lost, false), errno, self.kernel.hz),
            ),
            errno,
            rules: [
                silent.rules.clone(),
                vec![RuleId::Neighbour, RuleId::SoftError],
            ]
            .concat(),
            ..silent
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
        let errno = "EHOSTUNREACH";
        Fall {
            dead: Spans::one(Span::new(
                first.saturating_add(flight.budget()).min(end.earliest),
                end.latest.saturating_add(flight.rto_max),
            )),
            because: format!(
                "{}; the neighbour entry fails within {} meanwhile, and from then on the next \
                 hop's host unreachable is kept",
                words::flight(&flight, errno, self.kernel.hz),
                words::time(neighbour::confirmed_entry_fails(self.called).latest),
            ),
            errno,
            rules: [
                silent.rules.clone(),
                vec![RuleId::Neighbour, RuleId::SoftError],
            ]
            .concat(),
            ..silent
        }
    }

    /// Data that is on its way while its own host notices that it is cut off.
    fn no_carrier(&self) -> Option<Fall> {
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

    /// connect() to a neighbour that nobody answers for; TCP may give up before.
    ///
    /// The SYN of the own host waits there meanwhile, so that in IPv4 the error
    /// makes it be sent again at once (tcp_ld_RTO_revert()), or given up when
    /// that has been tried `most` times.
    fn connect_unresolved(&self, silence: Fall, most: Option<u32>) -> Fall {
        let fails = neighbour::given_up(self.kernel.wheel(), self.kernel.phase);
        let (Some(resolving), Some(end)) = (fails.hull(), silence.dead.hull()) else {
            return silence;
        };
        if end.latest < resolving.earliest {
            return silence;
        }
        let last =
            most.and_then(|most| silence.attempts.get(most.checked_sub(1)? as usize)?.hull());
        if last.is_some_and(|last| last.latest < resolving.earliest) {
            return Fall {
                dead: fails,
                because: format!(
                    "{}; the address is given up before that, and the error ends a SYN that was \
                     tried often enough",
                    silence.because
                ),
                rules: vec![RuleId::ConnectSilence, RuleId::Neighbour],
                ..silence
            };
        }
        let sooner = end.earliest <= resolving.latest
            || last.is_some_and(|last| last.earliest <= resolving.latest);
        Fall {
            dead: fails,
            attempts: Vec::new(),
            errno: "EHOSTUNREACH",
            because: "nobody answers three address requests a second apart".into(),
            rules: vec![RuleId::Neighbour, RuleId::ConnectAnswer],
            open: sooner.then(|| {
                "whether TCP or the neighbour's entry gives up first depends on where the timer \
                 wheel stands"
                    .into()
            }),
        }
    }

    /// Like silence at first; after three seconds host unreachables arrive.
    fn unresolved(&self, by_own_host: bool, in_flight: InFlight) -> Fall {
        // What left before the entry was gone did leave.
        let stuck = by_own_host && in_flight == InFlight::After;
        let timed_out = self.flies(Attempt::Lost, stuck, errno::TIMED_OUT);
        let unreachable = "EHOSTUNREACH";
        let because = format!(
            "{}; the next hop's address is asked for in vain, three requests a second apart, and \
             each packet that waited for it draws a host unreachable",
            words::flight(
                &self.flight(Attempt::Lost, stuck),
                unreachable,
                self.kernel.hz
            )
        );
        let rules = [
            timed_out.rules.clone(),
            vec![RuleId::Neighbour, RuleId::SoftError],
        ]
        .concat();
        let fall = Fall {
            errno: unreachable,
            because,
            rules,
            ..timed_out
        };
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
        let flight = self.flight(Attempt::Lost, stuck);
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

    /// How a connect() ends whose SYN fares like this. None: it succeeds, or
    /// is refused at once.
    pub fn connect_falls(&self) -> Option<Fall> {
        let (wheel, phase) = (self.kernel.wheel(), self.kernel.phase);
        let calling = Calling {
            syn_retries: self.sysctls.syn_retries,
            linear: self.sysctls.syn_linear_timeouts,
            user_timeout: self.user_timeout(),
            by_own_qdisc: self.fate == Fate::OwnQdisc,
        };
        let (again, dead) = calling.course(wheel, phase);
        let silence = Fall {
            because: words::calling(&calling),
            dead,
            attempts: again,
            errno: errno::TIMED_OUT,
            rules: vec![RuleId::ConnectSilence, RuleId::TimerWheel],
            open: None,
        };
        match self.fate {
            Fate::Arrives | Fate::Reset | Fate::OwnHost { soft: Some(_), .. } => None,
            // Dropped by its own nft: tcp_connect() does not look, and goes on.
            Fate::OwnHost { soft: None, .. } => Some(silence),
            // A lost SYN+ACK is a lost SYN to the caller.
            Fate::Gone | Fate::Unheard => {
                let fails = neighbour::confirmed_entry_fails(self.called).earliest;
                let late = silence.dead.hull().is_some_and(|end| end.latest > fails);
                Some(Fall {
                    open: late.then(|| WHETHER_IT_FAILS.into()),
                    ..silence
                })
            }
            Fate::Lost | Fate::Unanswered | Fate::OwnQdisc => Some(silence),
            Fate::NoCarrier => {
                // Noticed after the SYN had left: it is the next one that asks.
                let next = silence.attempts.first().and_then(Spans::hull);
                let asks = |facts: &Facts| Some(facts.connect_unresolved(silence.clone(), None));
                let fall = asks(self)?;
                let later = next.and_then(|next| {
                    let since = Span::new(next.earliest, next.earliest);
                    Some(self.armed(next, asks)?.dead.map(|span| span.plus(since)))
                });
                Some(Fall {
                    dead: fall.dead.and(later.unwrap_or_default()),
                    ..fall
                })
            }
            Fate::Unresolved { by_own_host } => {
                let most = calling.syn_retries;
                let stuck = by_own_host && self.family == Family::Ipv4 && calling.linear == 0;
                Some(self.connect_unresolved(silence, stuck.then_some(most)))
            }
            Fate::Refused { with, .. } => {
                let second = silence.attempts.first().cloned().unwrap_or_default();
                Some(Fall {
                    dead: second,
                    attempts: silence.attempts,
                    errno: errno::of_icmp(with, self.family).unwrap_or(errno::TIMED_OUT),
                    because:
                        "the first SYN's ICMP error comes back while the call still holds its \
                              socket and is only kept; the next SYN's ends connect()"
                            .into(),
                    rules: vec![RuleId::SoftError, RuleId::ConnectAnswer],
                    open: None,
                })
            }
        }
    }
}
