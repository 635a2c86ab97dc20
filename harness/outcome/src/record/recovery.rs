//! What became of the connections after an outage.

use serde::{Deserialize, Serialize};

/// The connections of a case after its last `heal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The event that healed, by name.
    pub heal: String,
    /// When the heal took effect; None: the case ended before it.
    pub healed_ns: Option<i64>,
    /// A connection from before the outage carried data after it, and no RST
    /// ended it.
    pub lived: bool,
    /// From the heal until the first byte of such a connection was delivered
    /// to its host, measured on the wire.
    pub since_heal_ns: Option<i64>,
    /// From the heal until the first read() returned data, measured by the calls.
    pub read_since_heal_ns: Option<i64>,
}
