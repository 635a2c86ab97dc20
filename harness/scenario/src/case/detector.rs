//! Detectors: what makes an endpoint notice that its peer is dead.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Heartbeat, SocketOption};

/// How an endpoint notices a dead peer. An empty one does not notice it.
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
    /// Other options, set on each socket before it connects or once it is accepted.
    #[serde(default)]
    pub options: Vec<SocketOption>,
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
    /// By net.ipv4.tcp_keepalive_* on the endpoint's host, before the endpoint starts.
    Sysctl,
}
