//! Ctrl-C: the first one asks the run to come to an end and report what it
//! has; the second one ends the program at once. Labs go with it either way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::error::Exit;
use super::output;

/// Starts listening for SIGINT and SIGTERM. The flag is set by the first one.
///
/// Handlers, not a blocked mask: endpoints are started from this process, and
/// a mask would be inherited through execve(2), a handler is not.
pub(super) fn watch() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&flag);
    let started = std::thread::Builder::new()
        .name("halfopen-signals".into())
        .spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()
            else {
                return;
            };
            runtime.block_on(listen(&asked));
        });
    if let Err(e) = started {
        // Ctrl-C then ends the program at once, as it does by default.
        tracing::debug!("signals are left alone: {e}");
    }
    flag
}

async fn listen(asked: &AtomicBool) {
    let (Ok(mut int), Ok(mut term)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    loop {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(Exit::Interrupted.code().into());
        }
        output::remark("interrupted: no more cases are started (again: stop at once)");
    }
}
