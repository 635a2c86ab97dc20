//! The record of one case: every call, every fault, every packet.
//!
//! All times are nanoseconds on CLOCK_MONOTONIC since the case's start (the
//! moment its lanes were let go).

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::recovery::Recovery;
use halfopen_predict::Prediction;
use halfopen_scenario::case::{Sign, SignKind};

/// What a case showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The case's id.
    pub id: String,
    /// Its scenario.
    pub scenario: String,
    /// Its point of the matrix.
    pub axes: IndexMap<String, String>,
    /// Where the story comes from.
    pub source: Vec<String>,
    /// What the book says.
    pub book: Option<Sign>,
    /// What Linux was expected to do.
    pub expect: Option<Sign>,
    /// Where Linux and the book differ, and why.
    pub notes: Option<String>,
    /// Whether it ran.
    pub status: Status,
    /// When its lanes were let go, CLOCK_MONOTONIC; only in virtual time, where
    /// that is the same every time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ns: Option<i64>,
    /// The first call after the fault that did not go as if nothing had happened.
    pub first_sign: Option<FirstSign>,
    /// What was done, and when the kernel took it.
    pub faults: Vec<FaultRecord>,
    /// Every process and every call.
    pub endpoints: Vec<EndpointRecord>,
    /// What became of the connections after an outage, if one was healed.
    #[serde(default)]
    pub recovery: Option<Recovery>,
    /// What netstat showed, moment by moment.
    pub netstat: Vec<Netstat>,
    /// What passed the wire.
    pub wire: WireRecord,
    /// How the observation compares with what was expected.
    pub verdict: Verdict,
    /// What nobody expected, in words.
    pub surprises: Vec<String>,
    /// What the rules of the kernel said would happen.
    #[serde(default)]
    pub prediction: Option<Prediction>,
    /// Why they say nothing, if they do not.
    #[serde(default)]
    pub unpredictable: Option<String>,
    /// How what was seen lies outside the prediction, if it does.
    #[serde(default)]
    pub outside: Option<String>,
}

/// Whether a case ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran to its end.
    Ran,
    /// It was not run, for this reason.
    NotRun(String),
    /// The harness failed, with this error.
    Failed(String),
}

/// How an observation compares with what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As expected.
    AsExpected,
    /// Not as expected.
    Differs,
    /// Not as expected, and known to be so.
    Known,
    /// Nothing was expected; the observation stands alone.
    Observed,
    /// Not run.
    NotRun,
    /// The harness failed.
    Failed,
}

/// The first call after the fault that did not go as if nothing had happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirstSign {
    /// The lane that noticed; empty when unnoticed.
    pub endpoint: String,
    /// The call that showed it; empty when unnoticed.
    pub call: String,
    /// What it showed.
    pub outcome: SignKind,
    /// The errno's name, if it is one.
    pub errno: Option<String>,
    /// Time since the fault took effect; None when unnoticed.
    pub since_fault_ns: Option<i64>,
    /// The same moment, by the wire's own evidence where there is one (the RST
    /// or FIN that caused it reached the host, or the host's own RST left it,
    /// while the call was under way), since the fault.
    pub wire_evidence_ns: Option<i64>,
}

/// One thing that was done to the lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its name, which is also its mark.
    pub name: String,
    /// In words: `crash server`, `drop to server by nft on the wire`.
    pub what: String,
    /// Whether time counts from it (typing and healing are no faults).
    pub is_fault: bool,
    /// When the runner asked the kernel for it.
    pub asked_ns: i64,
    /// When the kernel had taken it: the answer to the request was there.
    #[serde(rename = "took_ns")]
    pub effective_ns: i64,
}

/// One lane's run, from start to end. A rebooted lane has several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The lane's name; copies carry a number: `client.2`.
    pub lane: String,
    /// Its host.
    pub host: String,
    /// 0 at first, one more for each boot.
    pub boot: u32,
    /// Its processes: the first is the lane's own, others are forked children.
    pub processes: Vec<ProcessRecord>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// 0 for the lane's own process, then children by order of their birth.
    pub number: u32,
    /// Every call, in order.
    pub calls: Vec<Call>,
    /// How it ended; None: it was still running when the case ended.
    pub end: Option<ProcessEnd>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEnd {
    /// When it was reaped.
    pub at_ns: i64,
    /// Exit status or signal.
    pub how: ExitKind,
}

/// Exit status or signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitKind {
    /// exit() with this status.
    Exited(i32),
    /// Killed by this signal, by name.
    Killed(String),
}

