//! The network namespace that threads return to, and unnamed namespaces.
//!
//! A program that has the machine to itself, as in a guest, declares that all of
//! its threads belong to one network namespace. Then that one need not be looked
//! up for each visit, and any thread may create namespaces without names.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sched::{CloneFlags, setns, unshare};

/// The network namespace of all threads that are in no lab, where that is known.
static ROOT_NETNS: OnceLock<File> = OnceLock::new();

/// The namespace of all threads; None: each thread has to look up its own.
pub(super) fn known() -> Option<&'static File> {
    ROOT_NETNS.get()
}

/// Declares that all threads are in the calling thread's network namespace
/// whenever they are in none of a lab. To be called before the first namespace is
/// created. Afterwards namespaces get no names: a name costs a thread, a file and
/// a mount, which in a guest take longer than the namespace itself.
pub(crate) fn declare_root_netns() {
    if let Ok(own) = this_thread() {
        let _ = ROOT_NETNS.set(own);
    }
}

/// The calling thread's network namespace.
pub(super) fn this_thread() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// Namespaces that were created in advance.
static POOL: Mutex<VecDeque<File>> = Mutex::new(VecDeque::new());

/// Creates `count` namespaces in advance, after [`declare_root_netns`]: one after
/// the other they take a guest a fifth less time than between other work. One
/// that cannot be created now is created when it is needed, or fails then.
pub(crate) fn fill_pool(count: usize) {
    let Some(root) = ROOT_NETNS.get() else {
        return;
    };
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    pool.extend((0..count).map_while(|_| create_unnamed(root).ok()));
}

/// A namespace of the pool, or a new one when the pool is empty.
pub(super) fn take_or_create(root: &File) -> io::Result<File> {
    drop_dentries_regularly();
    let pooled = POOL
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front();
    pooled.map_or_else(|| create_unnamed(root), Ok)
}

/// After how many namespaces the kernel's dentries are dropped.
const NAMESPACES_PER_DROP: u32 = 64;

/// Drops the kernel's cached dentries after every [`NAMESPACES_PER_DROP`]
/// namespaces. /proc/sys has a `net/ipv4` for each namespace, and all of them
/// hash to one name (proc_sys_compare() tells them apart): looking up that of a
/// new namespace compares it with all others first. With some hundred of them it
/// took a host twice as long to get its sysctls.
fn drop_dentries_regularly() {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // All of the machine's caches: only where the machine is a guest of this program.
    if halfopen_sys::guest::is_guest()
        && TAKEN.fetch_add(1, Ordering::Relaxed) % NAMESPACES_PER_DROP == NAMESPACES_PER_DROP - 1
    {
        // 2: dentries and inodes; 4: without a line in the kernel's log
        // (drop_caches_sysctl_handler()). Where it fails, lookups take longer.
        let _ = std::fs::write("/proc/sys/vm/drop_caches", "6");
    }
}

/// Creates a namespace without a name.
fn create_unnamed(root: &File) -> io::Result<File> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let _return = NetnsReturn { to: root };
    this_thread()
}

/// Returns the thread to a namespace when it is dropped, after a panic too.
/// Aborts the process when that fails: nothing that the thread did afterwards
/// would be where its caller thinks it is.
pub(super) struct NetnsReturn<'a> {
    pub to: &'a File,
}

impl Drop for NetnsReturn<'_> {
    fn drop(&mut self) {
        if setns(self.to, CloneFlags::CLONE_NEWNET).is_err() {
            std::process::abort();
        }
    }
}
