//! Processes and sockets of a story, as far as signs depend on them.

use std::collections::VecDeque;
use std::time::Duration;

use super::entries::Hops;
use super::heart::{Heart, Signs};
use crate::acks::Acks;
use crate::facts::Fate;
use crate::fall::Fall;
use crate::keepalive::ProbeFate;
use crate::moments::Act;
use crate::rtt::Rounds;
use crate::rule::RuleId;
use crate::span::{Span, Spans};
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
    Connect(Calling<'a>),
    /// A server by poll(), for ever.
    Multiplex {
        slots: Option<u32>,
        echo: bool,
        on_eof: OnEof,
    },
    /// write() into a full buffer.
    Full(usize),
    /// Its script is over; its sockets stay open.
    Over,
}

/// A connect() under way.
#[derive(Debug, Clone)]
pub(super) struct Calling<'a> {
    pub began: Span,
    pub fall: Fall,
    pub nonblocking: bool,
    /// What the connection is called, and where it leads.
    pub name: Option<String>,
    pub host: Option<&'a str>,
    pub port: u16,
    /// A SYN gets through then.
    pub through: Option<Span>,
    /// An answer is under way, over a long line.
    pub far: bool,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process<'a> {
    pub lane: &'a Lane,
    pub host: &'a str,
    pub parent: Option<usize>,
    /// What it really did, as far as that is known, next first.
    pub acts: VecDeque<Act>,
    pub alive: bool,
    pub frozen: bool,
    /// Where its script is, at least and at most.
    pub at: Span,
    pub frames: Vec<Frame<'a>>,
    pub wait: Wait<'a>,
    /// Its connections, oldest first, by name.
    pub open: Vec<(Option<String>, usize)>,
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
            acts: VecDeque::new(),
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
            open: Vec::new(),
            unnamed: 0,
            typed: VecDeque::new(),
            ports: Vec::new(),
            label: (lane.name.clone(), 0),
            number: 0,
            children: 0,
        }
    }

    /// When its next call of this name was made, if that is known.
    pub fn next_act(&self, call: &str) -> Option<Span> {
        self.acts
            .iter()
            .find(|act| act.call == call)
            .map(|act| act.at)
    }

    /// It sets its new connection's options, right after `accepted`: the last
    /// of them is when its detector stands.
    pub fn options_set(&mut self, accepted: Span) -> Span {
        let options = self.acts.iter().take_while(|act| act.call == "setsockopt");
        let last = options.last().map_or(accepted, |act| act.at);
        while self
            .acts
            .front()
            .is_some_and(|act| act.call == "setsockopt")
        {
            self.acts.pop_front();
        }
        Span::new(accepted.earliest, last.latest)
    }

    /// It makes that call: what it did before is over.
    pub fn acted(&mut self, call: &str) {
        let Some(index) = self.acts.iter().position(|act| act.call == call) else {
            return;
        };
        self.at = self.acts[index].at;
        self.acts.drain(..=index);
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
    pub fall: Option<Fall>,
    /// It gets through (or draws an RST) then.
    pub through: Option<Span>,
    /// It is under way, over a long line, and nothing is wrong yet.
    pub flying: Option<Flying>,
    /// Its own host refuses it, and it never left: the probe timer's.
    pub held: bool,
    /// Of its tries those before this have been told.
    pub tried: Duration,
}

impl Outgoing {
    /// The first try that has not been told yet, if it is made before TCP gives up.
    pub fn next_try(&self) -> Option<Span> {
        let fall = self.fall.as_ref()?;
        fall.attempts
            .iter()
            .filter_map(Spans::hull)
            .map(|at| at.plus(self.since))
            .find(|at| at.earliest > self.tried)
    }
}

/// A segment on a long line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flying {
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
    pub held: bool,
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
    pub closed: Option<Span>,
    /// What a probe that its own host could not send has left (IPv6 only).
    pub soft: Option<&'static str>,
    /// Its heart, if its lane has a heartbeat.
    pub heart: Option<Heart<'a>>,
    /// Beats and answers that it has sent and that have not arrived.
    pub sending: Signs,
    /// What has come and was not read, and when the last of it came.
    pub heard: Signs,
    pub heard_at: Span,
    /// Its program knows that nothing more will come.
    pub over: bool,
    /// The end that keepalive will bring, if nothing changes.
    pub quiet_end: Option<Failure>,
    /// What its TCP has measured of round trips.
    pub rounds: Rounds,
    /// How it acknowledges.
    pub acks: Acks,
    /// Segments it has sent, and received.
    pub sent: u64,
    pub got: u64,
    /// How long its SYN+ACK waited for an address.
    pub asked: Duration,
    /// Its FIN waits behind data that is retransmitted.
    pub fin_waits: bool,
    /// It has received what it has not acknowledged.
    pub owes: bool,
    /// How long an answer takes, from when on.
    pub trips: Vec<(Span, Duration)>,
    /// The neighbour entries on its way.
    pub hops: Hops,
}

/// An error on a socket.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub errno: &'static str,
    pub at: Spans,
    pub because: String,
    pub rules: Vec<RuleId>,
    /// Why it cannot be told, if it cannot.
    pub open: Option<String>,
}

impl Failure {
    pub fn now(errno: &'static str, at: Span, because: &str, rule: RuleId) -> Self {
        Failure {
            errno,
            at: Spans::one(at),
            because: because.into(),
            rules: vec![rule],
            open: None,
        }
    }
}