/// One system call of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its name: `read`.
    pub call: String,
    /// The connection it was made on, by name, if any.
    pub conn: Option<String>,
    /// The line of the step it belongs to.
    pub line: u32,
    /// When it was made.
    pub start_ns: i64,
    /// When it returned; None: it never did.
    pub end_ns: Option<i64>,
    /// What it returned.
    pub result: CallResult,
}

/// What a call returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// Its value: bytes, a descriptor count, 0.
    Value(i64),
    /// -1 and this errno, by name.
    Errno(String),
    /// poll(): the events of each ready descriptor, `socket:IN|RDHUP`.
    Ready(Vec<String>),
    /// poll() ran into its limit.
    TimedOut,
    /// It never returned.
    Blocked,
}

/// The sockets of all hosts at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Netstat {
    /// When.
    pub at_ns: i64,
    /// Why then: `before crash`, `after crash`, `end`, or the event's name.
    pub moment: String,
    /// The TCP sockets, host by host.
    pub sockets: Vec<SocketState>,
    /// What the lanes' processes hold, host by host.
    #[serde(default)]
    pub held: Vec<Held>,
}

/// One TCP socket as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SocketState {
    /// The host.
    pub host: String,
    /// `ESTABLISHED`, `CLOSE_WAIT`, `FIN_WAIT2`, `LISTEN`, ...
    pub state: String,
    /// `address:port`.
    pub local: String,
    /// `address:port`.
    pub peer: String,
    /// Bytes not yet read; for LISTEN, connections waiting for accept().
    pub recv_q: u32,
    /// Bytes not yet acknowledged; for LISTEN, the backlog.
    pub send_q: u32,
    /// The timer that runs: `on` (retransmission), `keepalive`, `timewait`, `probe`, `off`.
    pub timer: String,
    /// When it fires, milliseconds from then.
    pub timer_ms: u32,
    /// Its retransmission or probe count.
    pub retransmits: u8,
    /// Whether a process holds it (an orphan has no inode, and neither has a
    /// connection that nobody has accepted yet).
    pub owned: bool,
    /// Bytes the kernel has set aside for its queues (SK_MEMINFO_RMEM_ALLOC,
    /// _WMEM_QUEUED and _FWD_ALLOC); the socket itself not included.
    #[serde(default)]
    pub memory: u32,
}

/// What the processes on a host hold at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The host.
    pub host: String,
    /// Open descriptors of its lanes' processes, children included.
    pub descriptors: u32,
}

/// What passed the wire.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WireRecord {
    /// Counts by kind, of packets as they left their host.
    pub counts: WireCounts,
    /// Every packet, in order of time.
    pub packets: Vec<Packet>,
    /// Packets the capture itself lost: when not 0, counts are too low.
    pub lost_by_capture: u64,
}

/// Counts of packets, as they left their host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct WireCounts {
    pub syn: u32,
    pub syn_ack: u32,
    pub fin: u32,
    pub rst: u32,
    pub data: u32,
    pub psh: u32,
    pub pure_ack: u32,
    pub keepalive_probes: u32,
    pub window_probes: u32,
    pub retransmissions: u32,
    pub arp: u32,
    pub ndp: u32,
    /// By kind: `host-unreachable`.
    pub icmp: IndexMap<String, u32>,
}

/// One packet as it left its host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packet {
    /// When it entered the wire.
    pub sent_ns: i64,
    /// When it left the wire for the next node; None: it was lost on the cable.
    pub delivered_ns: Option<i64>,
    /// The cable it passed, `client-server`.
    pub cable: String,
    /// The node that put it on the cable.
    pub from: String,
    /// Source, `address:port`.
    pub src: String,
    /// Destination.
    pub dst: String,
    /// What it is: `SYN`, `keepalive-probe`, `data`, `ack`, `arp-request`, `icmp host-unreachable`, ...
    pub kind: String,
    /// TCP flags as letters: `S`, `SA`, `PA`, `F`, `R`, `RA`; empty if not TCP.
    pub flags: String,
    /// TCP sequence number, relative to its connection's first one.
    pub seq: Option<u32>,
    /// TCP acknowledgment number, relative.
    pub ack: Option<u32>,
    /// Bytes of payload.
    pub len: u32,
    /// Bytes of the whole frame, Ethernet's header included, its checksum not.
    #[serde(default)]
    pub frame: u32,
    /// TCP window, as announced (unscaled).
    pub window: Option<u16>,
    /// It was sent before, in full or in part.
    pub retransmission: bool,
}
