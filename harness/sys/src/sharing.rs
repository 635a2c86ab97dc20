//! A child process that shares its parent's memory.

use nix::sched::{CloneCb, CloneFlags, clone};

/// Enough for what an endpoint calls; only what is used becomes memory.
const STACK: usize = 512 << 10;

/// Has `life` lived by a child process with memory and descriptors in common,
/// on a stack of its own, and sleeps until it has ended; it exits with 1 when
/// `life` returns.
///
/// As vfork(2) does, for a child that does more than to exec: what the C library
/// keeps for the calling thread (CLONE_VM without CLONE_SETTLS) is the child's
/// as long as the thread sleeps (CLONE_VFORK), so both could be said to be one
/// thread that has become another process for a while.
///
/// # Errors
/// Of clone(2), and then `life` was not lived.
pub fn live(life: &mut dyn FnMut()) -> nix::Result<()> {
    // From the system, untouched: a page becomes memory when it is used.
    let mut stack = vec![0; STACK];
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK | CloneFlags::CLONE_FILES;
    let callback: CloneCb<'_> = Box::new(|| {
        life();
        1
    });
    // SAFETY: the child has a stack of its own, and the caller's thread sleeps
    // while it lives, so nobody else uses the thread's own storage; what both
    // processes see at once besides is shared as between two threads.
    unsafe { clone(callback, &mut stack, flags, Some(libc::SIGCHLD)) }.map(drop)
}
