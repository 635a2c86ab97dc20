//! Ctrl-C: the first one asks the run to stop and report what it has; the second
//! one ends the program at once. Labs are torn down either way.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::Exit;
use super::output;

/// Starts listening for SIGINT and SIGTERM. The first one closes the writing
/// end of the pipe whose reading end is returned: every case sees it at once.
///
/// Handlers instead of a blocked mask: endpoints are started from this process,
/// and execve(2) preserves a mask but resets handlers.
///
/// None when no handler can be installed: Ctrl-C then ends the program at once, as
/// it does by default.
pub(crate) fn watch() -> Option<Arc<OwnedFd>> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).ok()?;
    let signals = Signals::new([SIGINT, SIGTERM]).ok()?;
    let started = std::thread::Builder::new()
        .name("halfopen-signals".into())
        .spawn(move || listen(signals, write));
    started.ok().map(|_| Arc::new(read))
}

/// As [`watch`], for a command in a guest: the first SIGINT or SIGTERM is for the
/// command, one bit each; the second one closes the pipe.
pub(crate) fn pass_on() -> Option<(Arc<AtomicU64>, Arc<OwnedFd>)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).ok()?;
    let mut signals = Signals::new([SIGINT, SIGTERM]).ok()?;
    let for_command = Arc::new(AtomicU64::new(0));
    let passed = Arc::clone(&for_command);
    let started = std::thread::Builder::new()
        .name("halfopen-signals".into())
        .spawn(move || {
            let mut write = Some(write);
            for (count, signal) in signals.forever().enumerate() {
                match count {
                    0 => drop(passed.fetch_or(1 << signal, Ordering::Relaxed)),
                    _ => drop(write.take()),
                }
            }
        });
    started.ok().map(|_| (for_command, Arc::new(read)))
}

fn listen(mut signals: Signals, write: OwnedFd) {
    let mut write = Some(write);
    for _ in signals.forever() {
        if write.take().is_none() {
            std::process::exit(Exit::Interrupted.code().into());
        }
        output::remark("interrupted: cases are ended, no more are started (again: stop at once)");
    }
}
