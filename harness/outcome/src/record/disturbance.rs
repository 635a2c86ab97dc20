//! How late the machine was while a case ran, and the tries that a case needed.

use serde::{Deserialize, Serialize};

/// A try of a case whose result was not taken, because the machine was disturbed
/// while it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisturbedTry {
    /// By how much the machine was late at most while it ran; None: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ns: Option<u64>,
    /// Which of the tables that all network namespaces share overflowed while it
    /// ran, and by how much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overflows: Vec<String>,
    /// What was wrong with it: how it differed from the expectation, lay outside
    /// the prediction, or failed.
    pub showed: String,
}
