//! What changed between kernel versions, by name: the simulation asks for facts and
//! compares no versions. A fact holds from its version on.

use crate::kernel::{self, Version};

/// A difference between kernel versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// A packet that could not be sent again because it still waited in its own host is
    /// sent again when it no longer waits.
    ResentWhenFreed,
    /// The congestion window holds for a FIN, too.
    WindowHoldsForFin,
    /// net.ipv4.tcp_syn_linear_timeouts, 4 by default.
    SynLinearTimeouts,
    /// Who asks for the carrier makes the host notice that it is gone.
    CarrierIsSynced,
    /// Errors of a router without a route: five at once, then one a second.
    ErrorBurst,
    /// A zero window into which data was sent is given up by the time limits, too.
    ZeroWindowTimesOut,
    /// TCP_TIMEOUT_MIN_US, 2 ms, in place of two ticks.
    TimeoutMinInMicroseconds,
}

/// Each fact: since when, and the function that shows it.
pub const FACTS: [(Fact, Version, &str); 7] = [
    (
        Fact::ResentWhenFreed,
        kernel::RESENT_WHEN_FREED,
        "skb_still_in_host_queue(), tcp_tsq_write() in net/ipv4/tcp_output.c",
    ),
    (
        Fact::WindowHoldsForFin,
        kernel::WINDOW_HOLDS_FOR_FIN,
        "tcp_cwnd_test() in net/ipv4/tcp_output.c",
    ),
    (
        Fact::SynLinearTimeouts,
        kernel::SYN_LINEAR_TIMEOUTS,
        "tcp_write_timeout() in net/ipv4/tcp_timer.c",
    ),
    (
        Fact::CarrierIsSynced,
        kernel::CARRIER_IS_SYNCED,
        "ethtool_op_get_link() in net/ethtool/ioctl.c",
    ),
    (
        Fact::ErrorBurst,
        kernel::ERROR_BURST,
        "ip_error() in net/ipv4/route.c",
    ),
    (
        Fact::ZeroWindowTimesOut,
        Version(5, 10),
        "tcp_rtx_probe0_timed_out() in net/ipv4/tcp_timer.c",
    ),
    (
        Fact::TimeoutMinInMicroseconds,
        Version(6, 6),
        "tcp_schedule_loss_probe() in net/ipv4/tcp_output.c",
    ),
];

impl Fact {
    /// Whether it holds for a version.
    pub fn holds(self, version: Version) -> bool {
        FACTS
            .iter()
            .any(|(fact, since, _)| *fact == self && version >= *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_hold_from_their_version_on() {
        assert!(!Fact::SynLinearTimeouts.holds(Version(6, 4)));
        assert!(Fact::SynLinearTimeouts.holds(Version(6, 5)));
        for (fact, since, function) in FACTS {
            assert!(fact.holds(since) && function.contains("()"));
        }
    }
}
