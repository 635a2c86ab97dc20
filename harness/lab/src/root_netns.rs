//! Where threads are when they are in no lab; and in a guest, where all are at one
//! place, namespaces that are made from there without names.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sched::{CloneFlags, setns, unshare};

/// The network namespace of all threads that are in no lab, where that is known.
static HOME: OnceLock<File> = OnceLock::new();

/// The home of all threads; None: each has to look for its own.
pub(super) fn known() -> Option<&'static File> {
    HOME.get()
}

/// To be called in a guest, before the first namespace: from now on all threads are
/// at home in the calling one's network namespace whenever they are in none of a lab.
/// Then it need not be looked up for each visit, and a thread may go and make
/// namespaces itself. Names cost a thread, a file and a mount each, which in a guest
/// is more than the namespace.
pub(super) fn live_alone() {
    if let Ok(home) = this_thread() {
        let _ = HOME.set(home);
    }
}

/// After how many namespaces the kernel is told to forget.
const FORGET: u32 = 64;

/// Has the kernel forget the names that were looked up. /proc/sys has a `net/ipv4` for
/// each namespace, and as names all of them are one (proc_sys_compare() tells them
/// apart): who looks for that of a new namespace looks at the others' first. With some
/// hundred it took a host twice as long to get its sysctls.
fn forget_now_and_then() {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    if TAKEN.fetch_add(1, Ordering::Relaxed) % FORGET == FORGET - 1 {
        // Names, without a line in the kernel's log (drop_caches_sysctl_handler()).
        // Where that cannot be had, it takes longer.
        let _ = std::fs::write("/proc/sys/vm/drop_caches", "6");
    }
}

/// The calling thread's network namespace.
pub(super) fn this_thread() -> std::io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// Namespaces that were made to be used later.
static STOCK: Mutex<VecDeque<File>> = Mutex::new(VecDeque::new());

/// Makes `count` namespaces for later, after [`live_alone`]: one after the other they take
/// a guest a fifth less than between other work. What cannot be made now is made when it
/// is needed, or fails then.
pub(super) fn stock(count: usize) {
    let Some(home) = HOME.get() else {
        return;
    };
    let mut stock = STOCK.lock().unwrap_or_else(PoisonError::into_inner);
    stock.extend((0..count).map_while(|_| make_from(home).ok()));
}

/// A namespace of the stock, while there is one.
pub(super) fn take_or_make(home: &File) -> std::io::Result<File> {
    forget_now_and_then();
    let stocked = STOCK
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop_front();
    stocked.map_or_else(|| make_from(home), Ok)
}

/// Makes a namespace without a name.
fn make_from(home: &File) -> std::io::Result<File> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let _back = Back { own: home };
    this_thread()
}

/// Brings the thread back when it is dropped, after a panic too.
pub(super) struct Back<'a> {
    pub own: &'a File,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if setns(self.own, CloneFlags::CLONE_NEWNET).is_err() {
            std::process::abort();
        }
    }
}
