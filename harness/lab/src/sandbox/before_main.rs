//! Entering the sandbox before `main`, for tests under libtest, whose `main` belongs
//! to libtest.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cure::why_refused;
use super::enter::enter;
use super::virtual_time;
use halfopen_sys::process::exit_now;

/// [`enter`], for programs that need the sandbox: on an error it prints what is
/// missing and the cure, and exits with code 3. With `HALFOPEN_TIME=virtual` or a
/// `HALFOPEN_KERNEL` in the environment it first becomes this same program in a guest,
/// through the command `halfopen`.
pub fn enter_or_exit() {
    // Each test with the attribute asks for it.
    static ENTERED: AtomicBool = AtomicBool::new(false);
    if ENTERED.swap(true, Ordering::Relaxed) {
        return;
    }
    #[cfg(feature = "trace")]
    super::tracer::become_tracer_if_asked();
    virtual_time::become_guest_if_asked();
    if let Err(e) = enter() {
        let source = e
            .source()
            .map_or_else(String::new, |source| format!(": {source}"));
        eprintln!(
            "error: this program needs a sandbox: {e}{source}\n  cure: {}",
            why_refused()
        );
        exit_now(3);
    }
}

/// Puts the program into a [sandbox](mod@crate::sandbox) before its `main` begins, so
/// before libtest starts its first thread: write it once, at the top level of a test
/// crate (a file of `tests/`, or `lib.rs` under `#[cfg(test)]`). Then every `#[test]`
/// of that crate can build labs, as root and as an ordinary user.
///
/// ```no_run
/// halfopen_lab::sandboxed!();
///
/// #[test]
/// fn peer_crashes() {
///     // halfopen_lab::Lab::builder() ...
/// }
/// # fn main() {}
/// ```
///
/// Only a process of one thread can enter a user namespace (unshare(2), CLONE_NEWUSER), and
/// libtest has started threads by the time a test runs. So the macro adds a function pointer
/// to `.init_array`, which the C library calls before `main` (the initialization functions of
/// the System V ABI; glibc passes them the arguments of `main`, where Rust's standard library
/// takes its own from).
#[macro_export]
macro_rules! sandboxed {
    () => {
        #[allow(unsafe_code)]
        const _: () = {
            extern "C" fn enter() {
                $crate::sandbox::enter_or_exit();
            }
            // SAFETY: what is in this section is called once, as a C function,
            // on the only thread there is.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static ENTER: extern "C" fn() = enter;
        };
    };
}
