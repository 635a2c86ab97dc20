//! What a host and its guest say to each other about cases.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use halfopen_runner::recorded::Ended;

/// What a guest is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order<C> {
    pub(crate) cases: Vec<C>,
    pub(crate) jobs: Option<usize>,
    pub(crate) sysctls: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) virtual_time: bool,
}

/// What a guest says of its cases.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// The case with this number of the order has started.
    Started(usize),
    /// It has ended.
    Ended(usize, Ended),
    /// An [`Environment`](halfopen_outcome::environment::Environment) as JSON, which may leave out what it does not have.
    Environment(String),
}
