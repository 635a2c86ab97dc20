//! What a run's results depend on besides the scenarios.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The machine and the settings of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The kernel's release, as `uname -r` says it.
    pub kernel: String,
    /// Timer ticks a second (CONFIG_HZ): the granules of every TCP timer
    /// follow from it (kernel/time/timer.c). None when the machine does not tell.
    pub hz: Option<u32>,
    /// Which clock: `real` or `virtual`.
    pub time: String,
    /// The congestion control of every host.
    pub congestion_control: String,
    /// The version of halfopen.
    pub halfopen: String,
    /// `root` or `user namespace`.
    pub privileges: String,
    /// Sysctls pinned on every host.
    pub sysctls: BTreeMap<String, String>,
    /// Sysctls set for this run, by host (`all` is every host), on top of the
    /// pinned ones and of the scenarios' own.
    pub overrides: BTreeMap<String, BTreeMap<String, String>>,
    /// What the kernel allocates for one accepted TCP connection besides its
    /// queues: bytes by name of the slab. Empty where /proc/slabinfo may not be
    /// read (root only).
    #[serde(default)]
    pub connection_objects: BTreeMap<String, u32>,
    /// Where the timer wheel stood; only in virtual time, where it is the same
    /// every time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel: Option<WheelAt>,
}

/// A tick and its number: all others follow, because nothing slews a guest's
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WheelAt {
    /// The kernel's `jiffies` from this tick on.
    pub jiffies: u64,
    /// When the tick was, CLOCK_MONOTONIC.
    pub tick_ns: u64,
}
