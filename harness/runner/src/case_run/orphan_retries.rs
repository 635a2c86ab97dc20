//! Limits how long an orphaned connection lives to the duration of its case.
//!
//! After SIGKILL nobody is left to clean up, and a connection that cannot deliver
//! its FIN, because its cable was cut, keeps its host's namespace until the kernel
//! gives up: after about 110 s by default. A case that lasts 5 s cannot show the
//! difference between an orphan that lives for 6 s and one that lives for 110 s, so
//! it gets the former.

use std::time::Duration;

/// The sysctl that limits it.
pub(super) const KEY: &str = "net.ipv4.tcp_orphan_retries";

/// What 0 means (tcp_orphan_retries()).
const DEFAULT: u32 = 8;

/// The fewest retries that last as long as the case; None: the default does not
/// last longer.
///
/// n of them last for 0.2 x (2^(n+1) - 1) s: retransmits_timed_out() counts in
/// TCP_RTO_MIN, and so does tcp_probe_timer() when the FIN cannot even be sent.
pub(super) fn retries(give_up: Duration) -> Option<u32> {
    let lasts = |n: u32| Duration::from_millis(200) * ((1 << (n + 1)) - 1);
    (1..DEFAULT).find(|n| lasts(*n) >= give_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orphan_lasts_as_long_as_its_case() {
        let of = |s| retries(Duration::from_secs(s));
        assert_eq!(of(0), Some(1));
        assert_eq!(of(3), Some(3));
        assert_eq!(of(12), Some(5));
        assert_eq!(of(13), Some(6));
        assert_eq!(of(51), Some(7));
        assert_eq!(of(7200), None);
    }
}
