//! A case: one scenario at one point of its matrix, everything resolved.
//!
//! A case is plain data. It can be sent to another machine (a guest kernel)
//! as JSON and run there, and it says nothing about how it will be run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::heartbeat::{BeatWhen, Heartbeat, HeartbeatSender, OnSilence, Reconnect};
pub use super::target::{Impair, Mechanism, PacketRule, Place};
pub use halfopen_net::{
    CableRef, Carrier, Direction, Family, ImpairBy, Impairment, InterfaceChange, Loss, Mtu, Nat,
    NeighbourChange, Network, Node, NodeKind, OnForgotten, QUEUE, RejectWith, RouteChange,
};

/// One scenario at one point of its matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// `scenario` or `scenario/axis=value,axis=value`: unique in a file, and
    /// the name of the case's test.
    pub id: String,
    /// The scenario's name.
    pub scenario: String,
    /// The point of the matrix, in the order the file declares its axes.
    pub axes: indexmap::IndexMap<String, String>,
    /// One sentence for people.
    pub about: String,
    /// Rows of the claims' table and chapters the story comes from.
    pub source: Vec<String>,
    /// What the book says happens.
    pub book: Option<Sign>,
    /// What Linux is expected to do, when it is known.
    pub expect: Option<Sign>,
    /// Where Linux differs from the book, and why.
    pub notes: Option<String>,
    /// The hosts, routers, switches and cables.
    pub network: Network,
    /// The address family the lanes talk.
    pub family: Family,
    /// Sysctls by host, on top of the pinned ones: `net.ipv4.tcp_retries2`.
    pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
    /// The endpoints.
    pub lanes: Vec<Lane>,
    /// Faults and other things the runner does, in file order.
    pub events: Vec<Event>,
    /// Lanes whose calls may be the first sign. Never empty.
    pub watch: Vec<String>,
    /// How long after the start the case ends when nobody noticed anything.
    pub give_up: Duration,
    /// Which clock the case is meant for.
    pub clock: Clock,
    /// Line of the scenario in its file, 1-based.
    pub line: u32,
}

/// Which clock a case is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Short enough for real time; runs in virtual time too.
    Any,
    /// Only sensible in virtual time (it lasts hours).
    Virtual,
}

/// What a call shows: said by a book, expected of Linux.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// What the first sign is.
    pub sign: SignKind,
    /// The call that shows it (`read`, `write`, `connect`, `poll`), if that matters.
    pub call: Option<String>,
    /// The lane that notices, if that matters.
    pub lane: Option<String>,
    /// Time since the fault: earliest and latest.
    pub after: Option<(Duration, Duration)>,
    /// Time from the last heal until a byte got through: earliest and latest.
    #[serde(default)]
    pub first_byte: Option<(Duration, Duration)>,
    /// Why something else is seen until it is mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Box<Known>>,
}

/// A difference that is known and put up with: it is told, and does not fail a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Why it is put up with.
    pub reason: String,
    /// Where it is followed: a bug's number or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bug: Option<String>,
    /// What is seen meanwhile; anything else is no known difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows: Option<Sign>,
}

/// The kinds of first sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignKind {
    /// A call failed with this errno, by name: `ETIMEDOUT`.
    Errno(String),
    /// A read returned 0.
    Eof,
    /// A poll reported hang-up, error or end of input on the socket.
    PollHangup,
    /// A read or a poll ran into the application's own time limit.
    Timeout,
    /// The process died of this signal: `SIGPIPE`.
    Signal(String),
    /// The application's heartbeat stayed away for too long.
    HeartbeatLost,
    /// Nobody noticed anything before the case gave up.
    Unnoticed,
}

/// A lane: a script that runs in its own process on a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Its name; `client` and `server` are the usual ones.
    pub name: String,
    /// The host it runs on.
    pub host: String,
    /// How many processes run the script. Copies are called `name.1`, `name.2`.
    pub count: u32,
    /// How it notices a dead peer.
    pub detector: Detector,
    /// Name of the detector, for output; `none` when it has none.
    pub detector_name: String,
    /// What SIGPIPE does to the process.
    pub sigpipe: Disposition,
    /// What SIGTERM does to the process.
    pub sigterm: Disposition,
    /// What it does, in order.
    pub steps: Vec<Step>,
}

/// What a signal does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// The default action: it ends the process.
    Default,
    /// Nothing.
    Ignore,
}

/// How an endpoint notices a dead peer. Empty means: it does not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    /// SO_KEEPALIVE, and who sets its values.
    pub keepalive: Option<Keepalive>,
    /// TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// SO_RCVTIMEO.
    pub read_timeout: Option<Duration>,
    /// poll() with this limit before each read.
    pub poll: Option<Duration>,
    /// The application's own heartbeat.
    pub heartbeat: Option<Heartbeat>,
}

