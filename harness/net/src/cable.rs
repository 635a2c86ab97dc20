//! Cables: which one, which direction of travel, what its ends see.

use serde::{Deserialize, Serialize};

/// A cable by the node at one end (its only cable), or by both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CableRef {
    /// A node at one end.
    pub near: String,
    /// The node at the other end, when `near` has several cables.
    pub far: Option<String>,
}

/// A direction of travel on a cable, seen from its `near` end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// What comes from the near end.
    From,
    /// What goes to the near end.
    To,
}

/// What the ends see of a cut cable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// Link lights stay on: the cut is further away.
    #[default]
    Kept,
    /// The near end loses carrier.
    Lost,
}
