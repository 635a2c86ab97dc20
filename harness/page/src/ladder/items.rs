//! What a ladder shows, in order of time: packets, calls, ends of processes, output,
//! events and the sockets' states.

use std::collections::BTreeMap;

use halfopen_net::span::human_ns;
use halfopen_outcome::record::{
    CallResult, EndpointRecord, ExitKind, FaultRecord, Netstat, Outcome, reference_ns,
};
use halfopen_report::ladder::far_end;
use halfopen_report::text;

use crate::svg::shortened;

/// A call that takes no longer is one row, as in the ladder of text.
const SINGLE_ROW_NS: i64 = 1_000_000;

/// A packet that is under way for longer arrives in a row of its own.
const LONG_FLIGHT_NS: i64 = 2_000_000;

/// How much of a line that a program wrote is shown.
const MOST_OF_A_LINE: usize = 56;

/// The most items of a ladder. Of more, those in the middle are left out: a thousand
/// connections make no drawing that somebody looks at.
const MOST: usize = 400;

/// One thing that is drawn.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) at_ns: i64,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// A packet from one lifeline to another; `flight` numbers those whose arrival is
    /// an item of its own.
    Packet {
        from: usize,
        to: usize,
        label: String,
        class: &'static str,
        lost: bool,
        flight: Option<usize>,
    },
    /// The arrival of such a packet.
    Arrival { flight: usize },
    /// A call that began and returned at once, an end of a process, a line of output.
    Text {
        host: usize,
        label: String,
        class: &'static str,
    },
    /// The beginning of a long call, by its number.
    Began {
        host: usize,
        call: usize,
        label: String,
        class: &'static str,
    },
    /// Its return.
    Returned {
        host: usize,
        call: usize,
        label: String,
        class: &'static str,
    },
    /// An event, by its number.
    Fault {
        number: usize,
        label: String,
        class: &'static str,
        lasts: Lasts,
    },
    /// The states of the hosts' sockets, by lifeline.
    States {
        moment: String,
        hosts: Vec<(usize, String)>,
    },
    /// What was left out.
    LeftOut(usize),
}

/// How long the effect of an event lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    /// It has happened.
    No,
    /// Until the event of this number.
    Until(usize),
    /// To the end of the case.
    ToTheEnd,
}

/// All items of a case in order of time.
pub(super) fn of(outcome: &Outcome, hosts: &[String]) -> Vec<Item> {
    let index = |name: &str| hosts.iter().position(|host| host == name);
    let mut items = Vec::new();
    events(&mut items, &outcome.faults);
    let mut flights = 0;
    for packet in &outcome.wire.packets {
        let (Some(from), Some(to)) = (index(&packet.from), index(far_end(packet))) else {
            continue;
        };
        let long = packet
            .delivered_ns
            .filter(|arrival| arrival - packet.sent_ns > LONG_FLIGHT_NS);
        let flight = long.map(|_| flights);
        items.push(Item {
            at_ns: packet.sent_ns,
            what: What::Packet {
                from,
                to,
                label: text::packet(packet),
                class: packet_class(&packet.kind, &packet.flags, packet.retransmission),
                lost: packet.delivered_ns.is_none(),
                flight,
            },
        });
        if let Some(at_ns) = long {
            let what = What::Arrival { flight: flights };
            items.push(Item { at_ns, what });
            flights += 1;
        }
    }
    items.extend(outcome.kernel_events.iter().map(|event| Item {
        at_ns: event.at_ns,
        what: What::Text {
            host: event.host.as_deref().and_then(index).unwrap_or(0),
            label: text::kernel_event(event),
            class: "out",
        },
    }));
    let first = FirstSignAt::of(outcome);
    let mut number = 0;
    for endpoint in &outcome.endpoints {
        if let Some(host) = index(&endpoint.host) {
            calls(&mut items, endpoint, host, &first, &mut number);
        }
    }
    for program in &outcome.programs {
        let Some(host) = index(&program.host) else {
            continue;
        };
        let signals = program.signals.iter().filter(|signal| !signal.is_routine());
        items.extend(signals.map(|signal| Item {
            at_ns: signal.at_ns,
            what: What::Text {
                host,
                label: format!("{}{signal}", who(&program.lane, &program.host)),
                class: "err",
            },
        }));
        for line in program.lines.iter().filter(|line| !line.text.is_empty()) {
            let text = shortened(&line.text, MOST_OF_A_LINE);
            let class = if line.stderr { "err" } else { "out" };
            let label = format!("{}“{text}”", who(&program.lane, &program.host));
            let what = What::Text { host, label, class };
            items.push(Item {
                at_ns: line.at_ns,
                what,
            });
        }
    }
    for moment in &outcome.netstat {
        items.extend(states(moment, &index));
    }
    items.sort_by_key(|item| item.at_ns);
    shorten(items)
}

