//! The record of a case in the form that it has in the JSON. Of a crowd, a case with
//! thousands of packets, calls, packets and sockets are summed: each kind of them is
//! one entry with its number, unless all are asked for.

use indexmap::IndexMap;
use serde::Serialize;

use halfopen_outcome::record::{
    Call, CallResult, EndpointRecord, FdCount, Netstat, Outcome, Packet, ProcessEnd, SocketState,
    WireCounts,
};

/// Whether crowds are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Those with more than 1000 packets are.
    Summed,
    /// Nothing is.
    All,
}

/// A case with more packets than this is a crowd.
const CROWD: usize = 1_000;

impl Detail {
    /// Whether a case's record is written in full.
    pub(super) fn is_full(self, outcome: &Outcome) -> bool {
        self == Detail::All || outcome.wire.packets.len() <= CROWD
    }
}

/// The packets of a case.
#[derive(Serialize)]
pub(super) struct WireView<'a> {
    counts: &'a WireCounts,
    packets: Vec<PacketView<'a>>,
    /// Instead of `packets`, in a crowd.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    packets_summed: Vec<PacketsView<'a>>,
    lost_by_capture: u64,
}

/// A packet. What most packets do not have, or are not, is left out.
#[derive(Serialize)]
struct PacketView<'a> {
    sent_ns: i64,
    delivered_ns: Option<i64>,
    cable: &'a str,
    from: &'a str,
    src: &'a str,
    dst: &'a str,
    kind: &'a str,
    flags: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<u32>,
    len: u32,
    frame: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<u16>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retransmission: bool,
}

impl<'a> From<&'a Packet> for PacketView<'a> {
    fn from(packet: &'a Packet) -> Self {
        PacketView {
            sent_ns: packet.sent_ns,
            delivered_ns: packet.delivered_ns,
            cable: &packet.cable,
            from: &packet.from,
            src: &packet.src,
            dst: &packet.dst,
            kind: &packet.kind,
            flags: &packet.flags,
            seq: packet.seq,
            ack: packet.ack,
            len: packet.len,
            frame: packet.frame,
            window: packet.window,
            retransmission: packet.retransmission,
        }
    }
}

/// Packets of one kind from one node.
#[derive(Serialize)]
struct PacketsView<'a> {
    from: &'a str,
    cable: &'a str,
    kind: &'a str,
    packets: u32,
    bytes: u64,
    retransmissions: u32,
    lost: u32,
    first_ns: i64,
    last_ns: i64,
}

impl<'a> WireView<'a> {
    pub(super) fn of(outcome: &'a Outcome, full: bool) -> Self {
        let wire = &outcome.wire;
        let mut sums: IndexMap<(&str, &str, &str), PacketsView<'a>> = IndexMap::new();
        for packet in wire.packets.iter().filter(|_| !full) {
            let key = (
                packet.from.as_str(),
                packet.cable.as_str(),
                packet.kind.as_str(),
            );
            let sum = sums.entry(key).or_insert(PacketsView {
                from: key.0,
                cable: key.1,
                kind: key.2,
                packets: 0,
                bytes: 0,
                retransmissions: 0,
                lost: 0,
                first_ns: packet.sent_ns,
                last_ns: packet.sent_ns,
            });
            sum.packets += 1;
            sum.bytes += u64::from(packet.frame);
            sum.retransmissions += u32::from(packet.retransmission);
            sum.lost += u32::from(packet.delivered_ns.is_none());
            sum.last_ns = packet.sent_ns;
        }
        WireView {
            counts: &wire.counts,
            packets: match full {
                true => wire.packets.iter().map(PacketView::from).collect(),
                false => Vec::new(),
            },
            packets_summed: sums.into_values().collect(),
            lost_by_capture: wire.lost_by_capture,
        }
    }
}

/// A lane from its start to its end.
#[derive(Serialize)]
pub(super) struct EndpointView<'a> {
    lane: &'a str,
    host: &'a str,
    boot: u32,
    processes: Vec<ProcessView<'a>>,
}

#[derive(Serialize)]
struct ProcessView<'a> {
    number: u32,
    /// Its name, if it is a thread of a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<&'a str>,
    calls: Vec<CallView<'a>>,
    /// Instead of `calls`, in a crowd.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls_summed: Vec<CallsView<'a>>,
    end: Option<&'a ProcessEnd>,
}

