//! connect() and accept().

use std::collections::VecDeque;
use std::time::Duration;

use super::Simulator;
use super::delays::Kind;
use super::state::{After, Connecting, Failure, Frame, Process, Wait};
use crate::abort::Abort;
use crate::abort::facts::{Facts, Fate, InFlight};
use crate::errno;
use crate::neighbour;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use halfopen_scenario::case::{Action, Family, RejectWith, SignKind, Step};

/// TCP_TIMEOUT_INIT, less the processing time of both hosts.
const SYN_TIMEOUT: Duration = Duration::from_millis(980);

impl<'a> Simulator<'a> {
    /// connect() to a host, or to an address that no host has (None).
    pub(super) fn connect(
        &mut self,
        p: usize,
        step: &Step,
        host: Option<&'a str>,
        port: u16,
        nonblocking: bool,
    ) -> Result<(), String> {
        self.processes[p].start_call("connect");
        let own = self.processes[p].host;
        let fate = match host {
            Some(host) => self
                .paths
                .exchange_fate(own, host, Kind::Syn, Kind::SynAck)?,
            None => Fate::Unresolved { by_own_host: true },
        };
        // Without an address of its own it connects from a link-local one, which no router
        // forwards: "beyond scope" (ip6_forward()).
        let fate = match host {
            Some(host) if self.paths.connects_from_link_local(own, host) => Fate::Refused {
                with: RejectWith::HostUnreachable,
                slowly: false,
            },
            _ => fate,
        };
        let at = self.processes[p].at;
        if let Some(host) = host
            && self.connect_over_delay(p, (fate, at), (host, port), step, nonblocking)?
        {
            return Ok(());
        }
        let refused = |errno, because| Failure::now(errno, at, because, RuleId::ConnectAnswer);
        let failure = match (fate, host) {
            (Fate::Arrives, Some(host)) => {
                if self.backlog.contains_key(&(host, port)) {
                    self.conntrack_open(at)?;
                    return self.establish(p, step.conn.clone(), host, port, at);
                }
                refused(
                    "ECONNREFUSED",
                    "nobody listens on the port, and the host says so by RST",
                )
            }
            (Fate::Reset, _) => refused("ECONNREFUSED", "an RST answers the SYN"),
            (Fate::Refused { with, .. }, _) if nonblocking && self.case.family == Family::Ipv4 => {
                // tcp_v4_err() finds the socket locked by its caller and leaves the error
                // to poll().
                let errno = errno::of_icmp(with, Family::Ipv4).unwrap_or(errno::TIMED_OUT);
                let because = "the SYN's ICMP error is there when connect() returns";
                Failure::now(errno, at, because, RuleId::SoftError)
            }
            (Fate::OwnHost { soft: Some(_), now }, _) => {
                refused(now, "the own host's routing refuses at once")
            }
            _ => {
                let facts = self.facts(p, fate, InFlight::After, false);
                let abort = facts.armed(at, Facts::connect_abort);
                self.processes[p].wait = Wait::Connect(Connecting {
                    began: self.kernel.anchor(at),
                    abort: abort.ok_or("a SYN without an end")?,
                    nonblocking,
                    name: step.conn.clone(),
                    host,
                    port,
                    delivered: None,
                    delayed: false,
                });
                return Ok(());
            }
        };
        self.connect_failed(p, failure, nonblocking);
        Ok(())
    }

    /// The network has changed: a SYN that was lost may be delivered later.
    pub(super) fn update_connects(&mut self, change: Span) -> Result<(), String> {
        for p in 0..self.processes.len() {
            let Wait::Connect(connecting) = self.processes[p].wait.clone() else {
                continue;
            };
            let (own, Some(to)) = (self.processes[p].host, connecting.host) else {
                continue;
            };
            if connecting.delayed {
                return Err("the network changes while a handshake is on a long line".into());
            }
            let fate = self.paths.exchange_fate(own, to, Kind::Syn, Kind::SynAck)?;
            let attempts = connecting.abort.attempts.iter().filter_map(Spans::hull);
            let next = attempts
                .map(|at| at.plus(connecting.began))
                .find(|at| at.latest >= change.earliest);
            let delivered = match (fate, next) {
                (Fate::Arrives, Some(_)) if !self.paths.round_trip(own, to)?.is_zero() => {
                    return Err("a connection over a long line that is late".into());
                }
                (Fate::Arrives, Some(next)) if next.earliest >= change.latest => Some(next),
                (Fate::Arrives, _) => {
                    return Err("whether the SYN that gets through is sent".into());
                }
                _ => None,
            };
            self.processes[p].wait = Wait::Connect(Connecting {
                delivered,
                ..connecting
            });
        }
        Ok(())
    }

