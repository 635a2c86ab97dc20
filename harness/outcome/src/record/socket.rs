//! The hosts' sockets at chosen moments of the case.

use serde::{Deserialize, Serialize};

/// The sockets of all hosts at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Netstat {
    /// When it was taken.
    pub at_ns: i64,
    /// The reason for this moment: `before crash`, `after crash`, `end`, or the event's name.
    pub moment: String,
    /// The TCP sockets, host by host.
    pub sockets: Vec<SocketState>,
    /// Open descriptors of the lanes' processes, host by host.
    #[serde(default, rename = "held")]
    pub fd_counts: Vec<FdCount>,
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
    /// The pending timer: `on` (retransmission), `keepalive`, `timewait`, `probe`, `off`.
    pub timer: String,
    /// Milliseconds until it fires.
    pub timer_ms: u32,
    /// The retransmissions or probes so far.
    pub retransmits: u8,
    /// Whether a process has it open. An orphan has no inode, and neither has a
    /// connection that has not been accepted yet.
    pub owned: bool,
    /// Bytes that the kernel has allocated for its queues (SK_MEMINFO_RMEM_ALLOC,
    /// _WMEM_QUEUED and _FWD_ALLOC); the socket itself not included.
    #[serde(default)]
    pub memory: u32,
}

/// The open descriptors on a host at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdCount {
    /// The host.
    pub host: String,
    /// How many its lanes' processes have open, children included.
    pub descriptors: u32,
}
