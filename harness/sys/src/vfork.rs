//! A child process that shares its parent's memory.
//!
//! The runner starts endpoints so in a guest, where copying page tables is
//! dear.

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sched::{CloneCb, CloneFlags, clone};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use nix::unistd::Pid;

/// Enough for the calls that an endpoint makes; only what is used becomes memory.
const STACK_BYTES: usize = 512 << 10;
/// Below the stack, where nothing may be read or written: a call that needs more than
/// the stack ends the child by SIGSEGV, and does not write into the parent's memory.
/// Several pages, so that no frame steps over it unnoticed (rustc probes each page of
/// a larger one).
const GUARD_BYTES: usize = 64 << 10;

/// A stack with a guard below it. Stacks grow down.
struct Stack(NonNull<std::ffi::c_void>);

impl Stack {
    const BYTES: NonZeroUsize = NonZeroUsize::new(GUARD_BYTES + STACK_BYTES).unwrap();

    fn new() -> nix::Result<Self> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_STACK;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let stack = Stack(unsafe { mmap_anonymous(None, Stack::BYTES, access, flags) }?);
        // SAFETY: the lower part of the mapping that was just made; nobody uses it.
        unsafe { mprotect(stack.0, GUARD_BYTES, ProtFlags::PROT_NONE) }?;
        Ok(stack)
    }

    fn usable(&mut self) -> &mut [u8] {
        // SAFETY: within the mapping, above the guard; anonymous memory is zeros, and
        // the borrow is this value's.
        unsafe {
            let lowest = self.0.cast::<u8>().add(GUARD_BYTES);
            std::slice::from_raw_parts_mut(lowest.as_ptr(), STACK_BYTES)
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the whole of a mapping that is this value's alone.
        let _ = unsafe { munmap(self.0, Stack::BYTES.get()) };
    }
}

/// Runs `f` in a CLONE_VM | CLONE_VFORK child and blocks until it exits. The
/// child shares memory and, until it unshares them, descriptors with the caller,
/// runs on a stack of its own, and exits with status 1 when `f` returns. Gives the
/// child's number; it is still to be waited for.
///
/// As vfork(2) does, for a child that does more than to exec: what the C library
/// keeps per thread (CLONE_VM without CLONE_SETTLS) is the child's for as long as
/// the calling thread is blocked (CLONE_VFORK), so that the two behave like one
/// thread that is another process for a while.
///
/// # Errors
/// Of mmap(2) and clone(2), and then `f` was not run.
///
/// # Safety
/// `f` runs in another process on the same memory. It must
/// - leave by _exit(2) or a return, never by unwinding out of `f` and never by
///   exit(3), which would run the parent's exit handlers;
/// - not end while it holds a lock or a borrow that the parent's other threads
///   wait for: nothing releases what a dead process held;
/// - not create threads, and not depend on the C library's idea of its process or
///   thread ID, which is the parent's.
pub unsafe fn run_in_vfork_child(f: &mut dyn FnMut()) -> nix::Result<Pid> {
    // From the system, untouched: a page becomes memory when it is used.
    let mut stack = Stack::new()?;
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK | CloneFlags::CLONE_FILES;
    let callback: CloneCb<'_> = Box::new(|| {
        f();
        1
    });
    // SAFETY: the child has a stack of its own, and the calling thread is blocked
    // while it lives, so nobody else uses the thread's own storage. What both
    // processes see at once besides is shared as between two threads; the rest is
    // the caller's promise.
    unsafe { clone(callback, stack.usable(), flags, Some(libc::SIGCHLD)) }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};

    use super::*;

    /// Uses all of the stack, and what is below it.
    fn deeper(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 512]);
        if depth == u64::MAX {
            return 0;
        }
        deeper(depth + 1) + frame[1]
    }

    #[test]
    fn too_deep_a_call_ends_the_child_alone() {
        let mut endless = || {
            std::hint::black_box(deeper(0));
        };
        // SAFETY: it neither unwinds nor holds anything.
        let child = unsafe { run_in_vfork_child(&mut endless) }.expect("clone(2) works");
        let ended = waitpid(child, None).expect("the child is ours");
        let by_the_guard = matches!(ended, WaitStatus::Signaled(_, Signal::SIGSEGV, _));
        assert!(by_the_guard, "{ended:?}");
    }
}
