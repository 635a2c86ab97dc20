//! A tokio runtime whose threads are on a host: sockets of spawned tasks are opened
//! there, and names are looked up in the lab's /etc/hosts.

use std::future::Future;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::{Host, HostState};
use crate::error::LabError;
use halfopen_sys::host::move_to_host;

/// How long tasks that do not yield may go on after their host has crashed.
const SOON: Duration = Duration::from_millis(100);

/// The runtime of a host, until the host crashes.
pub(super) type HostRuntime = Runtime;

impl Host {
    /// Runs the future on the calling thread, inside the host. Tasks that it spawns run
    /// on the host's runtime.
    ///
    /// # Errors
    /// [`LabError::Down`] when the host is down; [`LabError::System`] when its runtime
    /// cannot be started.
    ///
    /// # Panics
    /// Within a task of another runtime, as [`Handle::block_on`].
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, LabError> {
        let runtime = self.runtime()?;
        self.enter(|| runtime.block_on(future))
    }

    /// Starts a task on the host. A crash of the host ends it: without a word to its
    /// peers, and its handle returns a cancelled [`JoinError`](tokio::task::JoinError).
    ///
    /// # Errors
    /// As [`Host::block_on`].
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, LabError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(self.runtime()?.spawn(future))
    }

    /// The host's runtime, with one worker and tokio's drivers for I/O and time; it is started when it is first asked for.
    /// After a crash and a reboot it is another one.
    ///
    /// # Errors
    /// As [`Host::block_on`].
    pub fn runtime(&self) -> Result<Handle, LabError> {
        let mut known = self
            .0
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.handle().clone());
        }
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).enable_all();
        let runtime = self.build_runtime(builder)?;
        let handle = runtime.handle().clone();
        *known = Some(runtime);
        Ok(handle)
    }

    /// Builds a runtime of your own on the host: its workers, and the threads that look
    /// names up, are inside. Its [`block_on`](Runtime::block_on) is called within
    /// [`Host::enter`]. A crash of the host destroys the sockets of its tasks, and does
    /// not end the tasks.
    ///
    /// # Errors
    /// As [`Host::block_on`].
    pub fn build_runtime(&self, mut builder: Builder) -> Result<Runtime, LabError> {
        let failed = |e| LabError::system(format!("start a runtime on {}", self.name()), e);
        let netns: Arc<OwnedFd> = Arc::new(
            self.namespace()?
                .as_fd()
                .try_clone_to_owned()
                .map_err(failed)?,
        );
        let state = Arc::clone(&self.0);
        let enter = move || move_to_host(netns.as_fd(), &state.hosts);
        // A worker cannot say why it did not get there, so a thread tries first.
        let first = enter.clone();
        let tried = std::thread::spawn(first).join();
        tried
            .unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
            .map_err(failed)?;
        builder
            .thread_name(format!("halfopen-{}", self.name()))
            .on_thread_start(move || {
                // Nothing that the thread did would be where its user thinks it is.
                if enter().is_err() {
                    std::process::abort();
                }
            })
            .build()
            .map_err(failed)
    }
}

impl HostState {
    /// Ends the tasks of the host's runtime.
    pub(super) fn end_runtime(&self) {
        let known = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(runtime) = known else {
            return;
        };
        // Within a task a runtime must not be waited for.
        match Handle::try_current() {
            Ok(_) => runtime.shutdown_background(),
            Err(_) => runtime.shutdown_timeout(SOON),
        }
    }

    /// Stops the only worker until the returned end of a channel is dropped.
    pub(super) fn stop_runtime(&self) -> Option<Sender<()>> {
        let known = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = known.as_ref()?;
        let (until, wait) = channel();
        let (stopped, has_stopped) = channel::<()>();
        runtime.spawn(async move {
            drop(stopped);
            // An error is the end of the waiting.
            let _: Result<(), _> = wait.recv();
        });
        let _ = has_stopped.recv();
        Some(until)
    }
}
