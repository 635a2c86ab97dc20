//! A case as a pcapng file ([`halfopen_wire::pcapng`]): its frames, and faults, calls with
//! their errnos and lines of output as comments.

use std::fs;
use std::io;
use std::path::Path;

use crate::recorded::Recorded;
use halfopen_outcome::record::{Call, CallResult, EndpointRecord, ExitKind};

/// Writes what was recorded of a case to its file in `directory`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(directory: &Path, id: &str, recorded: &Recorded) -> io::Result<()> {
    fs::write(directory.join(file_name(id)), encode(id, recorded))
}

/// The name of a case's file: its id, whose slash cannot stand in one.
pub fn file_name(id: &str) -> String {
    format!("{}.pcapng", id.replace('/', "_"))
}

/// The bytes of a case's file.
pub fn encode(id: &str, recorded: &Recorded) -> Vec<u8> {
    let captured = &recorded.captured;
    let events = events(recorded);
    halfopen_wire::pcapng::encode(id, &captured.frames, &captured.ports, events)
}

/// What happened besides frames, with its time.
fn events(recorded: &Recorded) -> Vec<(i64, String)> {
    let t0_ns = recorded.captured.t0_ns;
    let mut events = vec![(t0_ns, "the case begins".to_owned())];
    for fault in &recorded.faults {
        events.push((
            t0_ns + fault.effective_ns,
            format!("{}: {}", fault.name, fault.what),
        ));
    }
    for endpoint in &recorded.endpoints {
        of_endpoint(&mut events, endpoint, t0_ns);
    }
    for program in &recorded.programs {
        for signal in &program.signals {
            let text = format!("{} {signal}", program.lane);
            events.push((t0_ns + signal.at_ns, text));
        }
        for line in &program.lines {
            let stream = if line.stderr { "stderr" } else { "stdout" };
            let text = format!("{} {stream}: {}", program.lane, line.text);
            events.push((t0_ns + line.at_ns, text));
        }
    }
    events
}

fn of_endpoint(events: &mut Vec<(i64, String)>, endpoint: &EndpointRecord, t0_ns: i64) {
    for process in &endpoint.processes {
        let who = match process.number {
            0 => endpoint.lane.clone(),
            number => format!("{}[{number}]", endpoint.lane),
        };
        for call in &process.calls {
            let at_ns = call.end_ns.unwrap_or(call.start_ns);
            events.push((t0_ns + at_ns, format!("{who} {}", call_text(call))));
        }
        if let Some(end) = &process.end {
            let how = match &end.how {
                ExitKind::Exited(status) => format!("exits with {status}"),
                ExitKind::Killed(signal) => format!("is ended by {signal}"),
            };
            events.push((t0_ns + end.at_ns, format!("{who} {how}")));
        }
    }
}

/// `recvfrom server:7000: ETIMEDOUT after 30.4 s`.
fn call_text(call: &Call) -> String {
    let conn = call
        .conn
        .as_ref()
        .map(|conn| format!(" {conn}"))
        .unwrap_or_default();
    let result = match &call.result {
        CallResult::Value(value) => value.to_string(),
        CallResult::Errno(name) => name.clone(),
        CallResult::Ready(events) => events.join(" "),
        CallResult::TimedOut => "timed out".to_owned(),
        CallResult::Blocked => "begins, and does not return".to_owned(),
    };
    match call.end_ns {
        Some(end_ns) => {
            let span = halfopen_net::span::human_ns(end_ns - call.start_ns);
            format!("{}{conn}: {result} after {span}", call.call)
        }
        None => format!("{}{conn}: {result}", call.call),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::Captured;
    use halfopen_outcome::record::{FaultRecord, ProcessRecord};

    fn recorded() -> Recorded {
        Recorded {
            faults: vec![FaultRecord {
                name: "crash".into(),
                what: "crash server".into(),
                is_fault: true,
                due_ns: None,
                asked_ns: 1,
                effective_ns: 5_000_000_000,
            }],
            endpoints: vec![EndpointRecord {
                lane: "client".into(),
                host: "client".into(),
                boot: 0,
                program: false,
                processes: vec![ProcessRecord {
                    number: 0,
                    thread: None,
                    calls: vec![Call {
                        call: "read".into(),
                        conn: Some("server:7000".into()),
                        line: 1,
                        step: 1,
                        start_ns: 0,
                        end_ns: Some(6_000_000_000),
                        result: CallResult::Errno("ETIMEDOUT".into()),
                        limit_ns: None,
                    }],
                    end: None,
                }],
            }],
            captured: Captured {
                t0_ns: 100_000_000,
                ..Captured::default()
            },
            ..Recorded::default()
        }
    }

    #[test]
    fn faults_and_calls_are_events() {
        let expected = [
            (100_000_000, "the case begins"),
            (5_100_000_000, "crash: crash server"),
            (
                6_100_000_000,
                "client read server:7000: ETIMEDOUT after 6 s",
            ),
        ];
        let expected = expected.map(|(at, text)| (at, text.to_owned()));
        assert_eq!(events(&recorded()), expected);
    }

    #[test]
    fn a_file_is_named_as_its_case() {
        assert_eq!(file_name("a-b/family=ipv4"), "a-b_family=ipv4.pcapng");
    }
}
