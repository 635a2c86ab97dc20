//! Sysctls of a scenario's hosts.

use std::collections::BTreeMap;

use super::case::{Network, NodeKind};
use super::decode::Decoder;
use super::error::{Problem, Span};
use super::name;
use super::scalar::{self, Refusal};
use super::tree::Node;

/// Sysctls whose misspellings are worth finding: those that change how TCP
/// notices a dead peer (ip-sysctl.rst), and their neighbours in the alphabet.
const KNOWN: &[&str] = &[
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

/// Values the kernel refuses (net/ipv4/sysctl_net_ipv4.c).
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

/// Sysctls by host. `all` stands for every host and router; a host's own value wins.
pub fn by_host<'a>(
    dec: &Decoder<'a, '_>,
    network: &Network,
    node: Option<&'a Node>,
) -> Option<BTreeMap<String, BTreeMap<String, String>>> {
    let mut sysctls: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let Some(node) = node else {
        return Some(sysctls);
    };
    let machines = || network.names(&[NodeKind::Host, NodeKind::Router]);
    let mut own = Vec::new();
    let mut sound = true;
    for (host, values) in dec.map(node, "a mapping from host to sysctls")? {
        if host.name != "all" && !machines().any(|name| name == host.name) {
            let known = machines().chain(["all"]);
            dec.problem(
                Problem::new(host.span, format!("unknown host `{}`", host.name))
                    .expected(name::one_of(known.clone()))
                    .maybe_help(name::did_you_mean(&host.name, known)),
            );
            sound = false;
            continue;
        }
        let Some(values) = dec.map(values, "a mapping from sysctl to value") else {
            sound = false;
            continue;
        };
        for (key, value) in values {
            let spelt = spelling(dec, &key.name, key.span);
            let value = dec.scalar(value, "a value such as `3`", |text| {
                acceptable(&key.name, text)
            });
            let (Some(()), Some(value)) = (spelt, value) else {
                sound = false;
                continue;
            };
            if host.name == "all" {
                for machine in machines() {
                    sysctls
                        .entry(machine.to_owned())
                        .or_default()
                        .insert(key.name.clone(), value.clone());
                }
            } else {
                own.push((host.name.clone(), key.name.clone(), value));
            }
        }
    }
    for (host, key, value) in own {
        sysctls.entry(host).or_default().insert(key, value);
    }
    sound.then_some(sysctls)
}

/// The key names a sysctl of a network namespace, and is not one letter off a known one.
fn spelling(dec: &Decoder<'_, '_>, key: &str, span: Span) -> Option<()> {
    let segment = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if KNOWN.contains(&key) {
        return Some(());
    }
    if !key.starts_with("net.") {
        let bare = KNOWN
            .iter()
            .find(|known| known.rsplit('.').next() == Some(key));
        let help = bare.map(|known| format!("write `{known}`"));
        dec.problem(
            Problem::new(
                span,
                format!("`{key}` is not a sysctl of a network namespace"),
            )
            .expected("a name that starts with `net.`")
            .maybe_help(help.or_else(|| name::did_you_mean(key, KNOWN.iter().copied()))),
        );
        return None;
    }
    if key.split('.').count() < 3 || !key.split('.').all(segment) {
        dec.problem(
            Problem::new(span, format!("`{key}` is not the name of a sysctl"))
                .expected("words joined by dots, such as `net.ipv4.tcp_retries2`"),
        );
        return None;
    }
    // An interface's name (net.ipv4.conf.veth0.…) can be anything: no guess there.
    let guess = KNOWN
        .iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), *known))
        .filter(|(distance, known)| {
            *distance <= 2 && known.split('.').count() == key.split('.').count()
        })
        .min();
    if let Some((_, known)) = guess {
        dec.problem(
            Problem::new(span, format!("unknown sysctl `{key}`"))
                .expected("the name of a sysctl")
                .help(format!("did you mean `{known}`?")),
        );
        return None;
    }
    Some(())
}

/// Sysctls of TCP that are no single number.
const NO_NUMBERS: &[&str] = &[
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// A sysctl's value, if it is one that no kernel refuses.
///
/// # Errors
/// Why it cannot be one, and what to write instead.
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
