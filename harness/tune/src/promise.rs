//! What is promised: how fast a vanished peer is noticed, which outage is ridden out, in
//! which states, over which path and on which kernels.

use std::time::Duration;

use serde::Serialize;

use halfopen_predict::KernelFacts;

/// What a connection does while the promises have to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum While {
    /// Nothing is under way.
    Idle,
    /// Data is under way that is not acknowledged.
    Sending,
    /// Either of them at any time.
    Both,
}

impl While {
    /// Whether it may be idle.
    pub fn idle(self) -> bool {
        self != While::Sending
    }

    /// Whether it may be sending.
    pub fn sending(self) -> bool {
        self != While::Idle
    }
}

/// What happens to packets to a peer that has vanished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// They are lost silently; the next hop goes on answering ARP and NDP.
    Silent,
    /// The peer may be the next hop: its neighbour entry fails in the end.
    Neighbour,
    /// Routers may answer them with ICMP unreachables.
    Unreachable,
}

/// What the settings have to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Promises {
    /// A peer that vanishes is noticed within this.
    pub notice_within: Duration,
    /// An outage this long does not end the connection.
    pub ride_out: Duration,
    /// In which states.
    pub when: While,
    /// The longest round trip of the path.
    pub round_trip: Duration,
    /// What else the path does.
    pub path: Path,
    /// On which kernels. Never empty.
    pub kernels: Vec<KernelFacts>,
    /// A middlebox forgets a connection without packets after this: keepalive's probes
    /// have to come sooner. None: none does.
    pub middlebox_forgets: Option<Duration>,
}

impl Promises {
    /// The greatest idle time, and interval, in seconds, whose probes come before the
    /// middlebox forgets; None: any.
    pub fn greatest_idle(&self) -> Option<u32> {
        let forgets = self.middlebox_forgets?;
        // Timers are up to an eighth late (kernel/time/timer.c), and a probe is under way
        // for less than a second.
        let seconds = forgets.as_secs().saturating_sub(1) * 8 / 9;
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

/// One of the two promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// To notice a vanished peer in time.
    NoticeWithin,
    /// To ride out an outage.
    RideOut,
}
