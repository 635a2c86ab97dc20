//! The packet ladder: packets and events as text, on the lifelines of nodes in order of
//! time.

mod canvas;

use crate::record::{Packet, WireCounts};
use canvas::Canvas;

/// Width of the column of times.
const CLOCK: usize = 13;

/// What is drawn on one line.
pub struct Row {
    /// Its time, nanoseconds.
    pub at_ns: i64,
    /// When a call that began at `at_ns` returned; else `at_ns`.
    pub until_ns: i64,
    /// What is drawn.
    pub what: Mark,
}

/// What a row draws. Nodes are indices of lifelines.
pub enum Mark {
    /// Text at a node's lifeline.
    At(usize, String),
    /// An arrow between two lifelines.
    Arrow {
        /// The sender.
        from: usize,
        /// The node at the cable's other end.
        to: usize,
        /// What stands in its middle.
        label: String,
        /// It does not arrive.
        lost: bool,
    },
    /// Text across all lifelines.
    Across(String),
}

impl Row {
    /// An event that happens to the whole network.
    pub fn event(at_ns: i64, text: String) -> Row {
        Row {
            at_ns,
            until_ns: at_ns,
            what: Mark::Across(text),
        }
    }

    /// A packet as an arrow; None: one of its ends has no lifeline.
    pub fn packet(packet: &Packet, lifelines: &[String]) -> Option<Row> {
        let index = |name: &str| lifelines.iter().position(|node| node == name);
        Some(Row {
            at_ns: packet.sent_ns,
            until_ns: packet.sent_ns,
            what: Mark::Arrow {
                from: index(&packet.from)?,
                to: index(far_end(packet))?,
                label: label(packet),
                lost: packet.delivered_ns.is_none(),
            },
        })
    }
}

/// The lifelines: nodes in the order of the path with the client on the left, so
/// that no arrow crosses the lifeline of a router. `others` are nodes that need one
/// although no packet passed them.
pub fn lifelines<'a>(packets: &'a [Packet], others: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut cables: Vec<(&str, &str)> = Vec::new();
    for packet in packets {
        let cable = (packet.from.as_str(), far_end(packet));
        if !cables.contains(&cable) && !cables.contains(&(cable.1, cable.0)) {
            cables.push(cable);
        }
    }
    let mut nodes: Vec<String> = Vec::new();
    let mut waiting: Vec<&str> = cables.iter().flat_map(|(a, b)| [*a, *b]).collect();
    waiting.extend(others);
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
        if name.is_empty() || nodes.iter().any(|node| node == name) {
            continue;
        }
        nodes.push(name.to_owned());
        waiting.extend(cables.iter().filter(|(a, _)| *a == name).map(|(_, b)| *b));
        waiting.extend(cables.iter().filter(|(_, b)| *b == name).map(|(a, _)| *a));
    }
    nodes
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

/// Draws rows in their order, the nodes' names above them. Of more than `most` rows those in
/// the middle are left out, and `cure` says how to see them. Times are in seconds since
/// `zero_ns`.
pub fn draw(
    rows: &[Row],
    lifelines: &[String],
    width: usize,
    most: usize,
    zero_ns: i64,
    cure: &str,
) -> String {
    let canvas = Canvas::new(lifelines, width);
    let mut text = canvas.names(lifelines);
    let hidden = rows.len().saturating_sub(most);
    let head = most.div_ceil(2).min(rows.len());
    for (index, row) in rows.iter().enumerate() {
        if hidden > 0 && index == head {
            text.push_str(&format!(
                "{:>CLOCK$}  ({hidden} more rows: {cure})\n",
                "..."
            ));
        }
        if hidden > 0 && (head..head + hidden).contains(&index) {
            continue;
        }
        let line = canvas.draw(&row.what);
        let seconds = (row.at_ns - zero_ns) as f64 / 1e9;
        text.push_str(format!("{seconds:>+CLOCK$.6}  {line}").trim_end());
        text.push('\n');
    }
    text
}

/// The line below the rows: what was sent, by kind. Empty when nothing was.
pub fn sent(counts: &WireCounts) -> String {
    let counts = self::counts(counts);
    match counts.is_empty() {
        true => String::new(),
        false => format!("{:>CLOCK$}  {counts}\n", "sent:"),
    }
}

/// A packet: `data 5 bytes again, lost`.
pub fn label(packet: &Packet) -> String {
    let mut text = packet.kind.clone();
    if packet.len > 0 {
        text.push_str(&format!(" {} bytes", packet.len));
    }
    if packet.retransmission {
        text.push_str(" again");
    }
    if packet.delivered_ns.is_none() {
        text.push_str(", lost");
    }
    text
}

/// What was sent, by kind: `1 SYN, 2 data, 1 again`. Empty when nothing was.
pub fn counts(counts: &WireCounts) -> String {
    let kinds = [
        (counts.syn, "SYN"),
        (counts.syn_ack, "SYN+ACK"),
        (counts.data, "data"),
        (counts.pure_ack, "ack"),
        (counts.keepalive_probes, "keepalive probes"),
        (counts.window_probes, "window probes"),
        (counts.fin, "FIN"),
        (counts.rst, "RST"),
        (counts.retransmissions, "of them again"),
        (counts.arp, "ARP"),
        (counts.ndp, "NDP"),
    ];
    let icmp = counts
        .icmp
        .iter()
        .map(|(kind, n)| format!("{n} ICMP {kind}"));
    let seen = kinds
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, kind)| format!("{n} {kind}"));
    seen.chain(icmp).collect::<Vec<_>>().join(", ")
}
