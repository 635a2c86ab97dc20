//! What the kernel itself says of a connection: its trace events.

use serde::{Deserialize, Serialize};

/// A trace event of the kernel's (Documentation/trace/events.rst).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelEvent {
    /// When.
    pub at_ns: i64,
    /// The host whose socket it is about; None where the event names no socket.
    pub host: Option<String>,
    /// The event: `inet_sk_error_report`.
    pub event: String,
    /// What else it says: an errno, the reason of a drop.
    pub what: String,
}
