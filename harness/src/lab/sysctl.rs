//! Sysctls of a namespace: `net.` keys under /proc/sys, which shows every
//! thread the values of the namespace it is in.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::error::LabError;
use super::namespace::Namespace;
use super::pinned::{self, Pinned};

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

/// The keys that `key` means on a host with these interfaces.
///
/// A namespace has no `neigh.default` of its own (only the first one has, and
/// every new interface copies that, see neigh_parms_alloc()): in a lab it
/// means every interface of the host.
pub(crate) fn spread<'a>(key: &str, interfaces: impl Iterator<Item = &'a str>) -> Vec<String> {
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
    let mut parts = key.split('.').skip(2);
    match (parts.next(), parts.next()) {
        (Some("neigh"), Some(_)) => true,
        (Some("conf"), Some(interface)) => !matches!(interface, "all" | "default"),
        _ => false,
    }
}

/// Writes a value, in the calling thread's namespace.
pub(crate) fn write(key: &str, value: &str) -> Result<(), LabError> {
    put(key, value)?.map_err(|e| refusal(key, format!("set {key} to `{value}`"), e))
}

/// Writes a pinned value under this key (the table's, or an interface's):
/// false when this kernel lacks it and is allowed to.
pub(crate) fn write_pinned(key: &str, pinned: &Pinned) -> Result<bool, LabError> {
    match put(key, pinned.value)? {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !pinned.everywhere => Ok(false),
        Err(e) => Err(refusal(key, format!("set {key} to `{}`", pinned.value), e)),
    }
}

/// Writes all of the table that needs no interface, in the calling thread's
/// namespace, which is new; returns what now has its pinned value.
///
/// Opening a file of /proc/sys costs 10 us in a new namespace, so values that
/// a new namespace has anyway are not written: they are read once per process.
pub(crate) fn pin_new(
    table: impl Iterator<Item = &'static Pinned>,
) -> Result<BTreeMap<String, String>, LabError> {
    static FRESH: OnceLock<BTreeMap<&'static str, String>> = OnceLock::new();
    let fresh = FRESH.get_or_init(|| {
        let tables = [pinned::TCP, pinned::IPV4, pinned::IPV6];
        let own = tables
            .into_iter()
            .flatten()
            .filter(|p| !p.copied && !needs_interface(p.key));
        own.filter_map(|p| Some((p.key, read(p.key).ok()?)))
            .collect()
    });
    let mut has = BTreeMap::new();
    for pinned in table.filter(|p| !needs_interface(p.key)) {
        let known = match fresh.get(pinned.key) {
            Some(value) if value == pinned.value => true,
            _ => write_pinned(pinned.key, pinned)?,
        };
        if known {
            has.insert(pinned.key.to_owned(), pinned.value.to_owned());
        }
    }
    Ok(has)
}

fn put(key: &str, value: &str) -> Result<io::Result<()>, LabError> {
    use std::io::Write;
    let path = path(key)?;
    // Not fs::write: it asks for O_TRUNC, which /proc/sys does not want.
    let opened = std::fs::OpenOptions::new().write(true).open(path);
    Ok(opened.and_then(|mut file| file.write_all(value.as_bytes())))
}

/// Reads a value, in the calling thread's namespace; blanks are single spaces.
pub(crate) fn read(key: &str) -> Result<String, LabError> {
    let text =
        std::fs::read_to_string(path(key)?).map_err(|e| refusal(key, format!("read {key}"), e))?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The namespace's name in front of what went wrong.
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

fn refusal(key: &str, what: String, e: io::Error) -> LabError {
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
        let spread = spread(
            "net.ipv4.neigh.default.mcast_solicit",
            ["eth0", "eth1"].into_iter(),
        );
        assert_eq!(
            spread,
            [
                "net.ipv4.neigh.eth0.mcast_solicit",
                "net.ipv4.neigh.eth1.mcast_solicit"
            ]
        );
    }
}
