//! What was wrong before the first fault struck: exchanges and connects that had
//! not ended, lanes that were not where the scenario has them, connections that
//! their server had not accepted. A fault gets no credit for what follows from
//! these. The runner asks when a case has ended, and again before it judges it.

use crate::first_sign::is_lane;
use crate::record::{Call, CallResult, EndpointRecord, FaultRecord};

use halfopen_scenario::case::{Action, Case, Event, Lane, Step, When, all_steps};

/// A connection that was made so short before the fault has not kept anybody
/// waiting: its server is about to accept it.
const ABOUT_TO_BE_ACCEPTED_NS: i64 = 50_000_000;

/// What was not as the scenario has it when the first fault struck or, without a
/// fault, at the end; one sentence each, with the step's line.
pub fn wrong_before(
    case: &Case,
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
) -> Vec<String> {
    let first = faults
        .iter()
        .filter(|fault| fault.is_fault)
        .min_by_key(|fault| fault.asked_ns);
    let moment = match first {
        Some(fault) if set_off_by_a_step(case, &fault.name) => return Vec::new(),
        Some(fault) => Moment {
            at_ns: fault.asked_ns,
            fault: Some(&fault.name),
        },
        None => Moment {
            at_ns: i64::MAX,
            fault: None,
        },
    };
    let record = Record {
        case,
        endpoints,
        moment,
    };
    endpoints
        .iter()
        .filter(|endpoint| endpoint.boot == 0)
        .filter_map(|endpoint| record.of_endpoint(endpoint))
        .collect()
}

/// Whether a lane's step sets the fault off, directly or by other events: what the
/// lanes do at that moment is what its author wants.
fn set_off_by_a_step(case: &Case, fault: &str) -> bool {
    let event = |name: &str| case.events.iter().find(|event| event.name == name);
    let mut next = event(fault);
    // Events do not wait for each other in a circle: the file was checked.
    while let Some(Event {
        when: When::After { mark, .. },
        ..
    }) = next
    {
        next = event(mark);
        if next.is_none() {
            return true;
        }
    }
    false
}

/// When it is asked what was wrong.
#[derive(Clone, Copy)]
struct Moment<'a> {
    at_ns: i64,
    /// The fault that struck then; None: the case ended.
    fault: Option<&'a str>,
}

struct Record<'a> {
    case: &'a Case,
    endpoints: &'a [EndpointRecord],
    moment: Moment<'a>,
}

