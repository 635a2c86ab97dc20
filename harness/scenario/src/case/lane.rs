//! Lanes: scripts that run in processes of their own.

use serde::{Deserialize, Serialize};

use super::{Detector, Program, Step};

/// A script, or a program, that runs in its own process on a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Its name; `client` and `server` are the usual ones.
    pub name: String,
    /// The host it runs on.
    pub host: String,
    /// How many processes run the script. Copies are called `name.1`, `name.2`.
    pub count: u32,
    /// How it notices a dead peer.
    pub detector: Detector,
    /// Name of the detector, for output; `none` if it has none.
    pub detector_name: String,
    /// What SIGPIPE does to the process.
    pub sigpipe: Disposition,
    /// What SIGTERM does to the process.
    pub sigterm: Disposition,
    /// The script; empty for a program.
    pub steps: Vec<Step>,
    /// An unmodified program instead of a script.
    #[serde(default)]
    pub program: Option<Program>,
}

/// What a signal does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// The default action: it ends the process.
    Default,
    /// It is ignored.
    Ignore,
}