/// SO_KEEPALIVE and its values. A value that is `None` comes from the host's sysctls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Keepalive {
    /// Idle time before the first probe (TCP_KEEPIDLE), whole seconds.
    pub idle: Option<Duration>,
    /// Time between probes (TCP_KEEPINTVL), whole seconds.
    pub interval: Option<Duration>,
    /// Unanswered probes before the connection is given up (TCP_KEEPCNT).
    pub count: Option<u32>,
    /// Whether the values are set on the socket or as the host's sysctls.
    pub by: KeepaliveBy,
}

/// Where keepalive values are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepaliveBy {
    /// By setsockopt() on the socket.
    #[default]
    Socket,
    /// By net.ipv4.tcp_keepalive_* on the endpoint's host, before it starts.
    Sysctl,
}

/// One step of a lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The connection it is done on, by name. None: the newest one.
    pub conn: Option<String>,
    /// A mark that is set once the step is done, whatever its result.
    pub mark: Option<String>,
    /// Line in the file, 1-based.
    pub line: u32,
}

/// The port servers listen on unless a step says otherwise.
pub const DEFAULT_PORT: u16 = 7000;

/// What a step does. Every system call of it is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// socket(), bind(), listen().
    Listen {
        /// Port to bind.
        port: u16,
        /// listen()'s backlog.
        backlog: u32,
    },
    /// accept(), `count` times; each connection becomes the newest one.
    Accept {
        /// How many connections to take.
        count: u32,
    },
    /// accept() for ever; each connection is served by `each`, in a forked
    /// child when `fork` is set; children are reaped on SIGCHLD.
    Serve {
        /// Fork a child per connection.
        fork: bool,
        /// The steps that serve one connection.
        each: Vec<Step>,
    },
    /// One process for all connections, by poll() on the listener and every
    /// one of them (UNP 6.8): what comes is read as it comes.
    Multiplex {
        /// Connections it takes at a time; None: all.
        slots: Option<u32>,
        /// Write back what was read.
        echo: bool,
        /// What a read that returned 0 leads to.
        on_eof: OnEof,
    },
    /// read() and write() the same bytes back until end of file or an error.
    Echo,
    /// connect(); each connection becomes the newest one.
    Connect {
        /// Host to connect to; None: the only other host that listens.
        to: Option<String>,
        /// An address nobody has been given, instead of a host.
        address: Option<std::net::IpAddr>,
        /// Port to connect to.
        port: u16,
        /// How many connections to open, one after the other.
        count: u32,
        /// Non-blocking: EINPROGRESS, poll(), then SO_ERROR.
        nonblocking: bool,
    },
    /// write(), then read() until as many bytes came back.
    Exchange {
        /// What is sent.
        data: Payload,
    },
    /// write() until everything is taken by the kernel.
    Write {
        /// What is sent.
        data: Payload,
    },
    /// One read().
    Read {
        /// The buffer's size.
        bytes: u32,
    },
    /// read() until end of file or an error.
    Drain,
    /// poll() on the socket, and on the keyboard if asked, for input and hang-up.
    Poll {
        /// Its limit; None: for ever.
        timeout: Option<Duration>,
        /// Wait on the keyboard, too.
        keyboard: bool,
    },
    /// read() on the keyboard: a pipe the runner types into.
    Keyboard,
    /// shutdown(SHUT_WR).
    HalfClose,
    /// close(); with SO_LINGER when `linger` is given (0 sends RST).
    Close {
        /// SO_LINGER's time, whole seconds.
        linger: Option<Duration>,
    },
    /// Let time pass.
    Sleep {
        /// How long.
        time: Duration,
    },
    /// Wait until a fault took effect or another lane set the mark.
    WaitFor {
        /// The mark's name.
        mark: String,
    },
    /// The process ends, as return from main() would: its descriptors close.
    Exit,
    /// Do the steps several times.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        steps: Vec<Step>,
    },
}

/// What a server does at the end of file of one of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEof {
    /// It closes the connection.
    Close,
    /// Nothing, as a program that takes 0 for "no data yet": the connection
    /// stays in CLOSE_WAIT, and keeps its slot.
    Ignore,
}

/// Bytes to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// This text.
    Text(String),
    /// So many bytes.
    Bytes(u64),
}

/// Something the runner does at a moment of the case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The mark that is set when it took effect: the name of its kind, or the given one.
    pub name: String,
    /// When it happens.
    pub when: When,
    /// What happens.
    #[serde(rename = "happening")]
    pub action: EventAction,
    /// Line in the file, 1-based.
    pub line: u32,
}

