//! What a new namespace has by itself, and writing the pinned values that it has
//! not.
//!
//! Opening a file of /proc/sys costs 10 us in a new namespace, so a value that is
//! there already is not written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::pinned::{self, Pinned, Values};
use super::{needs_interface, outcome_of_write, path, put, read};
use crate::error::LabError;

/// Whether the machine's first network namespace belongs to this program, as in a
/// guest: no other program changes what new namespaces copy from it.
static FIRST_IS_OURS: AtomicBool = AtomicBool::new(false);

/// Gives the machine's first network namespace the pinned values that new
/// namespaces copy, so that they need not be written for each host. To be called
/// in that namespace, when no other program uses the machine. What cannot be
/// written is left as it is, and then written for each host.
pub(crate) fn own_first_namespace() {
    // 1: IPv6 copies from it as IPv4 does, and not from the kernel's defaults.
    let _ = put("net.core.devconf_inherit_init_net", "1");
    // The first namespace's value also sets how often the kernel scans its tables
    // of neighbours, twice in this time (neigh_periodic_work()).
    let copied = |p: &&Pinned| p.copied && !p.key.ends_with(".base_reachable_time_ms");
    for pinned in all_pinned().filter(copied) {
        let _ = put(pinned.key, pinned.value);
    }
    FIRST_IS_OURS.store(true, Ordering::Relaxed);
}

fn all_pinned() -> impl Iterator<Item = &'static Pinned> {
    let tables = [pinned::TCP, pinned::IPV4, pinned::IPV6];
    tables.into_iter().flatten()
}

/// The pinned values that a new namespace and its interfaces have by themselves:
/// read once per process, in the new namespace that the calling thread is in.
///
/// Identified by their addresses in the tables, because each of them is looked up
/// for each host.
fn fresh() -> &'static BTreeSet<usize> {
    static FRESH: OnceLock<BTreeSet<usize>> = OnceLock::new();
    FRESH.get_or_init(|| {
        let ours = FIRST_IS_OURS.load(Ordering::Relaxed);
        let own = all_pinned().filter(|p| ours || !p.copied && !needs_interface(p.key));
        // Every interface copies the same values; `lo` exists from the beginning.
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
            || outcome_of_write(pinned.key, pinned, folders.put(pinned.key, pinned.value)?)?;
        router |= pinned.key.ends_with("forward") || pinned.key.ends_with("forwarding");
        if known {
            has.push(pinned.entry());
        }
    }
    Ok(has)
}

/// Folders of /proc/sys, opened in the calling thread's namespace and bound to it.
/// Each part of a path is revalidated at every lookup (proc_sys_revalidate()),
/// which costs 1.8 us more for each file than opening it from its folder.
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
