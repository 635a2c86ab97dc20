//! The rows of a ladder: events, packets, calls and ends of processes with their
//! times, and the order of the lifelines.

use crate::text;
use halfopen_net::span::human_ns;
use halfopen_outcome::record::{EndpointRecord, ExitKind, Outcome, ProgramRecord, ProgramSignal};
use halfopen_wire::ladder::{Mark, Row, lifelines};

/// A call that takes no longer is one row; a longer one has a row for its start
/// and a row for its return.
const SINGLE_ROW_NS: i64 = 1_000_000;

/// How much of a line that a program wrote is shown.
const MOST_OF_A_LINE: usize = 70;

/// The lifelines: nodes in the order of the path with the client on the left, so
/// that no arrow crosses the lifeline of a router.
pub fn hosts(outcome: &Outcome) -> Vec<String> {
    let endpoints = outcome.endpoints.iter().map(|e| e.host.as_str());
    lifelines(&outcome.wire.packets, endpoints)
}

/// All rows, in no order.
pub(super) fn rows(outcome: &Outcome, hosts: &[String]) -> Vec<Row> {
    let index = |name: &str| hosts.iter().position(|host| host == name);
    let mut rows = Vec::new();
    let faults = outcome.faults.iter();
    rows.extend(faults.map(|fault| Row::event(fault.effective_ns, fault.what.clone())));
    let packets = outcome.wire.packets.iter();
    rows.extend(packets.filter_map(|packet| Row::packet(packet, hosts)));
    for event in &outcome.kernel_events {
        let host = event.host.as_deref().and_then(index).unwrap_or(0);
        rows.push(Row {
            at_ns: event.at_ns,
            until_ns: event.at_ns,
            what: Mark::At(host, text::kernel_event(event)),
        });
    }
    for endpoint in &outcome.endpoints {
        if let Some(host) = index(&endpoint.host) {
            let row = |(at_ns, until_ns, text)| Row {
                at_ns,
                until_ns,
                what: Mark::At(host, text),
            };
            rows.extend(calls(endpoint).map(row));
        }
    }
    for program in &outcome.programs {
        let Some(host) = index(&program.host) else {
            continue;
        };
        let who = match program.lane == program.host {
            true => String::new(),
            false => format!("{}: ", program.lane),
        };
        let signals = program.signals.iter().filter(|signal| !signal.is_routine());
        rows.extend(signals.map(|signal| Row {
            at_ns: signal.at_ns,
            until_ns: signal.at_ns,
            what: Mark::At(
                host,
                format!("{who}{}{signal}", of_process(outcome, program, signal)),
            ),
        }));
        for line in program.lines.iter().filter(|line| !line.text.is_empty()) {
            let text: String = line.text.chars().take(MOST_OF_A_LINE).collect();
            rows.push(Row {
                at_ns: line.at_ns,
                until_ns: line.at_ns,
                what: Mark::At(host, format!("{who}\"{text}\"")),
            });
        }
    }
    rows
}

/// Which of the program's processes got a signal.
fn of_process(outcome: &Outcome, program: &ProgramRecord, signal: &ProgramSignal) -> String {
    let of_program = |e: &&EndpointRecord| e.lane == program.lane && e.boot == program.boot;
    let endpoint = outcome.endpoints.iter().find(of_program);
    let mut processes = endpoint.iter().flat_map(|endpoint| &endpoint.processes);
    let process = processes.find(|process| process.number == signal.process);
    process.map_or_else(String::new, text::process)
}

/// Calls and ends of a lane's processes: from when, until when, and the text.
fn calls(endpoint: &EndpointRecord) -> impl Iterator<Item = (i64, i64, String)> {
    // Of a program's helpers that did nothing on the network the end says nothing.
    let silent = |number: u32, calls: usize| number > 0 && calls == 0;
    let processes = endpoint.processes.iter();
    let processes = processes.filter(move |p| !silent(p.number, p.calls.len()));
    processes.flat_map(|process| {
        let mut who = if endpoint.lane == endpoint.host {
            String::new()
        } else {
            format!("{}: ", endpoint.lane)
        };
        who.push_str(&text::process(process));
        let mut rows = Vec::new();
        for call in &process.calls {
            let name = format!("{}()", call.call);
            match call.end_ns {
                Some(end) if end - call.start_ns <= SINGLE_ROW_NS => {
                    rows.push((end, end, format!("{who}{}", text::call(call))));
                }
                Some(end) => {
                    rows.push((call.start_ns, end, format!("{who}{name} ...")));
                    let duration = human_ns(end - call.start_ns);
                    rows.push((end, end, format!("{who}{} ({duration})", text::call(call))));
                }
                None => {
                    let text = format!("{who}{name} never returned");
                    rows.push((call.start_ns, i64::MAX, text));
                }
            }
        }
        if let Some(end) = &process.end {
            let how = match &end.how {
                ExitKind::Exited(status) => format!("exited with {status}"),
                ExitKind::Killed(signal) => format!("died of {signal}"),
            };
            rows.push((end.at_ns, end.at_ns, format!("{who}{how}")));
        }
        rows
    })
}
