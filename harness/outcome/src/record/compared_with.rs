//! Which prediction an outcome was compared with.

use serde::{Deserialize, Serialize};

use super::Outcome;

/// The prediction that an observation was held against, and why if it is not
/// the narrowest one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparedWith {
    /// The prediction from the case alone: real time, where the phase of the
    /// timer wheel is not known.
    Case,
    /// The prediction from the case and the moments at which programs and faults acted:
    /// virtual time, with the phase of the timer wheel; or real time, where the
    /// prediction from the case alone did not hold because a program acted late.
    Moments,
    /// Virtual time, but the prediction from the moments was not available, for
    /// this reason: the wider prediction from the case alone was used.
    Fallback(String),
}

impl Outcome {
    /// Why the comparison fell back to the wider prediction, if it did.
    pub fn fallback(&self) -> Option<&str> {
        match &self.compared_with {
            Some(ComparedWith::Fallback(why)) => Some(why),
            Some(ComparedWith::Case | ComparedWith::Moments) | None => None,
        }
    }
}
