//! The record of a case that was simulated instead of run: one of the courses that the
//! kernel's rules allow, with every packet and every call, as `predict --ladder` draws it.
//! It needs `halfopen-sim`; the command uses it.

use std::time::Duration;

use super::first_sign::first_sign;
use super::record::{
    Call, CallResult, EndpointRecord, FaultRecord, Outcome, Packet, ProcessRecord, Status, Verdict,
    WireCounts, WireRecord,
};
use halfopen_predict::{KernelFacts, Moments};
use halfopen_scenario::case::{Case, Family, describe};
use halfopen_sim::{
    CallResult as Returned, Detail, Happened, Place, Run, SentFrame, Trace, simulate,
};

/// Simulates a case on a kernel, up to its first sign.
///
/// # Errors
/// What the model does not contain, in words.
pub fn simulated(case: &Case, kernel: KernelFacts) -> Result<Outcome, String> {
    let place = Place::at(kernel.phase);
    let run = simulate(case, kernel, &Moments::default(), place, Detail::Everything);
    if let Some(what) = run.unknown {
        return Err(what);
    }
    Ok(outcome(case, &run))
}

fn outcome(case: &Case, run: &Run) -> Outcome {
    let faults = faults(case, &run.trace);
    let endpoints = endpoints(case, &run.trace);
    let wire = wire(case, &run.trace);
    Outcome {
        status: Status::Ran,
        first_sign: Some(first_sign(&case.watch, &faults, &endpoints, &wire)),
        faults,
        endpoints,
        wire,
        verdict: Verdict::Observed,
        ..Outcome::not_run(case)
    }
}