impl Event {
    /// Whether time counts from it.
    pub fn is_fault(&self) -> bool {
        self.action.is_fault() && !self.is_condition()
    }

    /// Whether it is there before anything is sent, and so belongs to the
    /// network: a line that is bad from the beginning.
    pub fn is_condition(&self) -> bool {
        self.when == When::At(Duration::ZERO) && matches!(self.action, EventAction::Impair(_))
    }
}

/// When an event happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// So long after the start of the lanes.
    At(Duration),
    /// So long after a mark.
    After {
        /// The mark's name.
        mark: String,
        /// How long after it.
        by: Duration,
    },
}

/// What the runner does to a lab, or looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventAction {
    /// A signal to one process of a lane.
    Kill {
        /// The lane.
        lane: String,
        /// The signal's name: `KILL`, `TERM`.
        signal: String,
        /// The newest forked child instead of the lane's own process.
        child: bool,
    },
    /// SIGSTOP to every process of the lane.
    Freeze {
        /// The lane.
        lane: String,
    },
    /// SIGCONT to every process of the lane.
    Thaw {
        /// The lane.
        lane: String,
    },
    /// As init does: SIGTERM, grace, SIGKILL; then the host's network goes.
    Shutdown {
        /// The host.
        host: String,
        /// Time between SIGTERM and SIGKILL.
        grace: Duration,
    },
    /// Silence first, then death: no FIN and no RST escapes.
    Crash {
        /// The host.
        host: String,
    },
    /// Crash, then the same host again: same MAC, same addresses, listening lanes started again.
    Reboot {
        /// The host.
        host: String,
        /// Time between the crash and the network being up again.
        down_for: Duration,
        /// Keep the MAC address (a replacement machine has another one).
        same_mac: bool,
        /// A router with NAT comes back knowing the connections it knew.
        #[serde(default)]
        keeps_state: bool,
    },
    /// A lane ends and is started again, several times.
    Restart {
        /// The lane.
        lane: String,
        /// How often.
        times: u32,
        /// Time from one restart to the next.
        every: Duration,
        /// Its process is killed, and the kernel sends FIN for it; else its
        /// host loses power, and nobody does.
        fin: bool,
    },
    /// Nothing passes the cable.
    Cut {
        /// The cable.
        cable: CableRef,
        /// Which way nothing passes.
        direction: Direction,
        /// What the ends see of it.
        carrier: Carrier,
    },
    /// A cable goes bad: loss, delay, jitter and the like.
    Impair(Box<Impair>),
    /// Undo a cut, impair, drop, reject, route, address, interface or neighbour event, by its name; or all of them.
    Heal {
        /// The event's name; None: everything.
        what: Option<String>,
    },
    /// Packets that match vanish.
    Drop(PacketRule),
    /// Packets that match are answered with an error.
    Reject {
        /// Which packets and where.
        rule: PacketRule,
        /// With what.
        with: RejectWith,
    },
    /// A host's route changes.
    Route {
        /// The host or router.
        host: String,
        /// What becomes of it.
        change: RouteChange,
        /// The host it leads to; None: the default route and every connected one.
        to: Option<String>,
    },
    /// A host loses its addresses of the case's family.
    AddressRemoved {
        /// The host.
        host: String,
    },
    /// A host's interface goes down, or away.
    Interface {
        /// The host.
        host: String,
        /// Down or deleted.
        change: InterfaceChange,
    },
    /// A host's neighbour entries (ARP, NDP).
    Neighbour {
        /// The host or router.
        host: String,
        /// What becomes of them.
        change: NeighbourChange,
    },
    /// A router with NAT forgets every connection.
    Forget {
        /// The router.
        router: String,
    },
    /// A host's address moves to another host of its LAN.
    Move {
        /// Whose address it is, and which does without it from then on.
        from: String,
        /// Who has it from then on.
        to: String,
        /// The new owner says so to everybody: a gratuitous ARP, an
        /// unsolicited neighbour advertisement.
        announced: bool,
    },
    /// Text appears on a lane's keyboard. Not a fault.
    Type {
        /// The lane.
        lane: String,
        /// What is typed; a newline is added.
        text: String,
    },
    /// Sockets are looked at, as netstat would. Not a fault.
    Netstat,
}

impl EventAction {
    /// Whether it changes bytes of packets.
    pub fn corrupts(&self) -> bool {
        matches!(self, EventAction::Impair(impair) if impair.line.corrupt.is_some())
    }

    /// Whether this does something to the lab, so that time counts from it.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            EventAction::Type { .. }
                | EventAction::Netstat
                | EventAction::Thaw { .. }
                | EventAction::Heal { .. }
        )
    }
}
