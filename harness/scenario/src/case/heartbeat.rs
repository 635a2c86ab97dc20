//! Heartbeats: messages of the application that show that the peer is alive.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An application's heartbeat, as the program at one end of a connection has it.
///
/// If beats are answered, their sender checks that answers arrive; if not, their
/// receiver checks that beats arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Time between two beats.
    pub every: Duration,
    /// Silence that counts as one miss: since the last beat received, or, if beats
    /// are answered, since the first beat that still has no answer.
    pub timeout: Duration,
    /// The interval between checks, the first of which is this long after the
    /// connection was made. None: a timer fires as soon as a miss is due.
    pub check_every: Option<Duration>,
    /// Checks in a row that must find a miss before the peer counts as dead.
    pub misses: u32,
    /// Who sends beats.
    pub from: HeartbeatSender,
    /// The receiver answers each beat.
    pub answered: bool,
    /// When beats are sent.
    pub when: BeatWhen,
    /// What counts as a sign of life; None: what follows from the other settings.
    #[serde(default)]
    pub counts: Option<SignOfLife>,
    /// What is done with the connection when the peer counts as dead.
    pub on_silence: OnSilence,
    /// Whether, and how, a client connects again when its connection is over,
    /// by silence, end of file or an error.
    pub reconnect: Option<Reconnect>,
}

/// Who sends beats. The client is the end that connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeartbeatSender {
    /// The client.
    Client,
    /// The server.
    Server,
    /// Both.
    Both,
}

/// What counts as a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignOfLife {
    /// An answer to a beat of one's own. A beat of the peer's own is none.
    Answer,
    /// A beat of the peer's.
    Beat,
    /// Any byte that is received.
    AnyByte,
    /// Any byte that is received, and any that the kernel takes: what is published to a
    /// peer counts for it, whether it arrives or not.
    OwnWrites,
}

/// When beats are sent, and what counts as a sign of life by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeatWhen {
    /// Every interval, whatever else is sent; only beats and answers are signs of life.
    Always,
    /// Only when nothing else was sent for an interval; any byte is a sign of life.
    Idle,
    /// Only while an answer is owed: at the client from what it sends until something
    /// comes back, at the server from what comes until it sends. Any byte is a sign of
    /// life.
    Busy,
}

/// What is done with the connection when the peer counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSilence {
    /// close(): data that arrives afterwards is answered with RST.
    Close,
    /// shutdown(SHUT_WR): data that arrives afterwards can still be read.
    HalfClose,
    /// SO_LINGER 0 and close(): RST, and the kernel keeps no state.
    Reset,
    /// Nothing, as by a program that writes it to its log: beats go on.
    Nothing,
}

/// How a client connects again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconnect {
    /// Time before the first try.
    pub delay: Duration,
    /// The factor by which each further wait is longer than the one before.
    pub backoff: f64,
    /// Tries in a row that may fail; None: no limit.
    pub limit: Option<u32>,
}
