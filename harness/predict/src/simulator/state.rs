//! Processes and sockets of a story, as far as signs depend on them.

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

/// What a list of steps is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The list it stands in.
    Nothing,
    /// The newest connection closes (a server that does not fork).
    CloseNewest,
    /// The process ends (a forked child).
    Exit,
}

/// A list of steps under way.
#[derive(Debug, Clone)]
pub(super) struct Frame<'a> {
    pub steps: &'a [Step],
    pub next: usize,
    pub times: u32,
    pub after: After,
}

/// How much a read is to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// One read().
    Once,
    /// So many bytes more.
    Exact(u64),
    /// Everything until the end, echoed or not.
    All { echo: bool },
}

/// What a process waits for.
#[derive(Debug, Clone)]
pub(super) enum Wait<'a> {
    /// Nothing: it runs.
    Nothing,
    Mark(&'a str),
    Until(Span),
    Keyboard,
    /// accept(), so many more times.
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
    /// connect() that nobody answers.
    Connect(Connecting<'a>),
    /// A server by poll(), for ever.
    Multiplex {
        slots: Option<u32>,
        echo: bool,
        on_eof: OnEof,
    },
    /// write() into a full buffer.
    Full(usize),
    /// Its script is over; its sockets stay open.
    Done,
}

/// A connect() under way.
#[derive(Debug, Clone)]
pub(super) struct Connecting<'a> {
    pub began: Span,
    pub abort: Abort,
    pub nonblocking: bool,
    /// What the connection is called, and where it leads.
    pub name: Option<String>,
    pub host: Option<&'a str>,
    pub port: u16,
    /// A SYN gets through then.
    pub delivered: Option<Span>,
    /// An answer is under way, over a long line.
    pub delayed: bool,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process<'a> {
    pub lane: &'a Lane,
    pub host: &'a str,
    pub parent: Option<usize>,
    /// What it really did, as far as that is known, next first.
    pub calls: VecDeque<CallTime>,
    pub alive: bool,
    pub frozen: bool,
    /// Where its script is, at least and at most.
    pub at: Span,
    pub frames: Vec<Frame<'a>>,
    pub wait: Wait<'a>,
    /// Its connections, oldest first, by name.
    pub connections: Vec<(Option<String>, usize)>,
    pub unnamed: u32,
    pub typed: VecDeque<Span>,
    /// Ports it listens on.
    pub ports: Vec<u16>,
    /// How its lane's run is called in a record: label and boot, and how many
    /// children it has forked.
    pub label: (String, u32),
    /// Which of its lane's processes it is.
    pub number: u32,
    pub children: u32,
}

impl<'a> Process<'a> {
    /// One that is about to begin with its lane's script.
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

    /// When its next call of this name was made, if that is known.
    pub fn next_call(&self, call: &str) -> Option<Span> {
        self.calls
            .iter()
            .find(|act| act.call == call)
            .map(|act| act.at)
    }

    /// It sets its new connection's options, right after `accepted`: the last
    /// of them is when its detector stands.
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

    /// It makes that call: what it did before is over.
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
    /// What its times count from.
    pub since: Span,
    /// It has reached the peer; only the acknowledgment is missing.
    pub arrived: bool,
    pub fate: Fate,
    pub abort: Option<Abort>,
    /// It gets through (or draws an RST) then.
    pub delivered: Option<Span>,
    /// It is under way, over a long line, and nothing is wrong yet.
    pub on_line: Option<Segment>,
    /// Its own host refuses it, and it never left: the probe timer's.
    pub unsent: bool,
    /// Of its tries those before this have been told.
    pub attempted: Duration,
}

impl Outgoing {
    /// The first try that has not been told yet, if it is made before TCP gives up.
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

/// A segment on a long line.
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
    /// Broken: what is written draws EPIPE.
    pub broken: bool,
    pub since: Span,
    pub received: Vec<Span>,
    pub probes: Vec<(Span, ProbeFate)>,
    pub outgoing: Option<Outgoing>,
    /// The peer has no room for what was written since then.
    pub window_closed: Option<Span>,
    /// What a probe that its own host could not send has left (IPv6 only).
    pub soft: Option<&'static str>,
    /// Its heart, if its lane has a heartbeat.
    pub heartbeat: Option<HeartbeatState<'a>>,
    /// Beats and answers that it has sent and that have not arrived.
    pub beats_in_flight: Beats,
    /// What has come and was not read, and when the last of it came.
    pub beats_received: Beats,
    pub beats_received_at: Span,
    /// Its program knows that nothing more will come.
    pub ended: bool,
    /// The end that keepalive will bring, if nothing changes.
    pub idle_abort: Option<Failure>,
    /// What its TCP has measured of round trips.
    pub rtt: RttEstimator,
    /// How it acknowledges.
    pub ack_state: AckState,
    /// Segments it has sent, and received.
    pub segments_sent: u64,
    pub segments_received: u64,
    /// How long its SYN+ACK waited for an address.
    pub resolution_delay: Duration,
    /// Its FIN waits behind data that is retransmitted.
    pub fin_waits: bool,
    /// It has received what it has not acknowledged.
    pub ack_pending: bool,
    /// How long an answer takes, from when on.
    pub round_trips: Vec<(Span, Duration)>,
    /// The neighbour entries on its way.
    pub entries: NeighbourEntries,
}

/// An error on a socket.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub errno: &'static str,
    pub at: Spans,
    pub because: String,
    pub rules: Vec<RuleId>,
    /// Why it cannot be told, if it cannot.
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
