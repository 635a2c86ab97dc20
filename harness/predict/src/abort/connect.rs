//! How a connect() fails, by the fate of its SYN and SYN+ACK. The timer course of the SYNs
//! is in `timers::syn`; the simulator calls this.

use crate::abort::Abort;
use crate::abort::facts::{Facts, Fate};
use crate::abort::neighbour_dead::ENTRY_MAY_NOT_FAIL;
use crate::errno;
use crate::neighbour;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::text;
use crate::timers::syn::Syn;
use halfopen_scenario::case::Family;

impl Facts {
    /// The failure of a connect() with this fate. None: it succeeds, or is refused at once.
    pub fn connect_abort(&self) -> Option<Abort> {
        let (wheel, phase) = (self.kernel.wheel(), self.kernel.phase);
        let syn = Syn {
            syn_retries: self.sysctls.syn_retries,
            linear: self.sysctls.syn_linear_timeouts,
            user_timeout: self.user_timeout(),
            by_own_qdisc: self.fate == Fate::OwnQdisc,
        };
        let (attempts, abort_at) = syn.course(wheel, phase);
        let lost = Abort {
            because: text::syn(&syn),
            abort_at,
            attempts,
            errno: errno::TIMED_OUT,
            rules: vec![RuleId::ConnectSilence, RuleId::TimerWheel],
            undecided: None,
        };
        match self.fate {
            Fate::Arrives | Fate::Reset | Fate::OwnHost { soft: Some(_), .. } => None,
            // Dropped by the own host's nft: tcp_connect() ignores the error and continues.
            Fate::OwnHost { soft: None, .. } => Some(lost),
            // To the caller a lost SYN+ACK is a lost SYN.
            Fate::NeighbourDead | Fate::ReturnDead => {
                let fails = neighbour::confirmed_entry_fails(self.is_server).earliest;
                let late = lost.abort_at.hull().is_some_and(|end| end.latest > fails);
                Some(Abort {
                    undecided: late.then(|| ENTRY_MAY_NOT_FAIL.into()),
                    ..lost
                })
            }
            Fate::Lost | Fate::Unanswered | Fate::OwnQdisc => Some(lost),
            Fate::NoCarrier => {
                // Noticed after the SYN had left: the next SYN needs the resolution.
                let next = lost.attempts.first().and_then(Spans::hull);
                let asks = |facts: &Facts| Some(facts.connect_unresolved(lost.clone(), None));
                let abort = asks(self)?;
                let later = next.and_then(|next| {
                    let since = Span::new(next.earliest, next.earliest);
                    Some(
                        self.armed(next, asks)?
                            .abort_at
                            .map(|span| span.plus(since)),
                    )
                });
                Some(Abort {
                    abort_at: abort.abort_at.and(later.unwrap_or_default()),
                    ..abort
                })
            }
            Fate::Unresolved { by_own_host } => {
                let most = syn.syn_retries;
                let in_host_queue = by_own_host && self.family == Family::Ipv4 && syn.linear == 0;
                Some(self.connect_unresolved(lost, in_host_queue.then_some(most)))
            }
            Fate::Refused { with, .. } => {
                let second = lost.attempts.first().cloned().unwrap_or_default();
                Some(Abort {
                    abort_at: second,
                    attempts: lost.attempts,
                    errno: errno::of_icmp(with, self.family).unwrap_or(errno::TIMED_OUT),
                    because:
                        "the first SYN's ICMP error comes back while the call still holds its \
                              socket and is only kept; the next SYN's ends connect()"
                            .into(),
                    rules: vec![RuleId::SoftError, RuleId::ConnectAnswer],
                    undecided: None,
                })
            }
        }
    }

    /// connect() to a neighbour that does not answer; TCP may give up first.
    ///
    /// The SYN of the own host waits for the address meanwhile, so that in IPv4 the error
    /// makes it be sent again at once (tcp_ld_RTO_revert()), or the connect() fail if
    /// `most` attempts were made.
    fn connect_unresolved(&self, lost: Abort, most: Option<u32>) -> Abort {
        let fails = neighbour::given_up(self.kernel.wheel(), self.kernel.phase);
        let (Some(resolving), Some(end)) = (fails.hull(), lost.abort_at.hull()) else {
            return lost;
        };
        if end.latest < resolving.earliest {
            return lost;
        }
        let last = most.and_then(|most| lost.attempts.get(most.checked_sub(1)? as usize)?.hull());
        if last.is_some_and(|last| last.latest < resolving.earliest) {
            return Abort {
                abort_at: fails,
                because: format!(
                    "{}; the address is given up before that, and the error ends a SYN that was \
                     tried often enough",
                    lost.because
                ),
                rules: vec![RuleId::ConnectSilence, RuleId::Neighbour],
                ..lost
            };
        }
        let sooner = end.earliest <= resolving.latest
            || last.is_some_and(|last| last.earliest <= resolving.latest);
        Abort {
            abort_at: fails,
            attempts: Vec::new(),
            errno: errno::HOST_UNREACHABLE,
            because: "nobody answers three address requests a second apart".into(),
            rules: vec![RuleId::Neighbour, RuleId::ConnectAnswer],
            undecided: sooner.then(|| {
                "whether TCP or the neighbour's entry gives up first depends on where the timer \
                 wheel stands"
                    .into()
            }),
        }
    }
}
