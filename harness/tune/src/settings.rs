//! What the search answers: settings with their worst case, or the reason why there are
//! none.

use std::time::Duration;

use serde::Serialize;

use crate::promise::Promise;

/// Values of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// SO_KEEPALIVE; None: left off.
    pub keepalive: Option<Keepalive>,
    /// TCP_USER_TIMEOUT, whole milliseconds; None: not set.
    pub user_timeout: Option<Duration>,
    /// TCP_RTO_MAX_MS (6.15); None: not set.
    pub rto_max: Option<Duration>,
}

/// Keepalive's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Keepalive {
    /// TCP_KEEPIDLE, seconds.
    pub idle: u32,
    /// TCP_KEEPINTVL, seconds.
    pub interval: u32,
    /// TCP_KEEPCNT. Ignored while a user timeout is set.
    pub count: u32,
}

/// What settings do at worst in one state, on all kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// A crash is noticed after this, at the latest.
    pub noticed: Duration,
    /// An outage this long is ridden out, whenever it begins.
    pub ridden: Duration,
}

/// What settings do at worst, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Worst {
    /// While nothing is under way.
    pub idle: Option<Reach>,
    /// While data is.
    pub sending: Option<Reach>,
}

impl Worst {
    /// Over all states.
    pub fn noticed(&self) -> Duration {
        let both = [self.idle, self.sending].into_iter().flatten();
        both.map(|reach| reach.noticed).max().unwrap_or_default()
    }

    /// Over all states.
    pub fn ridden(&self) -> Duration {
        let both = [self.idle, self.sending].into_iter().flatten();
        both.map(|reach| reach.ridden).min().unwrap_or_default()
    }
}

/// Settings, and what they do at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tuned {
    /// The values.
    pub settings: Settings,
    /// What they do.
    pub worst: Worst,
    /// Keepalive probes an hour on a healthy idle connection, at most.
    pub probes_an_hour: Option<u32>,
}

/// What programs get that cannot set TCP_USER_TIMEOUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Without {
    /// These values of keepalive keep the promises while idle.
    pub keepalive: Option<Keepalive>,
    /// This idle time does with a third of it as the interval and three probes
    /// (Redis has no other).
    pub thirds: Option<u32>,
    /// This net.ipv4.tcp_retries2 keeps them while sending.
    pub retries2: Option<u32>,
}

/// The settings, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These keep both promises.
    Found {
        /// The settings.
        tuned: Tuned,
        /// Without TCP_USER_TIMEOUT.
        without: Without,
    },
    /// None do.
    Impossible(Impossible),
}

/// Why no settings keep both promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// The promise that cannot be kept, or breaks first when the other is kept.
    pub breaks: Promise,
    /// The proof, a step a line.
    pub because: Vec<String>,
    /// What rides out the outage, and notices soonest.
    pub patient: Option<Tuned>,
    /// What notices in time, and rides out the longest outage; None: nothing
    /// notices in time.
    pub quick: Option<Tuned>,
    /// With TCP_RTO_MAX_MS, which these kernels lack, it would be possible.
    pub possible_with_rto_max: bool,
}
