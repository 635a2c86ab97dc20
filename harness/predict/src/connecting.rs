//! How a connect() ends, by the facts.

use super::connect::Calling;
use super::errno;
use super::facts::{Facts, Fate};
use super::fall::Fall;
use super::gone::WHETHER_IT_FAILS;
use super::neighbour;
use super::rule::RuleId;
use super::span::{Span, Spans};
use super::words;
use halfopen_scenario::case::Family;

impl Facts {
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
            errno: errno::HOST_UNREACHABLE,
            because: "nobody answers three address requests a second apart".into(),
            rules: vec![RuleId::Neighbour, RuleId::ConnectAnswer],
            open: sooner.then(|| {
                "whether TCP or the neighbour's entry gives up first depends on where the timer \
                 wheel stands"
                    .into()
            }),
        }
    }
}
