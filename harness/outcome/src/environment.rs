//! What the results of a run depend on besides the scenarios. The runner records
//! it; reports, baselines and predictions read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The machine and the settings of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// Timer ticks a second (CONFIG_HZ), which determines the granules of every
    /// TCP timer (kernel/time/timer.c). None when it cannot be found out.
    pub hz: Option<u32>,
    /// The clock: `real` or `virtual`.
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
    /// Bytes that the kernel allocates for one accepted TCP connection besides
    /// its queues, by slab. Empty where /proc/slabinfo cannot be read (only root
    /// can).
    #[serde(default)]
    pub connection_objects: BTreeMap<String, u32>,
    /// The position of the timer wheel. Recorded only in virtual time, where it
    /// is the same in every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel: Option<WheelAt>,
}

/// One tick and its number. All others follow from it, because nothing slews a
/// guest's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WheelAt {
    /// The kernel's `jiffies` from this tick on.
    pub jiffies: u64,
    /// The time of the tick, CLOCK_MONOTONIC.
    pub tick_ns: u64,
}
