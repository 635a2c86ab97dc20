//! Heartbeats of the application.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An application's heartbeat, as the program at one end of a connection has it.
///
/// Who checks follows from who can know anything: the sender of beats that are
/// answered misses answers, the hearer of beats that are not misses beats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Time between two beats.
    pub every: Duration,
    /// Silence that counts as one miss: since the last beat that was heard, or,
    /// when beats are answered, since the first beat that still has no answer.
    pub timeout: Duration,
    /// The checker looks only so often, and a connection's first look is so
    /// long after it was made; None: it has a timer that fires when it is time.
    pub check_every: Option<Duration>,
    /// Looks in a row that must find a miss before the peer counts as dead.
    pub misses: u32,
    /// Who sends beats.
    pub from: HeartbeatSender,
    /// The hearer answers each.
    pub answered: bool,
    /// When beats are sent.
    pub when: BeatWhen,
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

/// When beats are sent, and what counts as a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BeatWhen {
    /// Whatever else is sent; only beats and answers count.
    Always,
    /// Only when nothing else was sent for as long; any byte counts.
    Idle,
}

/// What is done with the connection when the peer counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSilence {
    /// close(): what is still under way to here is answered with RST.
    Close,
    /// shutdown(SHUT_WR): what is still under way can be read.
    HalfClose,
    /// SO_LINGER 0 and close(): RST, and nothing stays behind.
    Reset,
}

/// How a client connects again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconnect {
    /// Time before the first try.
    pub delay: Duration,
    /// Each further wait is so many times the one before.
    pub backoff: f64,
    /// Tries in a row that may fail; None: no limit.
    pub limit: Option<u32>,
}
