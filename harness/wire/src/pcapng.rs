//! Frames and events as a pcapng file, for Wireshark and its relatives: every frame as each
//! end of the wire saw it, and events as comments.
//!
//! The format is draft-ietf-opsawg-pcapng: blocks of 32-bit words, here little-endian. It
//! has no block for a comment alone, so that an event is a packet of an interface of its
//! own, `events`, whose content and comment are its text (DLT_USER0; the display filter
//! `frame.comment` finds it). Times are CLOCK_MONOTONIC in nanoseconds.

use crate::frame::{Frame, SNAP};
use crate::port::PortInfo;

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

/// The bytes of a file. `title` is the file's comment; events are texts with their times,
/// CLOCK_MONOTONIC in nanoseconds.
pub fn encode(
    title: &str,
    frames: &[Frame],
    ports: &[PortInfo],
    mut events: Vec<(i64, String)>,
) -> Vec<u8> {
    let mut file = File::default();
    file.section(title);
    for port in ports {
        file.interface(
            ETHERNET,
            &port_name(port, ports),
            &format!("the cable {} at {}", port.cable, port.node),
        );
    }
    file.interface(
        USER0,
        "events",
        "faults, calls and lines of output, as comments",
    );
    events.sort_by_key(|(at_ns, _)| *at_ns);
    let mut events = events.into_iter().peekable();
    let mut frames: Vec<&Frame> = frames.iter().collect();
    frames.sort_by_key(|frame| frame.at_ns);
    for frame in frames {
        while let Some((at_ns, text)) = events.next_if(|(at_ns, _)| *at_ns <= frame.at_ns) {
            file.event(ports.len(), at_ns, &text);
        }
        if let Some(port) = ports.iter().position(|p| p.ifindex == frame.ifindex) {
            file.frame(port, frame);
        }
    }
    for (at_ns, text) in events {
        file.event(ports.len(), at_ns, &text);
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
        let frames = [
            frame(4_000_000_000, 3, false),
            frame(4_000_000_001, 4, true),
        ];
        let ports = [port(3, "client"), port(4, "server")];
        let events = vec![
            (6_000_000_000, "the end".to_owned()),
            (100_000_000, "the case begins".to_owned()),
        ];
        let blocks = blocks(&encode("it/family=ipv4", &frames, &ports, events));
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, 1, 1, 1, 6, 6, 6, 6]);
        let text = |index: usize| String::from_utf8_lossy(&blocks[index].1).into_owned();
        assert!(text(0).contains("it/family=ipv4"));
        assert!(text(1).contains("client") && text(3).contains("events"));
        assert!(text(4).contains("the case begins"));
        assert_eq!(
            &blocks[5].1[..20],
            &packet(0, 4_000_000_000, &[0; 61], 1514)[..20]
        );
        assert!(text(7).contains("the end"));
    }
}
