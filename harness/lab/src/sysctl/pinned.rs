//! Every sysctl that can change what a socket returns, and the value that a lab
//! pins it to: the kernel's own default, whatever the machine's administrator set
//! or the namespace had that it was copied from.
//!
//! TCP's sysctls start at their defaults in a new namespace, but congestion
//! control, buffer sizes, `conf.*` and the neighbour tables are copied from
//! the first namespace (tcp_sk_init(), devinet_init_net(),
//! neigh_parms_alloc()). Pinning all of them makes them the same everywhere,
//! and the table is what an outcome records.

use std::borrow::Cow;

/// A pinned sysctl.
#[derive(Debug, Clone, Copy)]
pub struct Pinned {
    /// Dotted key. `neigh.default` means every interface of the host.
    pub key: &'static str,
    /// The value, as it is written.
    pub value: &'static str,
    /// False when some kernels in use lack it; on those it is not recorded.
    pub everywhere: bool,
    /// Whether a new namespace copies it from the machine's first one, where it
    /// may change at any time. The others start at the kernel's default and need
    /// no writing where that is the pinned value.
    pub copied: bool,
}

/// Keys and values in the order in which they were written: of a key that occurs
/// more than once the last value holds.
pub(crate) type Values = Vec<Entry>;

/// A key and its value.
pub(crate) type Entry = (Cow<'static, str>, Cow<'static, str>);

impl Pinned {
    pub(crate) fn entry(&self) -> Entry {
        (self.key.into(), self.value.into())
    }
}

/// The entry of a key that is in none of these tables.
pub(crate) fn entry(key: &str, value: &str) -> Entry {
    (key.to_owned().into(), value.to_owned().into())
}

const fn pin(key: &'static str, value: &'static str) -> Pinned {
    Pinned {
        key,
        value,
        everywhere: true,
        copied: false,
    }
}

const fn newer(key: &'static str, value: &'static str) -> Pinned {
    Pinned {
        key,
        value,
        everywhere: false,
        copied: false,
    }
}

const fn copied(key: &'static str, value: &'static str) -> Pinned {
    Pinned {
        key,
        value,
        everywhere: true,
        copied: true,
    }
}

const fn newer_copied(key: &'static str, value: &'static str) -> Pinned {
    Pinned {
        key,
        value,
        everywhere: false,
        copied: true,
    }
}

/// Pinned whatever families the lab has: TCP's are under `ipv4` for both.
pub static TCP: &[Pinned] = &[
    // The only congestion control that is always built in; the default is the
    // build's choice (cubic, bbr), and bbr paces and probes differently.
    copied("net.ipv4.tcp_congestion_control", "reno"),
    pin("net.ipv4.tcp_keepalive_time", "7200"),
    pin("net.ipv4.tcp_keepalive_intvl", "75"),
    pin("net.ipv4.tcp_keepalive_probes", "9"),
    pin("net.ipv4.tcp_retries1", "3"),
    pin("net.ipv4.tcp_retries2", "15"),
    pin("net.ipv4.tcp_syn_retries", "6"),
    // 6.5: the first SYN retransmissions do not back off.
    newer("net.ipv4.tcp_syn_linear_timeouts", "4"),
    pin("net.ipv4.tcp_synack_retries", "5"),
    pin("net.ipv4.tcp_orphan_retries", "0"),
    pin("net.ipv4.tcp_fin_timeout", "60"),
    pin("net.ipv4.tcp_early_retrans", "3"),
    pin("net.ipv4.tcp_recovery", "1"),
    pin("net.ipv4.tcp_reordering", "3"),
    pin("net.ipv4.tcp_sack", "1"),
    pin("net.ipv4.tcp_dsack", "1"),
    pin("net.ipv4.tcp_timestamps", "1"),
    pin("net.ipv4.tcp_window_scaling", "1"),
    pin("net.ipv4.tcp_frto", "2"),
    pin("net.ipv4.tcp_thin_linear_timeouts", "0"),
    // 6.11 and 6.15: both ends of the retransmission timeout.
    newer("net.ipv4.tcp_rto_min_us", "200000"),
    newer("net.ipv4.tcp_rto_max_ms", "120000"),
    pin("net.ipv4.tcp_ecn", "2"),
    pin("net.ipv4.tcp_ecn_fallback", "1"),
    pin("net.ipv4.tcp_fastopen", "1"),
    pin("net.ipv4.tcp_tw_reuse", "2"),
    pin("net.ipv4.tcp_rfc1337", "0"),
    pin("net.ipv4.tcp_abort_on_overflow", "0"),
    pin("net.ipv4.tcp_syncookies", "1"),
    pin("net.ipv4.tcp_max_syn_backlog", "128"),
    pin("net.core.somaxconn", "4096"),
    pin("net.ipv4.tcp_mtu_probing", "0"),
    pin("net.ipv4.tcp_slow_start_after_idle", "1"),
    pin("net.ipv4.tcp_autocorking", "1"),
    // The default is 0: a connection would start with what the previous one
    // measured on the path (RTT, and so RTO), and results would depend on the
    // order of cases.
    pin("net.ipv4.tcp_no_metrics_save", "1"),
    newer("net.ipv4.tcp_no_ssthresh_metrics_save", "1"),
    pin("net.ipv4.tcp_invalid_ratelimit", "500"),
    // 5.18 counts per namespace and has no limit by default; before, 1000 in 5 s.
    newer("net.ipv4.tcp_challenge_ack_limit", "2147483647"),
    newer("net.ipv4.tcp_shrink_window", "0"),
    pin("net.ipv4.tcp_moderate_rcvbuf", "1"),
    pin("net.ipv4.tcp_notsent_lowat", "4294967295"),
    // Computed from the size of memory otherwise (tcp_init()).
    copied("net.ipv4.tcp_rmem", "4096 131072 6291456"),
    copied("net.ipv4.tcp_wmem", "4096 16384 4194304"),
    pin("net.ipv4.ip_local_port_range", "32768 60999"),
    pin("net.ipv4.ip_default_ttl", "64"),
    pin("net.ipv4.ip_no_pmtu_disc", "0"),
];

