//! From facts about unacknowledged data to its abort: chooses, by the fate of the packets,
//! the retransmission timer, the probe timer or the rules for a next hop that does not
//! answer. The simulator collects the [`Facts`].

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

/// What happens to a packet and to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and its answer arrives.
    Arrives,
    /// It arrives, but no answer comes back.
    Unanswered,
    /// It arrives, and nothing at all comes back over one of the cables: the neighbour
    /// entry of the node that sends into this cable fails later, as for `NeighbourDead`.
    ReturnDead,
    /// It is lost silently, but neighbours still answer (a packet filter).
    Lost,
    /// It is lost silently, and the next hop does not answer ARP or NDP any more: its
    /// entry, valid now, fails later.
    NeighbourDead,
    /// The sender's own qdisc drops it: an error above 0.
    OwnQdisc,
    /// The sender's own host refuses it: an error below 0. `soft` is what its routing
    /// leaves in sk_err_soft, `now` the errno of connect().
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
    /// The next hop's address has to be resolved and nobody answers: host unreachable after
    /// three seconds.
    Unresolved {
        /// The sender's host resolves it; else a router.
        by_own_host: bool,
    },
    /// The sender's own cable has just lost its carrier. Its neighbour entries are flushed
    /// when that is noticed: at once since 6.8, before that when a worker of the kernel
    /// runs. (That would be once a second for the whole machine if both ends of a lab's
    /// cable had the same index: linkwatch_urgent_event().)
    NoCarrier,
}

impl Fate {
    /// Whether the packet is delivered, whatever happens to its answer.
    pub fn is_delivered(self) -> bool {
        matches!(self, Fate::Arrives | Fate::ReturnDead)
    }
}

/// Whether the data was in flight before its fate changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// It left before the fault.
    Before,
    /// It was written after the fault.
    After,
}

/// Everything that decides how long data stays unacknowledged.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The kernel of the sender.
    pub kernel: KernelFacts,
    /// The sysctls of its host.
    pub sysctls: Sysctls,
    /// Its detector: for data, only the user timeout matters.
    pub detector: Detector,
    /// The address family.
    pub family: Family,
    /// The fate of its packets.
    pub fate: Fate,
    /// When the data was written.
    pub in_flight: InFlight,
    /// How long after the write the fate changed.
    pub changed: Duration,
    /// The peer connected to it: its host learned the peer's address from the peer's
    /// request and did not resolve it itself.
    pub is_server: bool,
    /// More than one segment.
    pub several: bool,
    /// The round-trip estimate of its TCP.
    pub rtt: Rtt,
    /// How long a packet takes to the node that answers it with an ICMP error, and the
    /// error back.
    pub icmp: (Duration, Duration),
    /// The neighbour that may not answer, and its entry, if known.
    pub neighbour: Option<Neighbour>,
    /// When the data is written, in simulated time.
    pub sent: Duration,
}

impl Facts {
    /// The abort of something that begins within `at`, counted from `at.earliest`, for each
    /// phase that the wheel may have by then. `self.kernel.phase` is the phase at the start
    /// of the simulation.
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

    /// The abort of data with this fate. None: there is none (it arrives, or an RST ends
    /// the connection before any timer does).
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
                // An nft drop happens after the segment is stamped; a missing route before.
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
