//! What is known of a TCP socket at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::network::Family;

/// A connected TCP socket at one moment, as its kernel shows it: what decides how it
/// notices that its peer is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketState {
    /// IPv4 or IPv6; an IPv4 address mapped into IPv6 is IPv4.
    pub family: Family,
    /// In ESTABLISHED.
    pub established: bool,
    /// SO_KEEPALIVE is set: TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT.
    pub keepalive: Option<(Duration, Duration, u32)>,
    /// TCP_USER_TIMEOUT, if it is not 0.
    pub user_timeout: Option<Duration>,
    /// Since the last segment was received.
    pub idle: Duration,
    /// Since the last data was sent.
    pub since_sent: Duration,
    /// Bytes that were sent and are not acknowledged, or wait to be sent (SIOCOUTQ).
    pub queued: u32,
    /// Segments that are not acknowledged.
    pub unacked: u32,
    /// Times that the oldest of them was sent again.
    pub retransmits: u8,
    /// Unanswered probes: of keepalive, or of a closed window.
    pub probes: u8,
    /// The retransmission timeout.
    pub rto: Duration,
    /// Sysctls that were set on its host, over a lab's own.
    pub sysctls: BTreeMap<String, String>,
    /// The kernel's release.
    pub kernel: String,
    /// The kernel's ticks a second.
    pub hz: u32,
}