    /// A SYN of a waiting connect() is delivered.
    pub(super) fn connect_answered(
        &mut self,
        p: usize,
        connecting: Connecting<'a>,
        at: Span,
    ) -> Result<(), String> {
        self.wake(p, Some(at));
        match connecting.host {
            Some(host) if self.backlog.contains_key(&(host, connecting.port)) => {
                let client = self.socks.len();
                self.establish(p, connecting.name, host, connecting.port, at)?;
                if connecting.delayed {
                    let took = at.since(connecting.began.earliest);
                    self.measured(client, took)?;
                }
            }
            // Whether its SYN came before or after: refused, or reset by what follows.
            _ if connecting.delayed => {
                return Err("the peer stops listening while a handshake is on a long line".into());
            }
            _ => {
                let because = "nobody listens on the port, and the host says so by RST";
                let failure = Failure::now("ECONNREFUSED", at, because, RuleId::ConnectAnswer);
                self.connect_failed(p, failure, connecting.nonblocking);
            }
        }
        Ok(())
    }

    /// Whether a SYN that was sent again cannot be measured (Karn).
    fn without_time_stamps(&self) -> bool {
        let mut set = self.case.sysctls.values();
        set.any(|set| set.get("net.ipv4.tcp_timestamps").is_some_and(|v| v == "0"))
    }

