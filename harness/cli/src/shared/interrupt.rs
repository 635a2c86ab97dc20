//! Ctrl-C: the first one asks the run to stop and report what it has; the second
//! one ends the program at once. Labs are torn down either way.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::signal::unix::{SignalKind, signal};

use super::error::Exit;
use super::output;

/// Starts listening for SIGINT and SIGTERM. The first one closes the writing
/// end of the pipe whose reading end is returned: every case sees it at once.
///
/// Handlers instead of a blocked mask: endpoints are started from this process,
/// and execve(2) preserves a mask but resets handlers.
pub(crate) fn watch() -> Option<Arc<OwnedFd>> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).ok()?;
    let started = std::thread::Builder::new()
        .name("halfopen-signals".into())
        .spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
            else {
                // No handler is installed then, so Ctrl-C ends the program at once,
                // as it does by default. The pipe must stay open: closing it would
                // interrupt the run.
                std::mem::forget(write);
                return;
            };
            runtime.block_on(listen(write));
        });
    started.ok().map(|_| Arc::new(read))
}

async fn listen(write: OwnedFd) {
    let mut write = Some(write);
    let (Ok(mut int), Ok(mut term)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        std::mem::forget(write);
        return;
    };
    loop {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        if write.take().is_none() {
            std::process::exit(Exit::Interrupted.code().into());
        }
        output::remark("interrupted: cases are ended, no more are started (again: stop at once)");
    }
}
