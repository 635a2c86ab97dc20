//! How cases are run: what the caller of a run chooses.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How cases are run.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// How many cases may run at once; None: as many as resources allow.
    pub jobs: Option<usize>,
    /// Sysctls on top of the scenario's, by host (`all`: every host).
    pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
    /// With which privileges the sandbox was made, for the record.
    pub privileges: String,
    /// The clock skips idle time, so cases that last hours are run, too.
    pub virtual_time: bool,
    /// Endpoints and the runner do without real-time priorities, so that the rest of
    /// the machine does not notice them; results are less exact on a busy one.
    pub no_real_time: bool,
    /// How long a run waits in all for a quiet moment before it runs cases again
    /// that came out wrong on a disturbed machine.
    pub wait_for_quiet: Duration,
    /// The reading end of a pipe: when its writing end is closed, running cases
    /// end at once and the others are not run.
    pub interrupt: Option<Arc<OwnedFd>>,
    /// The kernel's trace events are recorded, too. They are the whole machine's: for a
    /// guest that runs one case.
    pub explain: bool,
    /// A directory in which each case's packets are kept, see [`crate::pcapng`].
    pub pcap: Option<PathBuf>,
}

impl Options {
    /// Whether the run is to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|fd| {
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
        })
    }
}
