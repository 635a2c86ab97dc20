//! Sysctls of a namespace: `net.` keys under /proc/sys, which shows every
//! thread the values of the namespace it is in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::error::LabError;
use super::namespace::Namespace;
use super::pinned::{self, Pinned, Values};

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
    // After `net.ipv4.` or `net.ipv6.`; no other family's are by interface.
    let Some(rest) = key.get("net.ipv4.".len()..) else {
        return false;
    };
    let of_all = |rest: &str| rest.starts_with("all.") || rest.starts_with("default.");
    match rest.strip_prefix("conf.") {
        Some(rest) => !of_all(rest),
        None => rest.starts_with("neigh."),
    }
}

/// Writes a value, in the calling thread's namespace.
pub(crate) fn write(key: &str, value: &str) -> Result<(), LabError> {
    put(key, value)?.map_err(|e| refusal(key, format!("set {key} to `{value}`"), e))
}

/// Writes a pinned value under this key (the table's, or an interface's):
/// false when this kernel lacks it and is allowed to.
pub(crate) fn write_pinned(key: &str, pinned: &Pinned) -> Result<bool, LabError> {
    judge(key, pinned, put(key, pinned.value)?)
}

fn judge(key: &str, pinned: &Pinned, written: io::Result<()>) -> Result<bool, LabError> {
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !pinned.everywhere => Ok(false),
        Err(e) => Err(refusal(key, format!("set {key} to `{}`", pinned.value), e)),
    }
}

/// Whether the machine's first network namespace is this program's, as in a
/// guest: nobody else changes what new ones copy from it.
static FIRST_IS_OURS: AtomicBool = AtomicBool::new(false);

/// To be called in the machine's first network namespace, when nobody else uses
/// the machine: gives it the pinned values that new ones copy, so that they need
/// not be written for each host. What cannot be written is left as it is, and
/// then written for each.
pub(crate) fn own_first_namespace() {
    // IPv6, too, copies from it, and not from the kernel's defaults.
    let _ = put("net.core.devconf_inherit_init_net", "1");
    // How often the kernel looks through its tables of neighbours (twice in this
    // time) is the first namespace's business.
    let theirs = |p: &&Pinned| p.copied && !p.key.ends_with(".base_reachable_time_ms");
    for pinned in all_pinned().filter(theirs) {
        let _ = put(pinned.key, pinned.value);
    }
    FIRST_IS_OURS.store(true, Ordering::Relaxed);
}

fn all_pinned() -> impl Iterator<Item = &'static Pinned> {
    let tables = [pinned::TCP, pinned::IPV4, pinned::IPV6];
    tables.into_iter().flatten()
}

/// What a new namespace has anyway, and its interfaces: read once per process,
/// in a new one.
///
/// Opening a file of /proc/sys costs 10 us in a new namespace, so values that
/// it has are not written.
///
/// By their addresses in the tables: it is asked for all of them, for each host.
fn fresh() -> &'static BTreeSet<usize> {
    static FRESH: OnceLock<BTreeSet<usize>> = OnceLock::new();
    FRESH.get_or_init(|| {
        let ours = FIRST_IS_OURS.load(Ordering::Relaxed);
        let own = all_pinned().filter(|p| ours || !p.copied && !needs_interface(p.key));
        // Each interface copies the same, `lo` is there from the beginning.
        let key = |p: &Pinned| p.key.replace(".neigh.default.", ".neigh.lo.");
        own.filter(|p| read(&key(p)).is_ok_and(|value| value == p.value))
            .map(|p| std::ptr::from_ref(p).addr())
            .collect()
    })
}

/// Whether a new namespace, or a new interface, has the pinned value by itself.
pub(crate) fn has_anyway(pinned: &'static Pinned) -> bool {
    fresh().contains(&std::ptr::from_ref(pinned).addr())
}

/// Writes all of the table that needs no interface, in the calling thread's
/// namespace, which is new; returns what now has its pinned value.
pub(crate) fn pin_new(table: impl Iterator<Item = &'static Pinned>) -> Result<Values, LabError> {
    fresh();
    let mut has = Values::new();
    let mut folders = Folders::default();
    // Becoming a router changes `conf` values, see pinned::FORWARD_IPV4.
    let mut router = false;
    for pinned in table.filter(|p| !needs_interface(p.key)) {
        let untouched = !(router && pinned.copied);
        let known = untouched && has_anyway(pinned)
            || judge(pinned.key, pinned, folders.put(pinned.key, pinned.value)?)?;
        router |= pinned.key.ends_with("forward") || pinned.key.ends_with("forwarding");
        if known {
            has.push(pinned.entry());
        }
    }
    Ok(has)
}

/// Folders of /proc/sys that were opened in the calling thread's namespace, and
/// go on meaning that one. Each part of a path is looked at anew every time
/// (proc_sys_revalidate()): 1.8 us a file more than from its open folder.
#[derive(Default)]
struct Folders {
    open: Vec<(PathBuf, OwnedFd)>,
}

impl Folders {
    fn put(&mut self, key: &str, value: &str) -> Result<io::Result<()>, LabError> {
        let file = path(key)?;
        let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
            return put(key, value);
        };
        let known = self.open.iter().position(|(path, _)| path == folder);
        let index = match known {
            Some(index) => index,
            None => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                match nix::fcntl::open(folder, flags, Mode::empty()) {
                    Ok(opened) => self.open.push((folder.to_owned(), opened)),
                    Err(e) => return Ok(Err(e.into())),
                }
                self.open.len() - 1
            }
        };
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let opened = nix::fcntl::openat(&self.open[index].1, name, flags, Mode::empty());
        Ok(opened
            .map_err(io::Error::from)
            .and_then(|file| File::from(file).write_all(value.as_bytes())))
    }
}

fn put(key: &str, value: &str) -> Result<io::Result<()>, LabError> {
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
