//! What was done to the lab: each event of the case with its times, and the two
//! moments that the rest of the record counts from.

use serde::{Deserialize, Serialize};

/// One event that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its name, which is also its mark.
    pub name: String,
    /// Its description: `crash server`, `drop to server by nft on the wire`.
    pub what: String,
    /// Whether times count from it (keyboard input and heals are no faults).
    pub is_fault: bool,
    /// When it was due by its time or its mark. Not part of the record: the runner of
    /// this machine knows it, and a guest's moments need no delay.
    #[serde(skip)]
    pub due_ns: Option<i64>,
    /// When the runner sent the request to the kernel.
    pub asked_ns: i64,
    /// When the kernel's answer to the request arrived: the event is in effect.
    #[serde(rename = "took_ns")]
    pub effective_ns: i64,
}

/// The moment before which nothing can be an effect of a fault: when the first
/// one was requested, or the start of the case when there is none.
pub fn asked_ns(faults: &[FaultRecord]) -> i64 {
    let faults = faults.iter().filter(|f| f.is_fault);
    faults.map(|f| f.asked_ns).min().unwrap_or(0)
}

/// The moment that times count from: when the first fault took effect, or the
/// start of the case when there is none.
pub fn reference_ns(faults: &[FaultRecord]) -> i64 {
    let faults = faults.iter().filter(|f| f.is_fault);
    faults.map(|f| f.effective_ns).min().unwrap_or(0)
}
