//! Names of known sysctls, and the values that the kernel accepts.

use crate::yaml::{Refusal, scalar};

/// Sysctls whose misspellings are found: those that change how TCP notices a dead
/// peer (ip-sysctl.rst), and those with similar names.
pub(super) const KNOWN: &[&str] = &[
    "net.core.default_qdisc",
    "net.core.netdev_max_backlog",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.ipv4.conf.all.arp_evict_nocarrier",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.icmp_errors_use_inbound_ifaddr",
    "net.ipv4.icmp_msgs_per_sec",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.icmp_ratemask",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.neigh.default.base_reachable_time_ms",
    "net.ipv4.neigh.default.delay_first_probe_time",
    "net.ipv4.neigh.default.gc_stale_time",
    "net.ipv4.neigh.default.mcast_solicit",
    "net.ipv4.neigh.default.retrans_time_ms",
    "net.ipv4.neigh.default.ucast_solicit",
    "net.ipv4.neigh.default.unres_qlen",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_autocorking",
    "net.ipv4.tcp_challenge_ack_limit",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_early_retrans",
    "net.ipv4.tcp_ecn",
    "net.ipv4.tcp_fack",
    "net.ipv4.tcp_fastopen",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_frto",
    "net.ipv4.tcp_invalid_ratelimit",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_min_tso_segs",
    "net.ipv4.tcp_moderate_rcvbuf",
    "net.ipv4.tcp_mtu_probing",
    "net.ipv4.tcp_no_metrics_save",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_orphan_retries",
    "net.ipv4.tcp_recovery",
    "net.ipv4.tcp_reordering",
    "net.ipv4.tcp_retrans_collapse",
    "net.ipv4.tcp_retries1",
    "net.ipv4.tcp_retries2",
    "net.ipv4.tcp_rfc1337",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_rto_max_ms",
    "net.ipv4.tcp_rto_min_us",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syn_linear_timeouts",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_thin_linear_timeouts",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_tso_win_divisor",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_wmem",
    "net.ipv6.conf.all.accept_dad",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.accept_dad",
    "net.ipv6.icmp.ratelimit",
    "net.ipv6.neigh.default.base_reachable_time_ms",
    "net.ipv6.neigh.default.delay_first_probe_time",
    "net.ipv6.neigh.default.gc_stale_time",
    "net.ipv6.neigh.default.mcast_solicit",
    "net.ipv6.neigh.default.retrans_time_ms",
    "net.ipv6.neigh.default.ucast_solicit",
];

/// The range of values that the kernel accepts (net/ipv4/sysctl_net_ipv4.c).
const RANGES: &[(&str, u32, u32)] = &[
    ("net.ipv4.tcp_keepalive_probes", 0, 255),
    ("net.ipv4.tcp_orphan_retries", 0, 255),
    ("net.ipv4.tcp_retries1", 0, 255),
    ("net.ipv4.tcp_retries2", 0, 255),
    ("net.ipv4.tcp_rto_max_ms", 1000, 120_000),
    ("net.ipv4.tcp_syn_linear_timeouts", 0, 127),
    ("net.ipv4.tcp_syn_retries", 1, 127),
    ("net.ipv4.tcp_synack_retries", 0, 255),
];

/// Sysctls of TCP whose values are not single numbers.
const NO_NUMBERS: &[&str] = &[
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// Checks a sysctl's value as far as all kernels agree.
///
/// # Errors
/// A value that every kernel refuses, with what to write instead.
pub fn acceptable(key: &str, text: &str) -> Result<String, Refusal> {
    if matches!(text, "true" | "false") {
        let digit = if text == "true" { "1" } else { "0" };
        return Err(Refusal::with(
            format!("`{text}` is not a value of a sysctl"),
            format!("write `{digit}`"),
        ));
    }
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(Refusal::new("a sysctl's value is a number or a word"));
    }
    if let Some((_, least, most)) = RANGES.iter().find(|(name, ..)| *name == key) {
        scalar::whole(text, *least, *most)?;
    } else if key.starts_with("net.ipv4.tcp_") && KNOWN.contains(&key) && !NO_NUMBERS.contains(&key)
    {
        scalar::whole(text, i64::from(i32::MIN), i64::from(u32::MAX))?;
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_the_kernel_refuses() {
        for (key, value) in [
            ("net.ipv4.tcp_retries2", "300"),
            ("net.ipv4.tcp_retries2", "x"),
            ("net.ipv4.tcp_keepalive_time", "2h"),
            ("net.ipv4.tcp_syn_retries", "0"),
            ("net.ipv4.tcp_sack", "true"),
            ("net.ipv6.icmp.ratelimit", ""),
        ] {
            assert!(acceptable(key, value).is_err(), "{key} = {value}");
        }
        for (key, value) in [
            ("net.ipv4.tcp_keepalive_time", "-1"),
            ("net.ipv4.tcp_notsent_lowat", "4294967295"),
            ("net.ipv4.tcp_rmem", "4096 131072 6291456"),
            ("net.ipv4.tcp_congestion_control", "cubic"),
            ("net.ipv4.tcp_of_the_future", "a word"),
        ] {
            assert_eq!(acceptable(key, value), Ok(value.to_owned()), "{key}");
        }
    }
}
