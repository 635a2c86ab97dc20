//! Processes and sockets of a simulation, as far as signs depend on them.

use std::collections::VecDeque;
use std::time::Duration;

use super::heartbeat::{Beats, HeartbeatState};
use super::neighbours::NeighbourEntries;
use crate::abort::Abort;
use crate::abort::facts::Fate;
use crate::moments::CallTime;
use crate::retransmission::rtt::RttEstimator;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
use crate::timers::delayed_ack::AckState;
use crate::timers::keepalive::ProbeFate;
use halfopen_scenario::case::{Lane, OnEof, Step};

/// What follows a list of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The enclosing list.
    Nothing,
    /// The newest connection closes (a server that does not fork).
    CloseNewest,
    /// The process ends (a forked child).
    Exit,
}

/// A list of steps being executed.
#[derive(Debug, Clone)]
pub(super) struct Frame<'a> {
    pub steps: &'a [Step],
    pub next: usize,
    pub times: u32,
    pub after: After,
}

/// How much a read has to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// One read().
    Once,
    /// This many more bytes.
    Exact(u64),
    /// Everything up to end of file, echoed or not.
    All { echo: bool },
}

/// What a process waits for.
#[derive(Debug, Clone)]
pub(super) enum Wait<'a> {
    /// Nothing: it is running.
    Nothing,
    Mark(&'a str),
    Until(Span),
    Keyboard,
    /// accept(), this many more times.
    Accept(u32),
    Read {
        sock: usize,
        want: Want,
        deadline: Option<Span>,
    },
    Poll {
        sock: Option<usize>,
        keyboard: bool,
        deadline: Option<Span>,
    },
    /// connect() that is not answered yet.
    Connect(Connecting<'a>),
    /// A poll() server, for ever.
    Multiplex {
        slots: Option<u32>,
        echo: bool,
        on_eof: OnEof,
    },
    /// write() into a full buffer.
    Full(usize),
    /// Its script has ended; its sockets stay open.
    Done,
}

/// A connect() in progress.
#[derive(Debug, Clone)]
pub(super) struct Connecting<'a> {
    pub began: Span,
    pub abort: Abort,
    pub nonblocking: bool,
    /// The connection's name and destination.
    pub name: Option<String>,
    pub host: Option<&'a str>,
    pub port: u16,
    /// When a SYN is delivered.
    pub delivered: Option<Span>,
    /// An answer is in flight, over a path with delay.
    pub delayed: bool,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process<'a> {
    pub lane: &'a Lane,
    pub host: &'a str,
    pub parent: Option<usize>,
    /// The calls it made, as far as known, the next one first.
    pub calls: VecDeque<CallTime>,
    pub alive: bool,
    pub frozen: bool,
    /// The time its script has reached, at least and at most.
    pub at: Span,
    pub frames: Vec<Frame<'a>>,
    pub wait: Wait<'a>,
    /// Its connections, oldest first, by name.
    pub connections: Vec<(Option<String>, usize)>,
    pub unnamed: u32,
    pub typed: VecDeque<Span>,
    /// Ports it listens on.
    pub ports: Vec<u16>,
    /// The lane's label and boot in a record, and below the number of children it has
    /// forked.
    pub label: (String, u32),
    /// Which of its lane's processes it is.
    pub number: u32,
    pub children: u32,
}

impl<'a> Process<'a> {
    /// A process at the start of its lane's script.
    pub fn new(lane: &'a Lane, at: Span) -> Self {
        Process {
            lane,
            host: &lane.host,
            parent: None,
            calls: VecDeque::new(),
            alive: true,
            frozen: false,
            at,
            frames: vec![Frame {
                steps: &lane.steps,
                next: 0,
                times: 1,
                after: After::Nothing,
            }],
            wait: Wait::Nothing,
            connections: Vec::new(),
            unnamed: 0,
            typed: VecDeque::new(),
            ports: Vec::new(),
            label: (lane.name.clone(), 0),
            number: 0,
            children: 0,
        }
    }

    /// When its next call of this name was made, if known.
    pub fn next_call(&self, call: &str) -> Option<Span> {
        self.calls
            .iter()
            .find(|act| act.call == call)
            .map(|act| act.at)
    }