impl Record<'_> {
    fn of_endpoint(&self, endpoint: &EndpointRecord) -> Option<String> {
        let lane = self.lane(endpoint)?;
        let steps = all_steps(&lane.steps);
        let calls = endpoint.processes.iter().flat_map(|process| &process.calls);
        let pending = calls.clone().find(|call| self.is_pending(call));
        let step = pending.and_then(|call| steps.iter().find(|step| step.number == call.step));
        let unserved = self.unserved(endpoint, pending);
        let (Some(step), Some(fault)) = (step, self.moment.fault) else {
            // Without a fault a wait is what the case shows, unless nobody was there.
            let step = step.filter(|step| waits_for_an_answer(step))?;
            let unserved = unserved?;
            let verb = verb(step)?;
            return Some(format!(
                "the {verb} of {} on line {} never ended: {unserved}",
                endpoint.lane, step.line
            ));
        };
        let verb = verb(step)?;
        let not_ended = format!(
            "when `{fault}` struck, the {verb} of {} on line {} had not ended",
            endpoint.lane, step.line
        );
        let why = match (&step.action, unserved) {
            (_, Some(unserved)) => unserved,
            (
                Action::Exchange { .. }
                | Action::Connect { .. }
                | Action::Pool { .. }
                | Action::Request { .. },
                None,
            ) => return Some(not_ended),
            (_, None) => {
                let wait = steps.iter().find(|later| {
                    let waits = matches!(&later.action, Action::WaitFor { mark } if mark == fault);
                    waits && later.number > step.number
                })?;
                format!(
                    "it was not at its `wait_for: {fault}` on line {} yet",
                    wait.line
                )
            }
        };
        Some(format!("{not_ended}: {why}"))
    }

    fn lane(&self, endpoint: &EndpointRecord) -> Option<&Lane> {
        let mut lanes = self.case.lanes.iter();
        lanes.find(|lane| is_lane(&endpoint.lane, &lane.name))
    }

    fn is_pending(&self, call: &Call) -> bool {
        let at_ns = self.moment.at_ns;
        call.start_ns < at_ns && call.end_ns.is_none_or(|end| end > at_ns)
    }

    /// How many of the connections to its server had been accepted, when the one
    /// that the pending call is made on was not among them.
    fn unserved(&self, endpoint: &EndpointRecord, pending: Option<&Call>) -> Option<String> {
        let pending = pending?;
        let mut made = Vec::new();
        let mut server = None;
        for client in self.endpoints.iter().filter(|e| e.boot == 0) {
            let Some(lane) = self.lane(client) else {
                continue;
            };
            let steps = all_steps(&lane.steps);
            for call in client.processes.iter().flat_map(|p| &p.calls) {
                let step = steps.iter().find(|step| step.number == call.step);
                let Some(Action::Connect { to, port, .. } | Action::Pool { to, port, .. }) =
                    step.map(|step| &step.action)
                else {
                    continue;
                };
                let (Some(end), "connect", CallResult::Value(0)) =
                    (call.end_ns, call.call.as_str(), &call.result)
                else {
                    continue;
                };
                let before = end < self.moment.at_ns.saturating_sub(ABOUT_TO_BE_ACCEPTED_NS);
                let nats = &self.case.network.nats;
                let behind = nats.iter().find(|nat| Some(&nat.router) == to.as_ref());
                let behind = behind.and_then(|nat| nat.service.clone());
                let listener = (behind.or_else(|| to.clone())?, *port);
                if before {
                    let own = client.lane == endpoint.lane && call.conn == pending.conn;
                    if own {
                        server = Some(listener.clone());
                    }
                    let of = (client.lane.as_str(), call.conn.as_deref());
                    made.push((end, of, listener));
                }
            }
        }
        let server = server?;
        made.retain(|(.., listener)| *listener == server);
        let (host, port) = server;
        let listening = self.case.lanes.iter().find(|lane| {
            let listens =
                |step: &&Step| matches!(step.action, Action::Listen { port: p, .. } if p == port);
            lane.host == host && all_steps(&lane.steps).iter().any(listens)
        })?;
        let steps = all_steps(&listening.steps);
        let takes_turns = |step: &&&Step| matches!(step.action, Action::Serve { fork: false, .. });
        // Who never accepts, and who has no slot left, means it.
        let accepts = steps.iter().any(|step| {
            matches!(
                step.action,
                Action::Accept { .. } | Action::Serve { fork: false, .. }
            )
        });
        if !accepts {
            return None;
        }
        made.sort_unstable();
        let accepted = self.accepted(&listening.name);
        let own = (endpoint.lane.as_str(), pending.conn.as_deref());
        let mine = made.iter().position(|(_, of, _)| *of == own)?;
        let one_at_a_time = match steps.iter().find(takes_turns) {
            Some(serve) => format!(
                "; its `serve` on line {} serves one at a time without `fork: true`",
                serve.line
            ),
            None => String::new(),
        };
        (mine >= accepted).then(|| {
            format!(
                "{} had accepted {accepted} of {} connections{one_at_a_time}",
                listening.name,
                made.len()
            )
        })
    }

    /// How many connections a server had accepted.
    fn accepted(&self, server: &str) -> usize {
        let servers = self.endpoints.iter().filter(|e| e.boot == 0);
        let servers = servers.filter(|e| is_lane(&e.lane, server));
        let calls = servers.flat_map(|e| &e.processes).flat_map(|p| &p.calls);
        let accepted = |call: &&Call| {
            call.call == "accept"
                && matches!(call.result, CallResult::Value(_))
                && call.end_ns.is_some_and(|end| end <= self.moment.at_ns)
        };
        calls.filter(accepted).count()
    }
}

/// Steps that wait for the peer's answer.
fn waits_for_an_answer(step: &Step) -> bool {
    matches!(
        step.action,
        Action::Exchange { .. } | Action::Request { .. } | Action::Read { .. } | Action::Drain
    )
}

