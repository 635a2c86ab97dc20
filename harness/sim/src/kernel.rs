//! Which kernel, and what its version changes.

use std::fmt;

use super::span::Span;
use super::wheel::{Phase, Wheel};

/// A kernel's version: 6.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// The version a release says: `6.12.117-1-cloud-amd64` is 6.12. None when
    /// it does not begin with two numbers.
    pub fn parse(release: &str) -> Option<Self> {
        let mut parts = release.split(|c: char| !c.is_ascii_digit());
        Some(Version(
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        ))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A packet that could not be sent again because it still waited in its own host
/// is sent again as soon as it no longer does (skb_still_in_host_queue() sets
/// TSQ_THROTTLED, tcp_tsq_write() retransmits).
pub const RESENT_WHEN_FREED: Version = Version(5, 13);
/// The congestion window holds for a FIN, too (tcp_cwnd_test()). Before, the
/// segment with the FIN left whatever was in flight.
pub const WINDOW_HOLDS_FOR_FIN: Version = Version(6, 10);
/// Who asks for a carrier by ethtool, as a lab does that takes one, makes its host
/// notice the loss (ethtool_op_get_link() calls linkwatch_sync_dev()). Before, that
/// is left to linkwatch_event() and its turn.
pub const CARRIER_IS_SYNCED: Version = Version(6, 8);
/// net.ipv4.tcp_syn_linear_timeouts, 4 by default.
pub const SYN_LINEAR_TIMEOUTS: Version = Version(6, 5);
/// net.ipv4.tcp_rto_min_us.
pub const RTO_MIN_SYSCTL: Version = Version(6, 11);
/// net.ipv4.tcp_rto_max_ms and TCP_RTO_MAX_MS.
pub const RTO_MAX_SYSCTL: Version = Version(6, 15);
/// Errors of a router without a route: five at once, then one a second
/// (ip_rt_error_burst). Before, where icmp_ratelimit is 0 (as labs have it),
/// each error took all tokens (inet_peer_xrlim_allow()). Measured: not in 6.12,
/// in 7.3.
pub const ERROR_BURST: Version = Version(7, 0);
/// The oldest kernel whose source the rules were read in or that was measured.
pub const OLDEST: Version = Version(5, 10);

/// The facts of the kernel that a prediction needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelFacts {
    /// Its version.
    pub version: Version,
    /// Its ticks a second.
    pub hz: u32,
    /// The phase of the wheel at the start of simulations.
    pub phase: Phase,
}

impl KernelFacts {
    /// A kernel whose wheel has an unknown phase.
    pub fn new(version: Version, hz: u32) -> Self {
        KernelFacts {
            version,
            hz,
            phase: Phase::Unknown,
        }
    }

    /// The origin of the times of something begun within `at`: with a known phase its
    /// beginning, and the result is computed for the whole interval.
    pub fn anchor(self, at: Span) -> Span {
        match self.phase {
            Phase::Unknown => at,
            Phase::Known { .. } => Span::at(at.earliest),
        }
    }

    /// How many errors a router without a route sends at once.
    pub fn error_burst(self) -> u32 {
        if self.version >= ERROR_BURST { 5 } else { 1 }
    }

    /// A packet that waited in its own host when it was due is retransmitted as soon as it
    /// no longer waits.
    pub fn resends_when_freed(self) -> bool {
        self.version >= RESENT_WHEN_FREED
    }

    /// The loss of a carrier has been noticed when it has taken effect.
    pub fn notices_carrier(self) -> bool {
        self.version >= CARRIER_IS_SYNCED
    }

    /// The last segment, with the FIN, waits for room in the congestion window
    /// as any other does.
    pub fn fin_needs_room(self) -> bool {
        self.version >= WINDOW_HOLDS_FOR_FIN
    }

    /// Its timer wheel.
    pub fn wheel(self) -> Wheel {
        Wheel::new(self.hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_begin_with_the_version() {
        assert_eq!(Version::parse("6.1"), Some(Version(6, 1)));
        assert_eq!(Version::parse("6.12.117-1-cloud"), Some(Version(6, 12)));
        assert_eq!(Version::parse("linux"), None);
        assert!(Version(6, 9) < Version(6, 11));
    }
}
