//! Cables: which one, which direction, and what its ends see of a cut.

/// A cable, by the nodes at its ends; by one of them when that has a single cable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CableRef {
    /// A node at one end.
    pub near: String,
    /// The node at the other end, when `near` has several cables.
    pub far: Option<String>,
}

/// A direction of a cable, seen from its `near` end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Direction {
    /// Both directions.
    #[default]
    Both,
    /// Frames that come from the near end.
    From,
    /// Frames that go to the near end.
    To,
}

/// What the ends see of a cut cable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Carrier {
    /// Both ends keep carrier: the cut is further away, behind a switch or a media
    /// converter.
    #[default]
    Kept,
    /// The near end loses carrier.
    Lost,
}
