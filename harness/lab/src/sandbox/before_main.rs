//! The sandbox for programs whose `main` is not theirs: tests under libtest.

use std::error::Error;

use super::{enter, why_refused};
use halfopen_sys::process::exit_now;

/// [`enter`], for programs that cannot go on without: says what is missing and
/// the cure, and ends the program with exit code 3.
pub fn enter_or_exit() {
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

/// Puts the program into a [sandbox](mod@crate::sandbox) before its `main`
/// begins, so before the test harness starts its first thread: once, at the
/// top level of a file of tests. Then every `#[test]` of the file can build
/// labs and run cases, as root and as an ordinary user.
///
/// ```no_run
/// halfopen_lab::sandboxed!();
///
/// #[test]
/// fn peer_crashes() {
///     // crate::Lab::builder() ...
/// }
/// # fn main() {}
/// ```
///
/// A user namespace can only be entered by a process of one thread
/// (unshare(2), CLONE_NEWUSER), and libtest has threads by the time a test
/// runs. So this is a function pointer in `.init_array`, which the C library
/// calls before `main` (the System V ABI's initialization functions; glibc
/// hands Rust its arguments there, too).
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