    /// It sets its new connection's options, right after `accepted`: the detector is in
    /// force when the last of them is set.
    pub fn take_setsockopt(&mut self, accepted: Span) -> Span {
        let options = self.calls.iter().take_while(|act| act.call == "setsockopt");
        let last = options.last().map_or(accepted, |act| act.at);
        while self
            .calls
            .front()
            .is_some_and(|act| act.call == "setsockopt")
        {
            self.calls.pop_front();
        }
        Span::new(accepted.earliest, last.latest)
    }

    /// It makes this call: earlier calls are discarded.
    pub fn start_call(&mut self, call: &str) {
        let Some(index) = self.calls.iter().position(|act| act.call == call) else {
            return;
        };
        self.at = self.calls[index].at;
        self.calls.drain(..=index);
    }
}

/// Data (or a FIN) that is not acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub bytes: u64,
    /// When it was written.
    pub sent: Span,
    /// The moment from which its times count.
    pub since: Span,
    /// It has reached the peer; only the acknowledgment is missing.
    pub arrived: bool,
    pub fate: Fate,
    pub abort: Option<Abort>,
    /// When it is delivered (or draws an RST).
    pub delivered: Option<Span>,
    /// The segment on a path with delay, while nothing is wrong.
    pub on_line: Option<Segment>,
    /// Its own host refuses it, and it never left: the probe timer sends it again.
    pub unsent: bool,
    /// Attempts before this time have been simulated.
    pub attempted: Duration,
}

impl Outgoing {
    /// The first attempt that has not been simulated yet, if it is made before TCP gives
    /// up.
    pub fn next_attempt(&self) -> Option<Span> {
        let abort = self.abort.as_ref()?;
        abort
            .attempts
            .iter()
            .filter_map(Spans::hull)
            .map(|at| at.plus(self.since))
            .find(|at| at.earliest > self.attempted)
    }
}

/// A segment on a path with delay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub number: u64,
    pub bytes: u64,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Sock<'a> {
    pub host: &'a str,
    pub lane: &'a Lane,
    pub peer: usize,
    /// The kernel still knows it.
    pub exists: bool,
    /// A process holds it.
    pub has_process: bool,
    pub unread: u64,
    pub unread_at: Span,
    pub fin: Option<Span>,
    pub fin_sent: bool,
    /// When: somewhere while its process ended.
    pub fin_sent_at: Option<Span>,
    /// An error waits to be read, and when it came.
    pub error: Option<Failure>,
    /// Broken: a write fails with EPIPE.
    pub broken: bool,
    pub since: Span,
    pub received: Vec<Span>,
    pub probes: Vec<(Span, ProbeFate)>,
    pub outgoing: Option<Outgoing>,
    /// The peer's window is closed since then.
    pub window_closed: Option<Span>,
    /// The error left by a probe that its own host could not send (IPv6 only).
    pub soft: Option<&'static str>,
    /// Heartbeat state, if its lane has a heartbeat.
    pub heartbeat: Option<HeartbeatState<'a>>,
    /// Heartbeats and answers that were sent and have not arrived.
    pub beats_in_flight: Beats,
    /// What was received and not read, and when the last of it was received.
    pub beats_received: Beats,
    pub beats_received_at: Span,
    /// Its program has seen the end of the connection.
    pub ended: bool,
    /// The abort by keepalive or a closed window, if nothing changes.
    pub idle_abort: Option<Failure>,
    /// The round-trip estimate of its TCP.
    pub rtt: RttEstimator,
    /// Its delayed-acknowledgment state.
    pub ack_state: AckState,
    /// Segments it has sent, and received.
    pub segments_sent: u64,
    pub segments_received: u64,
    /// Time its SYN+ACK waited for an address.
    pub resolution_delay: Duration,
    /// Its FIN waits behind data that is retransmitted.
    pub fin_waits: bool,
    /// It has received data that it has not acknowledged.
    pub ack_pending: bool,
    /// The round-trip time from each time on.
    pub round_trips: Vec<(Span, Duration)>,
    /// The neighbour entries on its path.
    pub entries: NeighbourEntries,
}

/// An error on a socket.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub errno: &'static str,
    pub at: Spans,
    pub because: String,
    pub rules: Vec<RuleId>,
    /// Why it cannot be predicted, if it cannot.
    pub undecided: Option<String>,
}

impl Failure {
    pub fn now(errno: &'static str, at: Span, because: &str, rule: RuleId) -> Self {
        Failure {
            errno,
            at: Spans::one(at),
            because: because.into(),
            rules: vec![rule],
            undecided: None,
        }
    }
}
