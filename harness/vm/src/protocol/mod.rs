//! What host and guest exchange about cases: the request that the guest gets as its
//! input, and the messages that [`crate::work`] sends back to [`crate::cases`].

pub(crate) mod command;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use halfopen_runner::recorded::Ended;

/// The first part of a guest's input.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Input<C> {
    Cases(Request<C>),
    Command(command::Request),
}

/// The cases that a guest is to run, and how.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request<C> {
    pub(crate) cases: Vec<C>,
    pub(crate) jobs: Option<usize>,
    pub(crate) sysctls: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) virtual_time: bool,
    pub(crate) explain: bool,
}

/// A message about the cases of a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum GuestMessage {
    /// The case with this index in the request has started.
    Started(usize),
    /// The case with this index has ended.
    Ended(usize, Ended),
    /// An [`Environment`](halfopen_outcome::environment::Environment) as JSON, a format
    /// that may leave out fields that are not set.
    Environment(String),
}
