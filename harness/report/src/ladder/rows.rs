//! The rows of a ladder: events, packets, calls and ends of processes with their
//! times, and the order of the lifelines.

use crate::text;
use halfopen_net::span::human_ns;
use halfopen_outcome::record::{
    EndpointRecord, ExitKind, Outcome, Packet, ProgramRecord, ProgramSignal,
};

/// A call that takes no longer is one row; a longer one has a row for its start
/// and a row for its return.
const SINGLE_ROW_NS: i64 = 1_000_000;

/// How much of a line that a program wrote is shown.
const MOST_OF_A_LINE: usize = 70;

pub(super) struct Row {
    pub(super) at_ns: i64,
    /// When the call that began at `at_ns` returned. A call that was blocked at the
    /// fault belongs to the evidence, however early it began.
    pub(super) until_ns: i64,
    pub(super) what: Mark,
}

/// What a row draws. Hosts are indices of lifelines.
pub(super) enum Mark {
    /// Text at a host's lifeline.
    At(usize, String),
    /// An arrow between two lifelines; a lost packet does not arrive.
    Arrow {
        from: usize,
        to: usize,
        label: String,
        lost: bool,
    },
    /// Text across all lifelines.
    Across(String),
}

/// The lifelines: nodes in the order of the path with the client on the left, so
/// that no arrow crosses the lifeline of a router.
pub fn hosts(outcome: &Outcome) -> Vec<String> {
    let mut cables: Vec<(&str, &str)> = Vec::new();
    for packet in &outcome.wire.packets {
        let cable = (packet.from.as_str(), far_end(packet));
        if !cables.contains(&cable) && !cables.contains(&(cable.1, cable.0)) {
            cables.push(cable);
        }
    }
    let mut hosts: Vec<String> = Vec::new();
    let mut waiting: Vec<&str> = cables.iter().flat_map(|(a, b)| [*a, *b]).collect();
    waiting.extend(outcome.endpoints.iter().map(|e| e.host.as_str()));
    // The ends of the path come first, and `client` before the others.
    let ends = |name: &str| {
        cables
            .iter()
            .filter(|(a, b)| *a == name || *b == name)
            .count()
    };
    waiting.sort_by_key(|name| (*name != "client", ends(name)));
    // Depth first along the cables.
    waiting.reverse();
    while let Some(name) = waiting.pop() {
        if name.is_empty() || hosts.iter().any(|host| host == name) {
            continue;
        }
        hosts.push(name.to_owned());
        waiting.extend(cables.iter().filter(|(a, _)| *a == name).map(|(_, b)| *b));
        waiting.extend(cables.iter().filter(|(_, b)| *b == name).map(|(a, _)| *a));
    }
    hosts
}

/// The node at the other end of the cable that a packet was put on; empty if the
/// cable is not one of its sender's.
pub fn far_end(packet: &Packet) -> &str {
    let (cable, from) = (packet.cable.as_str(), packet.from.as_str());
    let after = cable
        .strip_prefix(from)
        .and_then(|rest| rest.strip_prefix('-'));
    let before = cable
        .strip_suffix(from)
        .and_then(|rest| rest.strip_suffix('-'));
    after.or(before).unwrap_or("")
}

/// All rows, in no order.
pub(super) fn rows(outcome: &Outcome, hosts: &[String]) -> Vec<Row> {
    let index = |name: &str| hosts.iter().position(|host| host == name);
    let mut rows = Vec::new();
    for fault in &outcome.faults {
        rows.push(Row {
            until_ns: fault.effective_ns,
            at_ns: fault.effective_ns,
            what: Mark::Across(fault.what.clone()),
        });
    }
    for packet in &outcome.wire.packets {
        let (Some(from), Some(to)) = (index(&packet.from), index(far_end(packet))) else {
            continue;
        };
        let label = text::packet(packet);
        let lost = packet.delivered_ns.is_none();
        let (at_ns, what) = (
            packet.sent_ns,
            Mark::Arrow {
                from,
                to,
                label,
                lost,
            },
        );
        rows.push(Row {
            at_ns,
            until_ns: at_ns,
            what,
        });
    }
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