/// Leaves out the middle of very many items, and what belongs to it elsewhere.
fn shorten(mut items: Vec<Item>) -> Vec<Item> {
    let Some(hidden) = items.len().checked_sub(MOST).filter(|n| *n > 0) else {
        return items;
    };
    let tail = items.split_off(MOST / 2 + hidden);
    items.truncate(MOST / 2);
    let at_ns = tail.first().map_or(0, |item| item.at_ns);
    items.push(Item {
        at_ns,
        what: What::LeftOut(hidden),
    });
    items.extend(tail);
    items
}

/// The call that is the first sign.
struct FirstSignAt<'a> {
    lane: &'a str,
    call: &'a str,
    at_ns: Option<i64>,
}

impl<'a> FirstSignAt<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let zero = reference_ns(&outcome.faults);
        match &outcome.first_sign {
            Some(first) => FirstSignAt {
                lane: &first.endpoint,
                call: &first.call,
                at_ns: first.since_fault_ns.map(|ns| zero + ns),
            },
            None => FirstSignAt {
                lane: "",
                call: "",
                at_ns: None,
            },
        }
    }

    fn is(&self, lane: &str, call: &str, end_ns: i64) -> bool {
        self.at_ns == Some(end_ns) && self.lane == lane && self.call == call
    }
}

fn calls(
    items: &mut Vec<Item>,
    endpoint: &EndpointRecord,
    host: usize,
    first: &FirstSignAt<'_>,
    number: &mut usize,
) {
    // Of a program's helpers that did nothing on the network the end says nothing.
    let silent = |number: u32, calls: usize| number > 0 && calls == 0;
    for process in &endpoint.processes {
        if silent(process.number, process.calls.len()) {
            continue;
        }
        let mut who = who(&endpoint.lane, &endpoint.host);
        who.push_str(&text::process(process));
        for call in &process.calls {
            let class = match (&call.result, call.end_ns) {
                (_, Some(end)) if first.is(&endpoint.lane, &call.call, end) => "first",
                (_, None) | (CallResult::Blocked, _) => "blocked",
                (CallResult::Errno(_), _) => "failed",
                _ => "call",
            };
            let text = format!("{who}{}", text::call(call));
            let Some(end) = call.end_ns else {
                items.push(began(
                    call.start_ns,
                    host,
                    *number,
                    format!("{who}{}() never returned", call.call),
                    class,
                ));
                *number += 1;
                continue;
            };
            if end - call.start_ns <= SINGLE_ROW_NS {
                items.push(Item {
                    at_ns: end,
                    what: What::Text {
                        host,
                        label: text,
                        class,
                    },
                });
                continue;
            }
            items.push(began(
                call.start_ns,
                host,
                *number,
                format!("{who}{}() …", call.call),
                class,
            ));
            items.push(Item {
                at_ns: end,
                what: What::Returned {
                    host,
                    call: *number,
                    label: format!("{text} ({})", human_ns(end - call.start_ns)),
                    class,
                },
            });
            *number += 1;
        }
        if let Some(end) = &process.end {
            let how = match &end.how {
                ExitKind::Exited(status) => format!("{who}exited with {status}"),
                ExitKind::Killed(signal) => format!("{who}died of {signal}"),
            };
            items.push(Item {
                at_ns: end.at_ns,
                what: What::Text {
                    host,
                    label: how,
                    class: "end",
                },
            });
        }
    }
}