/// Pinned in labs with IPv4.
pub static IPV4: &[Pinned] = &[
    // The default is 1000 per type and peer: the second ICMP error of a
    // second would not be sent, and what a socket sees would depend on it.
    pin("net.ipv4.icmp_ratelimit", "0"),
    copied("net.ipv4.conf.all.rp_filter", "0"),
    copied("net.ipv4.conf.default.rp_filter", "0"),
    copied("net.ipv4.conf.all.arp_ignore", "0"),
    copied("net.ipv4.conf.default.arp_ignore", "0"),
    copied("net.ipv4.conf.all.arp_announce", "0"),
    copied("net.ipv4.conf.default.arp_announce", "0"),
    copied("net.ipv4.conf.all.arp_notify", "0"),
    copied("net.ipv4.conf.default.arp_notify", "0"),
    copied("net.ipv4.conf.all.arp_accept", "0"),
    copied("net.ipv4.conf.default.arp_accept", "0"),
    // 5.16: neighbour entries are evicted when carrier is lost.
    newer_copied("net.ipv4.conf.all.arp_evict_nocarrier", "1"),
    newer_copied("net.ipv4.conf.default.arp_evict_nocarrier", "1"),
    copied("net.ipv4.conf.all.ignore_routes_with_linkdown", "0"),
    copied("net.ipv4.conf.default.ignore_routes_with_linkdown", "0"),
    copied("net.ipv4.neigh.default.retrans_time_ms", "1000"),
    copied("net.ipv4.neigh.default.ucast_solicit", "3"),
    copied("net.ipv4.neigh.default.mcast_solicit", "3"),
    newer_copied("net.ipv4.neigh.default.mcast_resolicit", "0"),
    copied("net.ipv4.neigh.default.app_solicit", "0"),
    copied("net.ipv4.neigh.default.delay_first_probe_time", "5"),
    copied("net.ipv4.neigh.default.base_reachable_time_ms", "30000"),
    copied("net.ipv4.neigh.default.gc_stale_time", "60"),
    copied("net.ipv4.neigh.default.locktime", "100"),
];

/// Pinned in labs with IPv6.
pub static IPV6: &[Pinned] = &[
    copied("net.ipv6.conf.all.disable_ipv6", "0"),
    pin("net.ipv6.icmp.ratelimit", "0"),
    // No other machine is on the segment: an address is usable at once, and no
    // node solicits or accepts router advertisements.
    copied("net.ipv6.conf.all.accept_dad", "0"),
    copied("net.ipv6.conf.default.accept_dad", "0"),
    copied("net.ipv6.conf.default.dad_transmits", "0"),
    copied("net.ipv6.conf.all.accept_ra", "0"),
    copied("net.ipv6.conf.default.accept_ra", "0"),
    copied("net.ipv6.conf.default.router_solicitations", "0"),
    copied("net.ipv6.conf.default.autoconf", "0"),
    copied("net.ipv6.conf.default.use_tempaddr", "0"),
    copied("net.ipv6.conf.default.addr_gen_mode", "0"),
    copied("net.ipv6.conf.all.keep_addr_on_down", "0"),
    copied("net.ipv6.conf.default.keep_addr_on_down", "0"),
    newer_copied("net.ipv6.conf.all.ndisc_evict_nocarrier", "1"),
    newer_copied("net.ipv6.conf.default.ndisc_evict_nocarrier", "1"),
    copied("net.ipv6.conf.default.ndisc_notify", "0"),
    copied("net.ipv6.neigh.default.retrans_time_ms", "1000"),
    copied("net.ipv6.neigh.default.ucast_solicit", "3"),
    copied("net.ipv6.neigh.default.mcast_solicit", "3"),
    newer_copied("net.ipv6.neigh.default.mcast_resolicit", "0"),
    copied("net.ipv6.neigh.default.app_solicit", "0"),
    copied("net.ipv6.neigh.default.delay_first_probe_time", "5"),
    copied("net.ipv6.neigh.default.base_reachable_time_ms", "30000"),
    copied("net.ipv6.neigh.default.gc_stale_time", "60"),
];

/// In a lab without IPv6, written before any link exists, so that there are no
/// neighbour discovery, no multicast reports and no link-local addresses.
pub static NO_IPV6: &[Pinned] = &[newer_copied("net.ipv6.conf.all.disable_ipv6", "1")];

/// On a router with IPv4. Writing it resets some `conf` values to those of a
/// router (inet_forward_change()), so it comes first.
pub static FORWARD_IPV4: &[Pinned] = &[pin("net.ipv4.ip_forward", "1")];

/// On a router with IPv6.
pub static FORWARD_IPV6: &[Pinned] = &[pin("net.ipv6.conf.all.forwarding", "1")];