    /// connect() whose answer comes over a path with delay. Returns whether this was the
    /// case.
    fn connect_over_delay(
        &mut self,
        p: usize,
        (fate, at): (Fate, Span),
        (host, port): (&'a str, u16),
        step: &Step,
        nonblocking: bool,
    ) -> Result<bool, String> {
        let own = self.processes[p].host;
        let (delay, resolution) = self.paths.answer_after(own, host, Kind::Syn)?;
        if self.paths.round_trip(own, host)?.is_zero() {
            return Ok(false);
        }
        let errno = match fate {
            Fate::Arrives if self.backlog.contains_key(&(host, port)) => None,
            Fate::Arrives | Fate::Reset => Some("ECONNREFUSED"),
            Fate::Refused { with, .. } => errno::of_icmp(with, self.case.family),
            Fate::Unresolved { by_own_host: false } => Some("EHOSTUNREACH"),
            _ => return Ok(false),
        };
        if delay.is_zero() {
            return Ok(false);
        }
        // The SYN waits for the address, and its time stamp says so.
        let after = resolution + delay;
        if delay >= SYN_TIMEOUT || (after >= SYN_TIMEOUT && self.without_time_stamps()) {
            return Err("a handshake that takes longer than the first RTO".into());
        }
        // A blocking connect() returns when it is answered, so its recorded time ends with
        // the answer; only its beginning is used.
        let at = if nonblocking {
            at
        } else {
            Span::at(at.earliest)
        };
        let unresolved = matches!(fate, Fate::Unresolved { .. });
        let abort_at = if unresolved {
            self.router_resolution_fails((own, host), at, after)?
        } else {
            Spans::one(Span::at(after))
        };
        let aborted = if unresolved || after >= SYN_TIMEOUT {
            self.aborts_before(p, at, &abort_at)?
        } else {
            None
        };
        if unresolved && aborted.is_some() {
            return Ok(false);
        }
        let because = if unresolved {
            "nobody answers the router's three address requests a second apart; its error comes \
             back over a long line"
        } else {
            "the answer to the SYN comes a round trip later"
        };
        let abort = Abort {
            abort_at,
            attempts: Vec::new(),
            errno: errno.unwrap_or(errno::TIMED_OUT),
            because: because.into(),
            rules: match fate {
                Fate::Refused { .. } => vec![RuleId::SoftError, RuleId::ConnectAnswer],
                Fate::Unresolved { .. } => vec![RuleId::Neighbour, RuleId::ConnectAnswer],
                _ => vec![RuleId::ConnectAnswer],
            },
            undecided: None,
        };
        // It returns before the program makes its next call.
        let next = self.processes[p].calls.front().map(|act| act.at.earliest);
        let back = at.after(after);
        let back = Span::new(back.earliest, next.unwrap_or(back.latest));
        let answered = errno.is_none() && aborted.is_none();
        if answered {
            self.conntrack_open(at)?;
        }
        let by_timer = unresolved || aborted.is_some();
        self.processes[p].wait = Wait::Connect(Connecting {
            began: if by_timer { self.kernel.anchor(at) } else { at },
            abort: aborted.unwrap_or(abort),
            nonblocking,
            name: step.conn.clone(),
            host: Some(host),
            port,
            delivered: answered.then_some(back),
            delayed: true,
        });
        Ok(true)
    }

    /// When the error of a router arrives that resolves the next hop in vain once the SYN
    /// has reached it; `after`: round trip to it, from the SYN's sending.
    fn router_resolution_fails(
        &self,
        (own, host): (&str, &str),
        at: Span,
        after: Duration,
    ) -> Result<Spans, String> {
        let (_, back) = self.paths.delay_to_end(own, host, Kind::Syn)?;
        let (wheel, there) = (self.kernel.wheel(), after - back);
        let begins = self.kernel.phase.later(at.earliest + there, wheel);
        // Its timer starts once the packet was handled: perhaps a tick later.
        let each = begins.within(at.width() + wheel.tick() / 2, wheel);
        Ok(each
            .into_iter()
            .map(|(late, begins)| {
                neighbour::given_up(wheel, begins).map(|span| span.after(after + late))
            })
            .fold(Spans::default(), Spans::and))
    }

    /// The abort of connect(), if TCP gives up before the answer arrives.
    fn aborts_before(&self, p: usize, at: Span, answer: &Spans) -> Result<Option<Abort>, String> {
        let facts = self.facts(p, Fate::Lost, InFlight::After, false);
        let aborted = facts.armed(at, Facts::connect_abort);
        let gives_up = aborted.as_ref().and_then(|abort| abort.abort_at.hull());
        let (Some(answer), Some(gives_up)) = (answer.hull(), gives_up) else {
            return Ok(None);
        };
        if gives_up.latest < answer.earliest {
            return Ok(aborted);
        }
        if gives_up.earliest <= answer.latest {
            return Err("whether TCP gives up before the answer is there".into());
        }
        Ok(None)
    }

    /// connect() has failed; a non-blocking one shows it by poll().
    pub(super) fn connect_failed(&mut self, p: usize, failure: Failure, nonblocking: bool) {
        let by_call = failure.rules == [RuleId::ConnectAnswer] && failure.errno != "ECONNREFUSED";
        if nonblocking && !by_call {
            self.observe(p, "poll", SignKind::PollHangup, failure.into());
        } else {
            let errno = SignKind::Errno(failure.errno.into());
            self.observe(p, "connect", errno, failure.into());
        }
    }

    /// accept(), if a connection waits. Returns whether it returned.
    pub(super) fn try_accept(&mut self, p: usize, left: u32) -> Result<bool, String> {
        let host = self.processes[p].host;
        let Some(port) = self.processes[p].ports.last().copied() else {
            return self.end_script(p).map(|()| true);
        };
        let waiting = self.backlog.get_mut(&(host, port));
        let Some(sock) = waiting.and_then(VecDeque::pop_front) else {
            return Ok(false);
        };
        let came = self.socks[sock].since;
        self.wake(p, Some(came));
        self.processes[p].start_call("accept");
        if left > 1 {
            self.processes[p].wait = Wait::Accept(left - 1);
        }
        let process = &self.processes[p];
        let (at, lane) = (process.at, process.lane);
        let serve = process.frames.last().and_then(|f| f.steps.get(f.next));
        let serve = match serve.map(|s| &s.action) {
            Some(Action::Serve { fork, each }) => Some((*fork, each)),
            _ => None,
        };
        self.socks[sock].has_process = true;
        let at = self.processes[p].take_setsockopt(at);
        self.accept(sock, lane, at);
        let Some((fork, steps)) = serve else {
            let name = self.name(p, None);
            self.processes[p].connections.push((name, sock));
            return Ok(true);
        };
        let after = if fork {
            After::Exit
        } else {
            After::CloseNewest
        };
        let frame = Frame {
            steps,
            next: 0,
            times: 1,
            after,
        };
        if fork {
            self.processes[p].children += 1;
            let (label, number) = (
                process_label(&self.processes[p]),
                self.processes[p].children,
            );
            let calls = self.moments.calls(&label.0, label.1, number).to_vec();
            self.processes.push(Process {
                parent: Some(p),
                label,
                number,
                calls: calls.into(),
                frames: vec![frame],
                connections: vec![(None, sock)],
                unnamed: 1,
                ..Process::new(lane, at)
            });
        } else {
            self.processes[p].connections.push((None, sock));
            self.processes[p].frames.push(frame);
        }
        Ok(true)
    }

    /// The name of a process's next connection.
    pub(super) fn name(&mut self, p: usize, given: Option<String>) -> Option<String> {
        let process = &mut self.processes[p];
        given.or_else(|| {
            process.unnamed += 1;
            (process.unnamed > 1).then(|| format!("#{}", process.unnamed))
        })
    }
}

fn process_label(process: &Process<'_>) -> (String, u32) {
    process.label.clone()
}