fn began(at_ns: i64, host: usize, call: usize, label: String, class: &'static str) -> Item {
    Item {
        at_ns,
        what: What::Began {
            host,
            call,
            label,
            class,
        },
    }
}

/// `db: ` for a lane that is not called as its host.
fn who(lane: &str, host: &str) -> String {
    if lane == host {
        String::new()
    } else {
        format!("{lane}: ")
    }
}

fn events(items: &mut Vec<Item>, faults: &[FaultRecord]) {
    let mut lasting: Vec<(usize, &str)> = Vec::new();
    for (number, fault) in faults.iter().enumerate() {
        let heals = !fault.is_fault && lasting.iter().any(|(_, name)| ends(&fault.what, name));
        lasting.retain(|(_, name)| !ends(&fault.what, name));
        let lasts = match fault.is_fault && persists(&fault.what) {
            false => Lasts::No,
            true => {
                lasting.push((number, &fault.name));
                healed_at(faults, number).map_or(Lasts::ToTheEnd, Lasts::Until)
            }
        };
        let class = match (fault.is_fault, heals) {
            (true, _) => "fault",
            (false, true) => "heal",
            (false, false) => "event",
        };
        items.push(Item {
            at_ns: fault.effective_ns,
            what: What::Fault {
                number,
                label: fault.what.clone(),
                class,
                lasts,
            },
        });
    }
}

/// Which event ends the effect of another, by its index.
fn healed_at(faults: &[FaultRecord], number: usize) -> Option<usize> {
    let name = &faults[number].name;
    let later = faults.iter().enumerate().skip(number + 1);
    let mut healing = later.filter(|(_, fault)| ends(&fault.what, name));
    healing.next().map(|(at, _)| at)
}

/// Whether an event ends the effect of the fault of this name.
fn ends(what: &str, name: &str) -> bool {
    what == "heal everything"
        || what.strip_prefix("heal ") == Some(name)
        || what.starts_with("thaw ")
}

/// Whether the effect of an event goes on by itself until something ends it. A
/// killed process or a reset does not go on: it has happened.
fn persists(what: &str) -> bool {
    const VERBS: [&str; 6] = ["crash ", "cut ", "drop ", "reject ", "impair ", "freeze "];
    VERBS.iter().any(|verb| what.starts_with(verb))
}

/// The sockets of each host at a moment, listeners aside: `ESTABLISHED, 2 TIME_WAIT`.
fn states(moment: &Netstat, index: &dyn Fn(&str) -> Option<usize>) -> Option<Item> {
    let mut hosts: BTreeMap<usize, BTreeMap<&str, u32>> = BTreeMap::new();
    for socket in moment.sockets.iter().filter(|s| s.state != "LISTEN") {
        if let Some(host) = index(&socket.host) {
            *hosts
                .entry(host)
                .or_default()
                .entry(&socket.state)
                .or_default() += 1;
        }
    }
    let hosts: Vec<(usize, String)> = hosts
        .into_iter()
        .map(|(host, states)| {
            let words: Vec<String> = states
                .into_iter()
                .map(|(state, n)| match n {
                    1 => state.to_owned(),
                    n => format!("{n} {state}"),
                })
                .collect();
            (host, words.join(", "))
        })
        .collect();
    let what = What::States {
        moment: moment.moment.clone(),
        hosts,
    };
    let shown = matches!(&what, What::States { hosts, .. } if !hosts.is_empty());
    shown.then_some(Item {
        at_ns: moment.at_ns,
        what,
    })
}

fn packet_class(kind: &str, flags: &str, again: bool) -> &'static str {
    match kind {
        _ if flags.contains('R') => "rst",
        _ if kind.starts_with("icmp") => "icmp",
        _ if again => "again",
        _ if kind.starts_with("arp") || kind.starts_with("ndp") => "arp",
        "keepalive-probe" | "window-probe" => "probe",
        _ => "packet",
    }
}
