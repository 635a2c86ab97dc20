//! Sysctls of a namespace: `net.` keys under /proc/sys, which shows every thread
//! the values of the namespace that it is in.
//!
//! `pinned.rs` has the tables of what a lab pins, `fresh.rs` writes them where a
//! new namespace differs, `neighbour_parameters.rs` sets by netlink what would
//! take nine files for each interface.

mod fresh;
pub(crate) mod neighbour_parameters;
pub mod pinned;

pub(crate) use fresh::{has_anyway, own_first_namespace, pin_new};

use std::io::{self, Write};
use std::path::PathBuf;

use crate::error::LabError;
use crate::namespace::Namespace;
use pinned::Pinned;

/// The file of a dotted key.
///
/// # Errors
/// Keys outside `net.` belong to the whole machine and are refused.
pub(crate) fn path(key: &str) -> Result<PathBuf, LabError> {
    let refused = |why: &str| LabError::Plan(format!("sysctl `{key}` {why}"));
    if !key.starts_with("net.") {
        return Err(refused(
            "is outside `net.`: it belongs to the machine, not to a host",
        ));
    }
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if key
        .split('.')
        .any(|part| part.is_empty() || part.contains(odd))
    {
        return Err(refused(
            "is not a dotted key such as `net.ipv4.tcp_retries2`",
        ));
    }
    Ok(PathBuf::from("/proc/sys").join(key.replace('.', "/")))
}

/// The keys that `key` stands for on a host with these interfaces.
///
/// A namespace has no `neigh.default` of its own (only the first one has, and
/// every new interface copies that, see neigh_parms_alloc()): in a lab it
/// stands for every interface of the host.
pub(crate) fn per_interface<'a>(
    key: &str,
    interfaces: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    for family in ["net.ipv4.neigh.", "net.ipv6.neigh."] {
        if let Some(value) = key
            .strip_prefix(family)
            .and_then(|rest| rest.strip_prefix("default."))
        {
            return interfaces.map(|i| format!("{family}{i}.{value}")).collect();
        }
    }
    vec![key.to_owned()]
}

/// Whether the key's file exists only once the interfaces do.
pub(crate) fn needs_interface(key: &str) -> bool {
    // After `net.ipv4.` or `net.ipv6.`; only these two have keys by interface.
    let Some(rest) = key.get("net.ipv4.".len()..) else {
        return false;
    };
    let of_all = |rest: &str| rest.starts_with("all.") || rest.starts_with("default.");
    match rest.strip_prefix("conf.") {
        Some(rest) => !of_all(rest),
        None => rest.starts_with("neigh."),
    }
}

/// Whether the key's file exists only once the node tracks connections: where
/// conntrack is a module, that loads it.
pub(crate) fn needs_conntrack(key: &str) -> bool {
    key.starts_with("net.netfilter.nf_conntrack_")
}

/// Writes a value, in the calling thread's namespace.
pub(crate) fn write(key: &str, value: &str) -> Result<(), LabError> {
    put(key, value)?.map_err(|e| failed(key, format!("set {key} to `{value}`"), e))
}

/// Writes a pinned value under this key (the table's, or an interface's); false
/// when the kernel lacks the key and the table allows that.
pub(crate) fn write_pinned(key: &str, pinned: &Pinned) -> Result<bool, LabError> {
    outcome_of_write(key, pinned, put(key, pinned.value)?)
}

/// Whether the key has the pinned value now; false when the kernel lacks the key
/// and the table allows that.
fn outcome_of_write(key: &str, pinned: &Pinned, written: io::Result<()>) -> Result<bool, LabError> {
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !pinned.everywhere => Ok(false),
        Err(e) => Err(failed(key, format!("set {key} to `{}`", pinned.value), e)),
    }
}

fn put(key: &str, value: &str) -> Result<io::Result<()>, LabError> {
    let path = path(key)?;
    // Not fs::write(), which opens with O_TRUNC.
    let opened = std::fs::OpenOptions::new().write(true).open(path);
    Ok(opened.and_then(|mut file| file.write_all(value.as_bytes())))
}

/// Reads a value, in the calling thread's namespace, with single spaces between
/// numbers.
pub(crate) fn read(key: &str) -> Result<String, LabError> {
    let text =
        std::fs::read_to_string(path(key)?).map_err(|e| failed(key, format!("read {key}"), e))?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Runs `f` inside the namespace, and adds the namespace's name to its errors.
pub(crate) fn on_host<R>(
    ns: &Namespace,
    f: impl FnOnce() -> Result<R, LabError>,
) -> Result<R, LabError> {
    ns.enter(f)?.map_err(|e| match e {
        LabError::System { what, source } => LabError::System {
            what: format!("{what} on {}", ns.name()),
            source,
        },
        other => other,
    })
}

fn failed(key: &str, what: String, e: io::Error) -> LabError {
    match e.kind() {
        io::ErrorKind::NotFound => LabError::Unsupported {
            what: format!("set or read sysctl {key}: its kernel has no such key"),
            cure: "check the spelling, or use a kernel that has it".into(),
        },
        _ => LabError::system(what, e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dotted_keys_of_the_network_are_taken() {
        assert!(path("net.ipv4.tcp_retries2").is_ok());
        for key in [
            "kernel.hostname",
            "net",
            "net..ipv4",
            "net.ipv4/../x",
            "net.ipv4.a b",
        ] {
            assert!(path(key).is_err(), "{key}");
        }
    }

    #[test]
    fn neighbour_defaults_mean_every_interface() {
        let keys = per_interface(
            "net.ipv4.neigh.default.mcast_solicit",
            ["eth0", "eth1"].into_iter(),
        );
        assert_eq!(
            keys,
            [
                "net.ipv4.neigh.eth0.mcast_solicit",
                "net.ipv4.neigh.eth1.mcast_solicit"
            ]
        );
    }
}
