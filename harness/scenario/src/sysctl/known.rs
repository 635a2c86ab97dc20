//! Names of known sysctls, and the values that the kernel accepts.

use crate::yaml::{Refusal, name, scalar};

/// The sysctls of network namespaces, a line each; see its head.
const NAMESPACED: &str = include_str!("namespaced.txt");

/// The sysctls of the whole machine, a line each; see its head.
const GLOBAL: &str = include_str!("global.txt");

/// Sysctls that kernels had once, and the first version without: tcp_tw_recycle by
/// tcp(7), the others by net/ipv4/sysctl_net_ipv4.c and
/// net/ipv4/netfilter/nf_conntrack_l3proto_ipv4.c of that version and of the one before.
const GONE: &[(&str, &str)] = &[
    ("net.ipv4.ip_conntrack_max", "4.9"),
    ("net.ipv4.tcp_abc", "3.9"),
    ("net.ipv4.tcp_cookie_size", "3.10"),
    ("net.ipv4.tcp_dma_copybreak", "3.18"),
    ("net.ipv4.tcp_frto_response", "3.10"),
    ("net.ipv4.tcp_max_ssthresh", "3.13"),
    ("net.ipv4.tcp_thin_dupack", "4.11"),
    ("net.ipv4.tcp_tw_recycle", "4.12"),
];

/// Older names of conntrack's sysctls (CONFIG_NF_CONNTRACK_PROC_COMPAT), the first
/// version without, and what the names begin with today.
const RENAMED: (&str, &str, &str) = (
    "net.ipv4.netfilter.ip_conntrack_",
    "4.9",
    "net.netfilter.nf_conntrack_",
);

/// The first kernel version without a sysctl that kernels had before.
pub fn gone_since(key: &str) -> Option<&'static str> {
    let (prefix, renamed, _) = RENAMED;
    if key.starts_with(prefix) {
        return Some(renamed);
    }
    let (_, version) = GONE.iter().find(|(name, _)| *name == key)?;
    Some(version)
}

/// Whether a sysctl is one of the whole machine: a network namespace has none.
pub fn is_global(key: &str) -> bool {
    GLOBAL.lines().any(|line| line == key)
}

fn namespaced() -> impl Iterator<Item = &'static str> {
    NAMESPACED.lines().filter(|line| !line.starts_with('#'))
}

/// Whether `key` is a line of [`NAMESPACED`], in which `*` stands for one part. An
/// interface can have any name.
fn is(key: &str, known: &str) -> bool {
    let (mut parts, mut wanted) = (key.split('.'), known.split('.'));
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(_), Some("*")) => {}
            (Some(part), Some(wanted)) if part == wanted => {}
            _ => return false,
        }
    }
}

/// What is wrong with the name of a sysctl of a network namespace. What this
/// machine's kernel has is right, however new it is.
///
/// # Errors
/// A name that no kernel has, or none any more, or only a whole machine.
pub fn existing(key: &str) -> Result<(), Refusal> {
    if namespaced().any(|known| is(key, known)) {
        return Ok(());
    }
    if let Some(version) = gone_since(key) {
        let today = key.strip_prefix(RENAMED.0);
        let today = today.map(|rest| format!("{}{rest}", RENAMED.2));
        let help = match today.filter(|today| namespaced().any(|known| known == today)) {
            Some(today) => format!("write `{today}`"),
            None => "leave it out: it does nothing on kernels of today".to_owned(),
        };
        return Err(Refusal::with(
            format!("no kernel has `{key}` since {version}"),
            help,
        ));
    }
    if is_global(key) {
        return Err(Refusal::with(
            format!("`{key}` is the whole machine's: a network namespace has none of its own"),
            "set it on the machine itself",
        ));
    }
    let file = std::path::Path::new("/proc/sys").join(key.replace('.', "/"));
    if file.is_file() {
        return Ok(());
    }
    Err(Refusal {
        message: format!("no kernel has a sysctl `{key}`"),
        help: meant(key).map(|known| format!("did you mean `{known}`?")),
    })
}

