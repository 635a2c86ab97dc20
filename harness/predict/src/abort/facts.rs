//! From facts about data that a sender cannot get acknowledged to its end. What
//! becomes of it where a neighbour does not answer is in `gone`, how a connect()
//! ends in `connecting`.

use std::time::Duration;

use crate::abort::Abort;
use crate::abort::neighbour_dead::Neighbour;
use crate::errno;
use crate::kernel::KernelFacts;
use crate::retransmission::rtt::Rtt;
use crate::retransmission::{Attempt, Course, Flight};
use crate::rule::RuleId;
use crate::span::Span;
use crate::sysctls::Sysctls;
use crate::text;
use crate::timers::unsent::Unsent;
use halfopen_scenario::case::{Detector, Family, RejectWith};

/// What becomes of a packet, or of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and what answers it comes back.
    Arrives,
    /// It arrives, but no answer comes back.
    Unanswered,
    /// The same, and nothing at all comes back over one of the cables: the
    /// neighbour entry of whoever sends into it fails later, as for `Gone`.
    ReturnDead,
    /// Nobody hears of it, though neighbours still answer (a packet filter).
    Lost,
    /// Nobody hears of it, and the next hop does not answer ARP or NDP any
    /// more: its entry, fresh now, fails later.
    NeighbourDead,
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

impl Fate {
    /// Whether the packet gets there, whatever becomes of its answer.
    pub fn is_delivered(self) -> bool {
        matches!(self, Fate::Arrives | Fate::ReturnDead)
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
    pub is_server: bool,
    /// More than one segment.
    pub several: bool,
    /// The round trip as its TCP counts with it.
    pub rtt: Rtt,
    /// How long a packet takes to who answers it by an ICMP error, and the
    /// error back.
    pub icmp: (Duration, Duration),
    /// The neighbour that may have died, and its entry, if that is known.
    pub neighbour: Option<Neighbour>,
    /// When the data is written, in the story.
    pub sent: Duration,
}

impl Facts {
    /// How something ends that begins within `at`, counted from `at.earliest`:
    /// in each phase the wheel may be in by then. `self.kernel.phase` is that
    /// of the story's beginning.
    pub fn armed(&self, at: Span, abort_of: impl Fn(&Facts) -> Option<Abort>) -> Option<Abort> {
        let wheel = self.kernel.wheel();
        let begins = self.kernel.phase.later(at.earliest, wheel);
        let each = begins.within(at.width(), wheel).into_iter();
        each.filter_map(|(late, phase)| {
            let mut facts = self.clone();
            facts.kernel.phase = phase;
            facts.sent = at.earliest + late;
            Some(abort_of(&facts)?.delayed_by(late))
        })
        .reduce(Abort::or)
    }

    pub(crate) fn user_timeout(&self) -> Option<Duration> {
        self.detector.user_timeout.filter(|t| !t.is_zero())
    }

    pub(crate) fn flight(&self, attempt: Attempt, never_leaves: bool) -> Flight {
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

    fn unsent_data(&self, by_own_qdisc: bool) -> Unsent {
        Unsent {
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
    pub fn data_abort(&self) -> Option<Abort> {
        let mut abort = self.abort_by_fate()?;
        if self.detector.keepalive.is_some() {
            abort.rules.push(RuleId::KeepaliveQuietWithData);
        }
        Some(abort)
    }

    fn abort_by_fate(&self) -> Option<Abort> {
        let timed_out = errno::TIMED_OUT;
        Some(match (self.fate, self.in_flight) {
            (Fate::Arrives | Fate::Reset, _) => return None,
            (Fate::Unanswered | Fate::Lost, _) => {
                self.unacknowledged(Attempt::Lost, false, timed_out)
            }
            (Fate::NeighbourDead | Fate::ReturnDead, _) => self.neighbour_dead(),
            (Fate::OwnQdisc, InFlight::After) => self.unsent(true, timed_out),
            (Fate::OwnQdisc, InFlight::Before) => {
                self.unacknowledged(Attempt::DroppedByOwnQdisc, false, timed_out)
            }
            (Fate::OwnHost { soft, .. }, InFlight::After) => {
                // ip_queue_xmit() keeps no soft error; inet6_csk_xmit() does.
                let kept = soft.filter(|_| self.family == Family::Ipv6);
                self.unsent(false, kept.unwrap_or(timed_out))
            }
            (Fate::OwnHost { soft, .. }, InFlight::Before) => {
                // A drop by nft comes late enough to be stamped; no route does not.
                self.unacknowledged(Attempt::Lost, soft.is_some(), soft.unwrap_or(timed_out))
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
                let abort = self.unacknowledged(attempt, false, soft);
                Abort {
                    undecided: (slowly && reverts && self.several)
                        .then(|| "how many segments draw an error of a router that has few".into()),
                    ..abort
                }
            }
            (Fate::Unresolved { by_own_host }, in_flight) => {
                self.neighbour_unresolved(by_own_host, in_flight)
            }
            (Fate::NoCarrier, _) => return self.no_carrier(),
        })
    }

    pub(crate) fn unacknowledged(
        &self,
        attempt: Attempt,
        never_leaves: bool,
        errno: &'static str,
    ) -> Abort {
        let flight = self.flight(attempt, never_leaves);
        let Course { attempts, abort_at } = self.course(&flight);
        let mut rules = vec![RuleId::Retransmission, RuleId::TimerWheel];
        if flight.tail_loss_probe {
            rules.push(RuleId::TailLossProbe);
        }
        if flight.user_timeout.is_some() {
            rules[0] = RuleId::UserTimeout;
        }
        if text::is_long(&flight) {
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
        Abort {
            because: text::flight(&flight, errno, self.kernel.hz),
            abort_at,
            attempts,
            errno,
            rules,
            undecided: None,
        }
    }

    fn course(&self, flight: &Flight) -> Course {
        flight.course(self.kernel.wheel(), self.kernel.phase)
    }

    fn unsent(&self, by_own_qdisc: bool, errno: &'static str) -> Abort {
        let unsent_data = self.unsent_data(by_own_qdisc);
        let Course { attempts, abort_at } =
            unsent_data.course(self.kernel.wheel(), self.kernel.phase);
        Abort {
            abort_at,
            attempts,
            errno,
            because: text::unsent(&unsent_data, errno),
            rules: vec![RuleId::SendFails, RuleId::TimerWheel],
            undecided: None,
        }
    }
}
