//! Which sysctls of a machine can be set on the hosts of a lab: those that exist
//! per network namespace on the kernels in question, and that labs do not set for
//! their own needs. `halfopen impact` lists the others as ignored.

use halfopen_predict::Version;
use halfopen_scenario::internal::{gone_since, is_global};

/// Sysctls that say what the whole machine has; nobody sets them.
const READ_ONLY: &[&str] = &[
    "net.ipv4.tcp_allowed_congestion_control",
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_available_ulp",
];

/// Sysctls that labs set themselves: for a node's role, for addresses that are
/// usable at once, and for results that do not depend on the case before.
const NEEDED: &[(&str, &str)] = &[
    ("net.ipv4.ip_forward", "labs set it by what a node is"),
    (
        "net.ipv4.tcp_no_metrics_save",
        "labs need it: a connection must not learn from the one before it",
    ),
    (
        "net.ipv4.tcp_no_ssthresh_metrics_save",
        "labs need it: a connection must not learn from the one before it",
    ),
    (
        "net.ipv4.icmp_ratelimit",
        "labs need it: whether an error is sent must not depend on the one before it",
    ),
    (
        "net.ipv6.icmp.ratelimit",
        "labs need it: whether an error is sent must not depend on the one before it",
    ),
    (
        "net.ipv4.ip_local_port_range",
        "it decides nothing but which ports there are",
    ),
];

/// Prefixes of sysctls that exist per network namespace and can affect results.
const KNOWN: &[&str] = &[
    "net.core.optmem_max",
    "net.core.rmem_",
    "net.core.somaxconn",
    "net.core.txrehash",
    "net.core.wmem_",
    "net.ipv4.fib_",
    "net.ipv4.icmp_",
    "net.ipv4.ip_",
    "net.ipv4.ipfrag_",
    "net.ipv4.tcp_",
    "net.ipv6.bindv6only",
    "net.ipv6.fib_",
    "net.ipv6.icmp.",
    "net.ipv6.ip6frag_",
    "net.mptcp.",
];

/// The kernel version that introduced a sysctl, or made it per namespace.
const SINCE: &[(&str, Version)] = &[
    ("net.ipv4.conf.all.arp_evict_nocarrier", Version(5, 16)),
    ("net.ipv4.conf.default.arp_evict_nocarrier", Version(5, 16)),
    ("net.ipv4.tcp_challenge_ack_limit", Version(5, 19)),
    ("net.core.txrehash", Version(5, 18)),
    ("net.ipv4.tcp_plb_enabled", Version(6, 2)),
    ("net.ipv4.tcp_syn_linear_timeouts", Version(6, 5)),
    ("net.ipv4.tcp_shrink_window", Version(6, 6)),
    ("net.ipv4.tcp_backlog_ack_defer", Version(6, 7)),
    ("net.core.optmem_max", Version(6, 8)),
    ("net.ipv4.tcp_pingpong_thresh", Version(6, 8)),
    ("net.ipv4.tcp_rto_min_us", Version(6, 11)),
    ("net.ipv4.tcp_tw_reuse_delay", Version(6, 15)),
    ("net.ipv4.tcp_rto_max_ms", Version(6, 15)),
    ("net.core.rmem_default", Version(6, 18)),
    ("net.core.rmem_max", Version(6, 18)),
    ("net.core.wmem_default", Version(6, 18)),
    ("net.core.wmem_max", Version(6, 18)),
];

/// Why a sysctl of a machine is not set on a lab's hosts; None: it is set.
/// `oldest` is the oldest kernel that it is to be set on.
pub fn ignored(key: &str, value: &str, oldest: Option<Version>) -> Option<String> {
    if !key.starts_with("net.") {
        return Some("it is no network's".into());
    }
    if let Some((_, why)) = NEEDED.iter().find(|(name, _)| *name == key) {
        return Some((*why).into());
    }
    if let Some(version) = gone_since(key) {
        return Some(format!("no kernel has it since {version}"));
    }
    if is_global(key) || READ_ONLY.contains(&key) {
        return Some("it is the whole machine's: a network namespace has none of its own".into());
    }
    let parts: Vec<&str> = key.split('.').collect();
    if let ["net", "ipv4" | "ipv6", "conf" | "neigh", interface, ..] = parts.as_slice() {
        return match (parts[2], *interface) {
            ("neigh", "default") => None,
            ("conf", "all" | "default") if parts[1] == "ipv4" && !key.ends_with(".forwarding") => {
                too_new(key, oldest)
            }
            ("conf", "all" | "default") => Some("labs set it by what a node is".into()),
            _ => Some(format!("no host of a lab has an interface `{interface}`")),
        };
    }
    if !KNOWN.iter().any(|known| key.starts_with(known)) {
        return Some("it is not known to decide how TCP loses a peer".into());
    }
    if key == "net.ipv4.tcp_congestion_control" && !matches!(value, "reno" | "cubic") {
        return Some(format!("guests have reno and cubic, and no {value}"));
    }
    too_new(key, oldest)
}

fn too_new(key: &str, oldest: Option<Version>) -> Option<String> {
    let (_, since) = SINCE.iter().find(|(name, _)| *name == key)?;
    let oldest = oldest.filter(|oldest| oldest < since)?;
    Some(format!("kernel {oldest} has none: it came with {since}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_is_kept_and_the_rest_has_a_reason() {
        let why = |key: &str| ignored(key, "1", Some(Version(6, 12))).unwrap_or_default();
        for key in [
            "net.ipv4.tcp_retries2",
            "net.ipv4.tcp_keepalive_time",
            "net.core.somaxconn",
            "net.ipv4.neigh.default.ucast_solicit",
            "net.ipv4.conf.all.rp_filter",
        ] {
            assert_eq!(why(key), "", "{key}");
        }
        for (key, part) in [
            ("vm.swappiness", "no network's"),
            ("net.core.netdev_max_backlog", "whole machine's"),
            ("net.ipv4.tcp_mem", "whole machine's"),
            ("net.ipv4.conf.eth0.rp_filter", "`eth0`"),
            ("net.ipv4.ip_forward", "by what a node is"),
            ("net.ipv6.conf.all.forwarding", "by what a node is"),
            ("net.ipv4.tcp_rto_max_ms", "it came with 6.15"),
            ("net.ipv4.tcp_tw_recycle", "no kernel has it since 4.12"),
            ("net.unix.max_dgram_qlen", "not known to decide"),
            ("net.ipv4.tcp_congestion_control", "no 1"),
        ] {
            assert!(why(key).contains(part), "{key}: {}", why(key));
        }
    }
}