/// How the step is called, if it can be late.
fn verb(step: &Step) -> Option<&'static str> {
    match step.action {
        Action::Exchange { .. } => Some("exchange"),
        Action::Connect { .. } => Some("connect"),
        Action::Pool { .. } => Some("pool"),
        Action::Request { .. } => Some("request"),
        Action::Read { .. } => Some("read"),
        Action::Drain => Some("drain"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ProcessRecord;
    use halfopen_scenario::parse;

    const MS: i64 = 1_000_000;

    fn case(server: &str, client: &str) -> Case {
        let text = format!(
            "
version: 1
scenarios:
  one:
    server: {server}
    client: {client}
    faults: [{{ at: 500ms, freeze: server }}]
    give_up: 3s
"
        );
        parse("t", &text).expect("the fixture is right").cases[0].clone()
    }

    /// A call of the `number`th step, counted from the server's first one.
    fn call(name: &str, conn: Option<&str>, step: u32, times: (i64, Option<i64>)) -> Call {
        Call {
            call: name.into(),
            conn: conn.map(str::to_owned),
            line: 5,
            step,
            start_ns: times.0 * MS,
            end_ns: times.1.map(|end| end * MS),
            result: match times.1 {
                Some(_) => CallResult::Value(0),
                None => CallResult::Blocked,
            },
            limit_ns: None,
        }
    }

    fn endpoint(lane: &str, calls: Vec<Call>) -> EndpointRecord {
        EndpointRecord {
            lane: lane.into(),
            host: lane.into(),
            boot: 0,
            program: false,
            processes: vec![ProcessRecord {
                number: 0,
                thread: None,
                calls,
                end: None,
            }],
        }
    }

    fn freeze() -> FaultRecord {
        FaultRecord {
            name: "freeze".into(),
            what: "freeze server".into(),
            is_fault: true,
            due_ns: None,
            asked_ns: 500 * MS,
            effective_ns: 500 * MS,
        }
    }

    #[test]
    fn an_exchange_that_had_not_ended_is_named_with_its_line() {
        let case = case(
            "[listen, accept, echo]",
            "[connect, { exchange: hello }, read]",
        );
        // Steps 1 to 3 are the server's.
        let exchange = |end| {
            vec![
                endpoint("server", vec![call("accept", None, 2, (0, Some(2)))]),
                endpoint(
                    "client",
                    vec![
                        call("connect", None, 4, (0, Some(1))),
                        call("read", None, 5, (2, end)),
                    ],
                ),
            ]
        };
        assert_eq!(
            wrong_before(&case, &[freeze()], &exchange(None)),
            ["when `freeze` struck, the exchange of client on line 6 had not ended"]
        );
        assert!(wrong_before(&case, &[freeze()], &exchange(Some(3))).is_empty());
        // Without a fault it may take as long as it likes.
        assert!(wrong_before(&case, &[], &exchange(None)).is_empty());
    }

    #[test]
    fn a_read_may_wait_for_the_fault_unless_its_lane_was_to_wait_elsewhere() {
        let reads = |client| {
            let case = case("[listen, accept, echo]", client);
            let client = vec![
                call("connect", None, 4, (0, Some(1))),
                call("read", None, 5, (2, Some(900))),
            ];
            wrong_before(&case, &[freeze()], &[endpoint("client", client)])
        };
        assert!(
            reads("[connect, read, { write: more }]").len() == 1,
            "nobody accepted"
        );
        let case = case(
            "[{ listen: { backlog: 9 } }, { sleep: 1h }, { sleep: 1h }]",
            "[connect, read, { wait_for: freeze }, { write: a }]",
        );
        let client = vec![
            call("connect", None, 4, (0, Some(1))),
            call("read", None, 5, (2, Some(900))),
        ];
        assert_eq!(
            wrong_before(&case, &[freeze()], &[endpoint("client", client)]),
            [
                "when `freeze` struck, the read of client on line 6 had not ended: it was not at its `wait_for: freeze` on line 6 yet"
            ]
        );
    }

    #[test]
    fn a_server_that_takes_turns_is_named() {
        let case = case(
            "[listen, { serve: { each: [echo] } }]",
            "[{ connect: { count: 2 } }, { exchange: hello }]",
        );
        let endpoints = [
            endpoint("server", vec![call("accept", None, 2, (0, Some(2)))]),
            endpoint(
                "client",
                vec![
                    call("connect", None, 4, (0, Some(1))),
                    call("connect", Some("#2"), 4, (1, Some(2))),
                    call("read", Some("#2"), 5, (3, None)),
                ],
            ),
        ];
        let turns = "server had accepted 1 of 2 connections; its `serve` on line 5 serves one at a time without `fork: true`";
        assert_eq!(
            wrong_before(&case, &[freeze()], &endpoints),
            [format!(
                "when `freeze` struck, the exchange of client on line 6 had not ended: {turns}"
            )]
        );
        assert_eq!(
            wrong_before(&case, &[], &endpoints),
            [format!(
                "the exchange of client on line 6 never ended: {turns}"
            )]
        );
    }

    /// A proxy's own connection was there a moment before its client knew of the one to it.
    #[test]
    fn connections_to_another_server_do_not_count() {
        let text = "
version: 1
networks:
  proxied: { hosts: [client, proxy, server], cables: [[client, proxy], [proxy, server]] }
scenarios:
  one:
    network: proxied
    server: [listen, accept, echo]
    lanes:
      proxy: [listen, { accept: , as: a }, { connect: server, as: b }, { relay: [a, b] }]
    client: [connect: proxy, { exchange: hello }, read]
    faults: [{ at: 500ms, freeze: server }]
    give_up: 3s
";
        let case = parse("t", text).expect("the fixture is right").cases[0].clone();
        let step = |lane: &str, which: usize| {
            let lane = case.lanes.iter().find(|l| l.name == lane);
            all_steps(&lane.expect("it is there").steps)[which].number
        };
        let endpoints = [
            endpoint(
                "proxy",
                vec![
                    call("accept", Some("a"), step("proxy", 1), (0, Some(1))),
                    call("connect", Some("b"), step("proxy", 2), (1, Some(2))),
                ],
            ),
            endpoint(
                "server",
                vec![call("accept", None, step("server", 1), (0, Some(2)))],
            ),
            endpoint(
                "client",
                vec![
                    call("connect", None, step("client", 0), (0, Some(3))),
                    call("read", None, step("client", 2), (4, None)),
                ],
            ),
        ];
        assert!(wrong_before(&case, &[freeze()], &endpoints).is_empty());
    }
}
