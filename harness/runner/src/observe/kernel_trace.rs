//! Records the kernel's trace events of TCP while a case runs (tracefs), for
//! `--explain`.
//!
//! The events are those of the whole machine, and network namespaces have no part in
//! them: it is for a guest that runs one case. Mounting tracefs needs root, and a kernel
//! that made its files at boot (tracer_init_tracefs()).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::kernel_line::event;
use halfopen_lab::LabError;
use halfopen_outcome::record::KernelEvent;

const TRACEFS: &str = "/sys/kernel/tracing";

/// What is recorded. A kernel that lacks one goes without: 5.10 has no
/// inet_sk_error_report.
const EVENTS: [&str; 5] = [
    "sock/inet_sk_error_report",
    "tcp/tcp_retransmit_skb",
    "tcp/tcp_send_reset",
    "tcp/tcp_receive_reset",
    "skb/kfree_skb",
];

/// In KiB: some ten thousand events. Older ones are overwritten.
const BUFFER: &str = "4096";

/// A recording under way. It goes on when this is dropped: its guest ends.
#[derive(Debug)]
pub struct KernelTrace(());

impl KernelTrace {
    /// Begins to record.
    ///
    /// # Errors
    /// When tracefs cannot be mounted or has none of the events.
    pub fn start() -> Result<Self, LabError> {
        let what = "record the kernel's trace events";
        let failed = |e: io::Error| LabError::system(what, e);
        if !file("events").exists() {
            let none = None::<&str>;
            mount(none, TRACEFS, Some("tracefs"), MsFlags::empty(), none)
                .map_err(|errno| failed(errno.into()))?;
        }
        for (name, value) in [
            // CLOCK_MONOTONIC, as everything else here.
            ("trace_clock", "mono"),
            ("buffer_size_kb", BUFFER),
        ] {
            fs::write(file(name), value).map_err(failed)?;
        }
        let enable =
            |event: &&&str| fs::write(file("events").join(event).join("enable"), "1").is_ok();
        match EVENTS.iter().filter(enable).count() {
            0 => Err(failed(io::ErrorKind::NotFound.into())),
            _ => Ok(KernelTrace(())),
        }
    }

    /// What was recorded, with times from `t0_ns`. `node_of` says whose an address is.
    ///
    /// # Errors
    /// Those of reading the recording.
    pub fn read(
        &self,
        node_of: &BTreeMap<IpAddr, String>,
        t0_ns: i64,
    ) -> Result<Vec<KernelEvent>, LabError> {
        let text = fs::read_to_string(file("trace"));
        let text = text.map_err(|e| LabError::system("read the kernel's trace events", e))?;
        let events = text.lines().filter_map(|line| event(line, node_of, t0_ns));
        Ok(events.collect())
    }
}

fn file(name: &str) -> std::path::PathBuf {
    Path::new(TRACEFS).join(name)
}