fn ns(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn faults(case: &Case, trace: &Trace) -> Vec<FaultRecord> {
    let events = trace.events.iter().filter_map(|e| match e.what {
        Happened::Event { index } => Some((ns(e.at), case.events.get(index)?)),
        _ => None,
    });
    events
        .map(|(at, event)| FaultRecord {
            name: event.name.clone(),
            what: describe(&event.action),
            is_fault: event.is_fault(),
            due_ns: None,
            asked_ns: at,
            effective_ns: at,
        })
        .collect()
}

fn endpoints(case: &Case, trace: &Trace) -> Vec<EndpointRecord> {
    let mut all: Vec<EndpointRecord> = Vec::new();
    for (process, ran) in trace.processes.iter().enumerate() {
        let calls = trace.events.iter().filter_map(|e| match &e.what {
            Happened::Call {
                process: of,
                call,
                line,
                began,
                result,
            } if *of == process => Some(Call {
                call: (*call).to_owned(),
                conn: None,
                line: *line,
                step: Default::default(),
                start_ns: ns(*began),
                end_ns: result.as_ref().map(|_| ns(e.at)),
                result: returned(result.as_ref()),
                limit_ns: None,
            }),
            _ => None,
        });
        let record = ProcessRecord {
            number: ran.number,
            thread: None,
            calls: calls.collect(),
            end: None,
        };
        let same = |e: &&mut EndpointRecord| e.lane == ran.label && e.boot == ran.boot;
        match all.iter_mut().find(same) {
            Some(endpoint) => endpoint.processes.push(record),
            None => all.push(EndpointRecord {
                lane: ran.label.clone(),
                host: node(case, ran.node),
                boot: ran.boot,
                program: false,
                processes: vec![record],
            }),
        }
    }
    all
}

fn returned(result: Option<&Returned>) -> CallResult {
    match result {
        None | Some(Returned::Sigpipe) => CallResult::Blocked,
        Some(Returned::Value(value)) => {
            CallResult::Value(i64::try_from(*value).unwrap_or(i64::MAX))
        }
        Some(Returned::Errno(errno)) => CallResult::Errno((*errno).to_owned()),
        Some(Returned::Ready { ends: true }) => {
            CallResult::Ready(vec!["socket:IN|RDHUP".to_owned()])
        }
        Some(Returned::Ready { ends: false }) => CallResult::Ready(vec!["socket:IN".to_owned()]),
        Some(Returned::TimedOut | Returned::HeartbeatLost) => CallResult::TimedOut,
    }
}

fn node(case: &Case, node: usize) -> String {
    let found = case.network.nodes.get(node);
    found.map_or_else(String::new, |node| node.name.clone())
}

fn wire(case: &Case, trace: &Trace) -> WireRecord {
    let mut record = WireRecord::default();
    for event in &trace.events {
        let Happened::Frame(frame) = &event.what else {
            continue;
        };
        let kind = kind(case, frame);
        if frame.ends[0].0 == Some(frame.from) {
            count(&mut record.counts, frame, &kind);
        }
        let (from, to) = (node(case, frame.from), node(case, frame.to));
        let cables = case.network.cables.iter();
        let cable = cables
            .filter(|(a, b)| (a, b) == (&from, &to) || (a, b) == (&to, &from))
            .map(|(a, b)| format!("{a}-{b}"))
            .next();
        let end = |(of, port): (Option<usize>, u16)| {
            let name = of.map_or_else(|| "nobody".to_owned(), |of| node(case, of));
            format!("{name}:{port}")
        };
        let low = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or(0);
        record.packets.push(Packet {
            sent_ns: ns(event.at),
            delivered_ns: frame.arrives.map(ns),
            cable: cable.unwrap_or_else(|| format!("{from}-{to}")),
            from,
            src: end(frame.ends[0]),
            dst: end(frame.ends[1]),
            kind,
            flags: frame.flags.clone(),
            seq: frame.seq.map(low),
            ack: frame.ack.map(low),
            len: low(frame.len),
            frame: 0,
            window: None,
            retransmission: frame.again,
        });
    }
    record
}

fn kind(case: &Case, frame: &SentFrame) -> String {
    let word = match (case.family, frame.kind.as_str()) {
        (Family::Ipv4, "solicitation") => "arp-request",
        (Family::Ipv4, "advertisement") => "arp-reply",
        (Family::Ipv6, "solicitation") => "neighbour-solicitation",
        (Family::Ipv6, "advertisement") => "neighbour-advertisement",
        (_, other) => other,
    };
    word.to_owned()
}

fn count(counts: &mut WireCounts, frame: &SentFrame, kind: &str) {
    counts.retransmissions += u32::from(frame.again);
    counts.psh += u32::from(frame.flags.contains('P'));
    match kind {
        "SYN" => counts.syn += 1,
        "SYN+ACK" => counts.syn_ack += 1,
        "FIN" => counts.fin += 1,
        "RST" => counts.rst += 1,
        "data" => counts.data += 1,
        "ack" => counts.pure_ack += 1,
        "keepalive-probe" => counts.keepalive_probes += 1,
        "arp-request" | "arp-reply" => counts.arp += 1,
        "neighbour-solicitation" | "neighbour-advertisement" => counts.ndp += 1,
        other => {
            if let Some(error) = other.strip_prefix("icmp ") {
                *counts.icmp.entry(error.to_owned()).or_insert(0) += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_predict::Version;
    use halfopen_scenario::case::SignKind;

    /// The server is killed while its packets are lost; the path comes back.
    #[test]
    fn a_fin_that_was_lost_is_sent_again() {
        let text = "\
version: 1
scenarios:
  fin-after-heal:
    about: A FIN is lost.
    server: [listen, accept, { read: 100 }, { sleep: 1h }]
    client: [connect, { write: hello }, read]
    faults:
      - { at: 300ms, drop: { from: server }, name: lossy }
      - { at: 500ms, kill: server }
      - { at: 1s, heal: lossy }
    give_up: 6s
";
        let cases = halfopen_scenario::parse("test", text)
            .expect("a scenario")
            .cases;
        let facts = KernelFacts::new(Version(6, 12), 250);
        let outcome = simulated(&cases[0], facts).expect("it is modelled");
        let sign = outcome.first_sign.expect("every case has one");
        assert_eq!((sign.outcome, sign.call.as_str()), (SignKind::Eof, "read"));
        let fins = outcome.wire.packets.iter().filter(|p| p.kind == "FIN");
        let sent: Vec<bool> = fins.map(|p| p.retransmission).collect();
        assert_eq!(sent.first(), Some(&false));
        assert!(sent[1..].iter().all(|again| *again), "{sent:?}");
        assert_eq!(u32::try_from(sent.len()), Ok(outcome.wire.counts.fin));
    }
}
