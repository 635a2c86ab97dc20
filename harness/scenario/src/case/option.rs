//! Socket options that a lane sets: as a detector, or by a step at any time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A socket option and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketOption {
    /// SO_KEEPALIVE.
    Keepalive(bool),
    /// TCP_KEEPIDLE, whole seconds.
    KeepaliveIdle(Duration),
    /// TCP_KEEPINTVL, whole seconds.
    KeepaliveInterval(Duration),
    /// TCP_KEEPCNT.
    KeepaliveCount(u32),
    /// TCP_USER_TIMEOUT; 0 takes it back.
    UserTimeout(Duration),
    /// SO_RCVTIMEO; 0 takes it back.
    ReadTimeout(Duration),
    /// TCP_SYNCNT: how often a SYN is sent again.
    Syncnt(u32),
    /// TCP_RTO_MAX_MS (Linux 6.15).
    RtoMax(Duration),
    /// SO_LINGER with this time, whole seconds; None takes it back.
    Linger(Option<Duration>),
    /// SO_RCVBUF, bytes; the kernel doubles it.
    ReceiveBuffer(u32),
}