/// The known sysctl that is nearest to a misspelt one, if one is near: in its last
/// part, or in the parts before it.
pub fn meant(key: &str) -> Option<String> {
    let (folder, last) = key.rsplit_once('.').unwrap_or(("", key));
    let siblings: Vec<&str> = namespaced()
        .filter_map(|known| known.rsplit_once('.'))
        .filter(|(known, _)| is(folder, known))
        .map(|(_, name)| name)
        .collect();
    if let Some(name) = name::nearest(last, siblings) {
        return Some(format!("{folder}.{name}"));
    }
    let of_this_name = namespaced().find(|known| known.rsplit('.').next() == Some(last));
    let near = of_this_name.or_else(|| name::nearest(key, namespaced()));
    near.map(|known| known.replace('*', "default"))
}

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
    "net.ipv4.tcp_allowed_congestion_control",
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fastopen_key",
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
    let is_number = ["net.ipv4.tcp_", "net.netfilter.nf_conntrack_tcp_"]
        .iter()
        .any(|prefix| key.starts_with(prefix));
    let number = if let Some((_, least, most)) = RANGES.iter().find(|(name, ..)| *name == key) {
        scalar::whole(text, *least, *most).map(drop)
    } else if is_number && namespaced().any(|known| known == key) && !NO_NUMBERS.contains(&key) {
        scalar::whole(text, i64::from(i32::MIN), i64::from(u32::MAX)).map(drop)
    } else {
        Ok(())
    };
    match number {
        Ok(()) => Ok(text.to_owned()),
        Err(refusal) => Err(without_a_unit(key, text).unwrap_or(refusal)),
    }
}

/// The refusal of a duration: sysctls are numbers, whose unit their name or the
/// kernel's documentation says.
fn without_a_unit(key: &str, text: &str) -> Option<Refusal> {
    let time = scalar::duration(text).ok()?;
    let (number, unit) = match key {
        _ if key.ends_with("_ms") => (time.as_millis(), "milliseconds"),
        _ if key.ends_with("_us") => (time.as_micros(), "microseconds"),
        _ => (u128::from(time.as_secs()), "seconds"),
    };
    Some(Refusal::with(
        format!("`{text}` has a unit, and a sysctl is a number"),
        format!("write `{number}` if it counts {unit}"),
    ))
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
            ("net.netfilter.nf_conntrack_tcp_timeout_close_wait", "1h"),
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

    #[test]
    fn names_that_no_kernel_has_are_refused_however_far_off() {
        for known in [
            "net.ipv4.tcp_retries2",
            "net.ipv4.conf.eth7.rp_filter",
            "net.ipv6.neigh.default.ucast_solicit",
            "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
            "net.netfilter.nf_log.2",
        ] {
            assert_eq!(existing(known), Ok(()), "{known}");
        }
        let refused = |key: &str| existing(key).expect_err("no kernel has it");
        let far = refused("net.ipv4.no_such_key_at_all");
        assert_eq!(
            far.message,
            "no kernel has a sysctl `net.ipv4.no_such_key_at_all`"
        );
        let gone = refused("net.ipv4.tcp_tw_recycle").message;
        assert!(gone.contains("since 4.12"), "{gone}");
        for key in ["net.ipv4.tcp_mem", "net.core.message_burst"] {
            let global = refused(key).message;
            assert!(global.contains("whole machine's"), "{global}");
        }
        let renamed = refused("net.ipv4.netfilter.ip_conntrack_tcp_timeout_established");
        assert!(renamed.message.contains("since 4.9"), "{renamed:?}");
        let today = "net.netfilter.nf_conntrack_tcp_timeout_established";
        assert_eq!(renamed.help, Some(format!("write `{today}`")));
    }

    #[test]
    fn what_was_meant_is_the_nearest_name() {
        for (key, meant_key) in [
            ("net.ipv4.tcp_retires2", "net.ipv4.tcp_retries2"),
            ("net.ipv4.conf.all.rp_fliter", "net.ipv4.conf.all.rp_filter"),
            ("net.ipv6.tcp_retries2", "net.ipv4.tcp_retries2"),
            (
                "net.ipv4.ucast_solicit",
                "net.ipv4.neigh.default.ucast_solicit",
            ),
            (
                "net.ipv4.nf_conntrack_tcp_timeout_close_wait",
                "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
            ),
        ] {
            assert_eq!(meant(key).as_deref(), Some(meant_key), "{key}");
        }
        assert_eq!(meant("net.ipv4.frobnicate_everything"), None);
    }
}