#[derive(Serialize)]
struct CallView<'a> {
    call: &'a str,
    conn: Option<&'a str>,
    line: u32,
    start_ns: i64,
    end_ns: Option<i64>,
    result: &'a CallResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_ns: Option<u64>,
}

/// Calls of one kind with one kind of result.
#[derive(Serialize)]
struct CallsView<'a> {
    call: &'a str,
    line: u32,
    /// `ok`, an errno's name, `timed_out` or `blocked`.
    result: &'a str,
    calls: u32,
    first_ns: i64,
    last_ns: i64,
}

impl<'a> EndpointView<'a> {
    pub(super) fn of(endpoint: &'a EndpointRecord, full: bool) -> Self {
        let processes = endpoint.processes.iter().map(|process| ProcessView {
            number: process.number,
            thread: process.thread.as_deref(),
            calls: match full {
                true => process.calls.iter().map(CallView::of).collect(),
                false => Vec::new(),
            },
            calls_summed: match full {
                true => Vec::new(),
                false => CallsView::of(&process.calls),
            },
            end: process.end.as_ref(),
        });
        EndpointView {
            lane: &endpoint.lane,
            host: &endpoint.host,
            boot: endpoint.boot,
            processes: processes.collect(),
        }
    }
}

impl<'a> CallView<'a> {
    fn of(call: &'a Call) -> Self {
        CallView {
            call: &call.call,
            conn: call.conn.as_deref(),
            line: call.line,
            start_ns: call.start_ns,
            end_ns: call.end_ns,
            result: &call.result,
            limit_ns: call.limit_ns,
        }
    }
}

impl<'a> CallsView<'a> {
    fn of(calls: &'a [Call]) -> Vec<Self> {
        let mut sums: IndexMap<(&str, u32, &str), CallsView<'a>> = IndexMap::new();
        for call in calls {
            let result = match &call.result {
                CallResult::Value(_) | CallResult::Ready(_) => "ok",
                CallResult::Errno(name) => name,
                CallResult::TimedOut => "timed_out",
                CallResult::Blocked => "blocked",
            };
            let key = (call.call.as_str(), call.line, result);
            let sum = sums.entry(key).or_insert(CallsView {
                call: &call.call,
                line: call.line,
                result,
                calls: 0,
                first_ns: call.start_ns,
                last_ns: call.start_ns,
            });
            sum.calls += 1;
            sum.last_ns = call.start_ns;
        }
        sums.into_values().collect()
    }
}

/// The sockets of all hosts at one moment.
#[derive(Serialize)]
pub(super) struct NetstatView<'a> {
    at_ns: i64,
    moment: &'a str,
    sockets: &'a [SocketState],
    /// Instead of `sockets`, in a crowd.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sockets_summed: Vec<SocketsView<'a>>,
    held: &'a [FdCount],
}

/// Sockets of one host in one state.
#[derive(Serialize)]
struct SocketsView<'a> {
    host: &'a str,
    state: &'a str,
    timer: &'a str,
    owned: bool,
    sockets: u32,
    recv_q: u64,
    send_q: u64,
    memory: u64,
}

impl<'a> NetstatView<'a> {
    pub(super) fn of(netstat: &'a Netstat, full: bool) -> Self {
        let mut sums: IndexMap<(&str, &str, &str, bool), SocketsView<'a>> = IndexMap::new();
        for socket in netstat.sockets.iter().filter(|_| !full) {
            let key = (
                socket.host.as_str(),
                socket.state.as_str(),
                socket.timer.as_str(),
                socket.owned,
            );
            let sum = sums.entry(key).or_insert(SocketsView {
                host: key.0,
                state: key.1,
                timer: key.2,
                owned: key.3,
                sockets: 0,
                recv_q: 0,
                send_q: 0,
                memory: 0,
            });
            sum.sockets += 1;
            sum.recv_q += u64::from(socket.recv_q);
            sum.send_q += u64::from(socket.send_q);
            sum.memory += u64::from(socket.memory);
        }
        NetstatView {
            at_ns: netstat.at_ns,
            moment: &netstat.moment,
            sockets: if full { &netstat.sockets } else { &[] },
            sockets_summed: sums.into_values().collect(),
            held: &netstat.fd_counts,
        }
    }
}
