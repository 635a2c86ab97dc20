//! A child process that shares its parent's memory.
//!
//! The runner starts endpoints so in a guest, where copying page tables is
//! dear.

use nix::sched::{CloneCb, CloneFlags, clone};

/// Enough for the calls that an endpoint makes; only what is used becomes memory.
const STACK_BYTES: usize = 512 << 10;

/// Runs `f` in a CLONE_VM | CLONE_VFORK child and blocks until it exits. The
/// child shares memory and, until it unshares them, descriptors with the caller,
/// runs on a stack of its own, and exits with status 1 when `f` returns.
///
/// As vfork(2) does, for a child that does more than to exec: what the C library
/// keeps per thread (CLONE_VM without CLONE_SETTLS) is the child's for as long as
/// the calling thread is blocked (CLONE_VFORK), so that the two behave like one
/// thread that is another process for a while.
///
/// # Errors
/// Of clone(2), and then `f` was not run.
///
/// # Safety
/// `f` runs in another process on the same memory. It must
/// - leave by _exit(2) or a return, never by unwinding out of `f` and never by
///   exit(3), which would run the parent's exit handlers;
/// - not end while it holds a lock or a borrow that the parent's other threads
///   wait for: nothing releases what a dead process held;
/// - not create threads, and not depend on the C library's idea of its process or
///   thread ID, which is the parent's.
pub unsafe fn run_in_vfork_child(f: &mut dyn FnMut()) -> nix::Result<()> {
    // From the system, untouched: a page becomes memory when it is used.
    let mut stack = vec![0; STACK_BYTES];
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK | CloneFlags::CLONE_FILES;
    let callback: CloneCb<'_> = Box::new(|| {
        f();
        1
    });
    // SAFETY: the child has a stack of its own, and the calling thread is blocked
    // while it lives, so nobody else uses the thread's own storage. What both
    // processes see at once besides is shared as between two threads; the rest is
    // the caller's promise.
    unsafe { clone(callback, &mut stack, flags, Some(libc::SIGCHLD)) }.map(drop)
}
