//! What happened in a run: frames, calls, and what kernel functions decided.

use std::time::Duration;

use super::net::frame::{Addr, Body, Discovery, Frame, Payload, Segment};
use super::net::wire::HOP;
use super::{Detail, NodeId, ProcessId, Sim, SockId};
use halfopen_scenario::case::{RejectWith, SignKind};

/// What a call returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// A value.
    Value(u64),
    /// An errno, by name.
    Errno(&'static str),
    /// poll(): it is ready; whether it shows the end of a connection.
    Ready {
        /// HUP, ERR or RDHUP on a socket.
        ends: bool,
    },
    /// The limit of poll() has passed.
    TimedOut,
    /// The peer's heartbeat is missing.
    HeartbeatLost,
    /// The process died of SIGPIPE.
    Sigpipe,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// When, since the start of the case.
    pub at: Duration,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A frame entered a cable.
    Frame(Box<SentFrame>),
    /// A call of a process returned; `result` None: it had not when the run ended.
    Call {
        /// The process, by its index in [`Trace::processes`].
        process: usize,
        /// `read`.
        call: &'static str,
        /// The line of its step.
        line: u32,
        /// When it began.
        began: Duration,
        /// What it returned.
        result: Option<CallResult>,
    },
    /// An event of the case took effect.
    Event {
        /// Its index in the case.
        index: usize,
    },
    /// A kernel function decided something about a connection.
    Kernel {
        /// The node.
        node: NodeId,
        /// `tcp_write_timeout()`.
        function: &'static str,
        /// How often its oldest segment was sent again.
        retransmits: u32,
        /// Probes without an answer.
        probes: u32,
        /// The errno that was kept.
        soft: Option<&'static str>,
    },
}

/// A frame on a cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentFrame {
    /// The node that sent it.
    pub from: NodeId,
    /// The node at the other end.
    pub to: NodeId,
    /// When it arrives; None: it is lost.
    pub arrives: Option<Duration>,
    /// `SYN`, `data`, `ack`, `keepalive-probe`, `arp-request`, …
    pub kind: String,
    /// TCP's flags as letters: `PA`.
    pub flags: String,
    /// TCP's sequence number and acknowledgment, from each end's initial one.
    pub seq: Option<u64>,
    /// TCP's acknowledgment.
    pub ack: Option<u64>,
    /// Bytes of payload.
    pub len: u64,
    /// All or part of it was sent before.
    pub again: bool,
    /// Source and destination, as the nodes whose addresses they are, with ports.
    pub ends: [(Option<NodeId>, u16); 2],
}

/// A process that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanProcess {
    /// Its lane's label: `client`, `client.2`.
    pub label: String,
    /// The boot of its host.
    pub boot: u32,
    /// 0, or its number among the children.
    pub number: u32,
    /// Its host.
    pub node: NodeId,
}

/// A sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The lane.
    pub lane: String,
    /// The call.
    pub call: &'static str,
    /// What it shows.
    pub kind: SignKind,
    /// When.
    pub at: Duration,
    /// The kernel function that ended the connection, if one did.
    pub function: Option<&'static str>,
}

/// Everything that happened, in order, and the signs among it.
#[derive(Debug, Default)]
pub struct Trace {
    /// Everything.
    pub events: Vec<TraceEvent>,
    /// The signs of every lane.
    pub signs: Vec<Seen>,
    /// The processes.
    pub processes: Vec<RanProcess>,
}

