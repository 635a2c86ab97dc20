//! A case as a pcapng file, for Wireshark and its relatives: every frame as each end of
//! the wire saw it, and faults, calls with their errnos and lines of output as comments.
//!
//! The format is draft-ietf-opsawg-pcapng: blocks of 32-bit words, here little-endian. It
//! has no block for a comment alone, so that an event is a packet of an interface of its
//! own, `events`, whose content and comment are its text (DLT_USER0; the display filter
//! `frame.comment` finds it). Times are CLOCK_MONOTONIC in nanoseconds.

use std::fs;
use std::io;
use std::path::Path;

use crate::observe::capture::{Frame, SNAP};
use crate::observe::port::PortInfo;
use crate::recorded::Recorded;
use halfopen_outcome::record::{Call, CallResult, EndpointRecord, ExitKind};

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1A2B_3C4D;
const ETHERNET: u16 = 1;
const USER0: u16 = 147;

// Codes of options. The comment is the same everywhere.
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_RESOLUTION: u16 = 9;
const FLAGS: u16 = 2;

/// if_tsresol: ten to the minus nine.
const NANOSECONDS: u8 = 9;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

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
    let mut file = File::default();
    file.section(id);
    for port in &captured.ports {
        file.interface(
            ETHERNET,
            &port_name(port, &captured.ports),
            &format!("the cable {} at {}", port.cable, port.node),
        );
    }
    file.interface(
        USER0,
        "events",
        "faults, calls and lines of output, as comments",
    );
    let mut events = events(recorded);
    events.sort_by_key(|(at_ns, _)| *at_ns);
    let mut events = events.into_iter().peekable();
    let mut frames: Vec<&Frame> = captured.frames.iter().collect();
    frames.sort_by_key(|frame| frame.at_ns);
    for frame in frames {
        while let Some((at_ns, text)) = events.next_if(|(at_ns, _)| *at_ns <= frame.at_ns) {
            file.event(captured.ports.len(), at_ns, &text);
        }
        let port = captured
            .ports
            .iter()
            .position(|p| p.ifindex == frame.ifindex);
        if let Some(port) = port {
            file.frame(port, frame);
        }
    }
    for (at_ns, text) in events {
        file.event(captured.ports.len(), at_ns, &text);
    }
    file.0
}

/// The node at the port's end, with the cable where the node has several.
fn port_name(port: &PortInfo, all: &[PortInfo]) -> String {
    let mut of_node = all.iter().filter(|other| other.node == port.node);
    match of_node.all(|other| other.cable == port.cable) {
        true => port.node.clone(),
        false => format!("{} ({})", port.node, port.cable),
    }
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

/// A file that grows.
#[derive(Default)]
struct File(Vec<u8>);

impl File {
    fn section(&mut self, id: &str) {
        let mut body = Vec::new();
        body.extend(BYTE_ORDER.to_le_bytes());
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        // The section's length is not said.
        body.extend((-1_i64).to_le_bytes());
        let application = concat!("halfopen ", env!("CARGO_PKG_VERSION"));
        option(&mut body, COMMENT, id.as_bytes());
        option(&mut body, APPLICATION, application.as_bytes());
        self.block(SECTION, body);
    }

    fn interface(&mut self, link: u16, name: &str, description: &str) {
        let mut body = Vec::new();
        body.extend(link.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        let snap = if link == ETHERNET { SNAP as u32 } else { 0 };
        body.extend(snap.to_le_bytes());
        option(&mut body, IF_NAME, name.as_bytes());
        option(&mut body, IF_DESCRIPTION, description.as_bytes());
        option(&mut body, IF_RESOLUTION, &[NANOSECONDS]);
        self.block(INTERFACE, body);
    }

    fn frame(&mut self, interface: usize, frame: &Frame) {
        let mut body = packet(interface, frame.at_ns, &frame.bytes, frame.wire_len);
        // As the node sees it, not as the wire between the nodes.
        let direction = if frame.outgoing { INBOUND } else { OUTBOUND };
        option(&mut body, FLAGS, &direction.to_le_bytes());
        self.block(PACKET, body);
    }

    fn event(&mut self, interface: usize, at_ns: i64, text: &str) {
        let bytes = text.as_bytes();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut body = packet(interface, at_ns, bytes, length);
        option(&mut body, COMMENT, bytes);
        self.block(PACKET, body);
    }

    /// Adds a block. Its options end with one of their own kind.
    fn block(&mut self, kind: u32, mut body: Vec<u8>) {
        option(&mut body, 0, &[]);
        // Type, and the length before and after.
        let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX);
        self.0.extend(kind.to_le_bytes());
        self.0.extend(length.to_le_bytes());
        self.0.extend(body);
        self.0.extend(length.to_le_bytes());
    }
}

/// The body of an enhanced packet block, without options.
fn packet(interface: usize, at_ns: i64, bytes: &[u8], original: u32) -> Vec<u8> {
    let at = u64::try_from(at_ns).unwrap_or(0);
    let mut body = Vec::new();
    for word in [
        u32::try_from(interface).unwrap_or(u32::MAX),
        (at >> 32) as u32,
        at as u32,
        u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        original,
    ] {
        body.extend(word.to_le_bytes());
    }
    body.extend(bytes);
    pad(&mut body);
    body
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX) - 3)];
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::Captured;
    use halfopen_outcome::record::{FaultRecord, ProcessRecord};

    fn recorded() -> Recorded {
        let port = |ifindex, node: &str| PortInfo {
            ifindex,
            cable: "client-server".into(),
            node: node.into(),
            other: "other".into(),
        };
        let frame = |at_ns, ifindex, outgoing| Frame {
            at_ns,
            ifindex,
            outgoing,
            bytes: vec![0xAA; 61],
            wire_len: 1514,
            rest: None,
        };
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
                    }],
                    end: None,
                }],
            }],
            captured: Captured {
                frames: vec![
                    frame(4_100_000_000, 3, false),
                    frame(4_100_000_001, 4, true),
                ],
                ports: vec![port(3, "client"), port(4, "server")],
                t0_ns: 100_000_000,
                ..Captured::default()
            },
            ..Recorded::default()
        }
    }

    /// The kinds of the blocks, by walking along their lengths, which stand twice.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |bytes: &[u8]| u32::from_le_bytes(*bytes.first_chunk().expect("four bytes"));
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let length = word(&file[4..]) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(word(&file[length - 4..]) as usize, length);
            blocks.push((word(file), file[8..length - 4].to_vec()));
            file = &file[length..];
        }
        blocks
    }

    #[test]
    fn frames_and_events_come_in_the_order_of_their_times() {
        let blocks = blocks(&encode("it/family=ipv4", &recorded()));
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, 1, 1, 1, 6, 6, 6, 6, 6]);
        let text = |index: usize| String::from_utf8_lossy(&blocks[index].1).into_owned();
        assert!(text(0).contains("it/family=ipv4"));
        assert!(text(1).contains("client") && text(3).contains("events"));
        assert!(text(4).contains("the case begins"));
        assert_eq!(
            &blocks[5].1[..20],
            &packet(0, 4_100_000_000, &[0; 61], 1514)[..20]
        );
        assert!(text(7).contains("crash: crash server"));
        assert!(text(8).contains("client read server:7000: ETIMEDOUT after 6 s"));
    }

    #[test]
    fn a_file_is_named_as_its_case() {
        assert_eq!(file_name("a-b/family=ipv4"), "a-b_family=ipv4.pcapng");
    }
}