impl Sim<'_> {
    fn push_trace(&mut self, what: Happened) {
        let at = Duration::from_nanos(self.now);
        self.trace.events.push(TraceEvent { at, what });
    }

    /// A frame enters a cable.
    pub(crate) fn trace_frame(
        &mut self,
        from: NodeId,
        to: NodeId,
        frame: &Frame,
        arrives: Option<u64>,
    ) {
        self.note_first_byte(to, frame, arrives);
        if self.detail == Detail::Signs {
            return;
        }
        let arrives = arrives.map(Duration::from_nanos);
        let sent = sent_frame(from, to, arrives, frame);
        self.push_trace(Happened::Frame(Box::new(sent)));
    }

    /// The first byte of a connection after the last heal.
    fn note_first_byte(&mut self, to: NodeId, frame: &Frame, arrives: Option<u64>) {
        let (Some((healed, None)), Some(at), Payload::Ip(packet)) =
            (self.healed, arrives, &frame.payload)
        else {
            return;
        };
        let older = self.fault.is_some_and(|(asked, _)| {
            let key = (to, packet.dst, packet.src);
            let sock = self.connections.get(&key);
            sock.is_some_and(|sock| self.socks[*sock].opened_at < asked)
        });
        let data = packet.segment().is_some_and(|segment| segment.len > 0);
        if data && older && self.now >= healed {
            // A lab's cable itself takes no time.
            self.healed = Some((healed, Some(at.saturating_sub(HOP))));
        }
    }

    /// A kernel function decides something about a connection.
    pub(crate) fn note(&mut self, sock: SockId, function: &'static str) {
        let sk = &self.socks[sock];
        let what = Happened::Kernel {
            node: sk.node,
            function,
            retransmits: sk.retransmits.into(),
            probes: sk.probes_out,
            soft: sk.sk_err_soft,
        };
        self.push_trace(what);
    }

    pub(crate) fn trace_event(&mut self, index: usize) {
        self.push_trace(Happened::Event { index });
    }

    /// A call returns.
    pub(crate) fn record(
        &mut self,
        id: ProcessId,
        call: &'static str,
        began: u64,
        result: CallResult,
        sock: Option<SockId>,
    ) {
        let process = &self.processes[id];
        let lane = process.lane.name.clone();
        let line = process.line;
        self.processes[id].pending = None;
        let kind = match &result {
            CallResult::Errno("EAGAIN") if matches!(call, "read" | "write") => {
                Some(SignKind::Timeout)
            }
            CallResult::Errno("EINTR") => None,
            CallResult::Errno("EINPROGRESS") if call == "connect" => None,
            CallResult::Errno(name) => Some(SignKind::Errno((*name).to_owned())),
            CallResult::Value(0) if call == "read" => Some(SignKind::Eof),
            CallResult::Ready { ends: true } => Some(SignKind::PollHangup),
            CallResult::TimedOut => Some(SignKind::Timeout),
            CallResult::HeartbeatLost => Some(SignKind::HeartbeatLost),
            CallResult::Sigpipe => Some(SignKind::Signal("SIGPIPE".to_owned())),
            CallResult::Value(_) | CallResult::Ready { ends: false } => None,
        };
        if let Some(kind) = kind {
            self.trace.signs.push(Seen {
                lane,
                call,
                kind,
                at: Duration::from_nanos(self.now),
                function: sock.and_then(|sock| self.socks[sock].ended),
            });
        }
        if self.detail == Detail::Everything {
            self.push_trace(Happened::Call {
                process: id,
                call,
                line,
                began: Duration::from_nanos(began),
                result: Some(result),
            });
        }
    }
}

impl Sim<'_> {
    /// The calls that have not returned, and the processes.
    pub(crate) fn end_trace(&mut self) {
        let now = Duration::from_nanos(self.now);
        for id in 0..self.processes.len() {
            let process = &self.processes[id];
            if let Some((call, began)) = process.pending.filter(|_| process.alive) {
                let what = Happened::Call {
                    process: id,
                    call,
                    line: process.line,
                    began: Duration::from_nanos(began),
                    result: None,
                };
                self.trace.events.push(TraceEvent { at: now, what });
            }
        }
        let ran = self.processes.iter().map(|process| RanProcess {
            label: process.label.clone(),
            boot: process.boot,
            number: process.number,
            node: process.node,
        });
        self.trace.processes = ran.collect();
    }
}

fn sent_frame(from: NodeId, to: NodeId, arrives: Option<Duration>, frame: &Frame) -> SentFrame {
    let mut sent = SentFrame {
        from,
        to,
        arrives,
        kind: String::new(),
        flags: String::new(),
        seq: None,
        ack: None,
        len: 0,
        again: false,
        ends: [(Some(from), 0), (Some(to), 0)],
    };
    let node = |addr: Addr| match addr {
        Addr::Of(node, _) | Addr::LinkLocal(node, _) => Some(node),
        Addr::Nobody(_) => None,
    };
    match &frame.payload {
        Payload::Discovery(message) => {
            sent.kind = match message {
                Discovery::Solicit { .. } => "solicitation",
                Discovery::Advertise { .. } => "advertisement",
            }
            .to_owned();
        }
        Payload::Ip(packet) => {
            sent.ends = [packet.src, packet.dst].map(|end| (node(end.0), end.1));
            match &packet.body {
                Body::Icmp(error) => sent.kind = format!("icmp {}", icmp_name(error.kind)),
                Body::Tcp(segment) => {
                    sent.kind = kind(segment).to_owned();
                    let letters = [
                        (segment.syn, 'S'),
                        (segment.fin, 'F'),
                        (segment.rst, 'R'),
                        (segment.psh, 'P'),
                        (segment.ack.is_some(), 'A'),
                    ];
                    let set = letters.iter().filter(|(is, _)| *is);
                    sent.flags = set.map(|(_, letter)| *letter).collect();
                    sent.seq = Some(segment.seq);
                    sent.ack = segment.ack;
                    sent.len = segment.len;
                    sent.again = segment.again;
                }
            }
        }
    }
    sent
}

fn icmp_name(kind: RejectWith) -> &'static str {
    match kind {
        RejectWith::NetUnreachable => "net-unreachable",
        RejectWith::HostUnreachable => "host-unreachable",
        RejectWith::PortUnreachable => "port-unreachable",
        RejectWith::ProtocolUnreachable => "protocol-unreachable",
        RejectWith::AdminProhibited => "admin-prohibited",
        RejectWith::TcpReset => "tcp-reset",
    }
}

fn kind(segment: &Segment) -> &'static str {
    match (segment.syn, segment.ack.is_some()) {
        (true, true) => "SYN+ACK",
        (true, false) => "SYN",
        _ if segment.rst => "RST",
        _ if segment.fin => "FIN",
        _ if segment.len > 0 => "data",
        _ if segment.probe => "keepalive-probe",
        _ => "ack",
    }
}
