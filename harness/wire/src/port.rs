//! The ports of the wire: which interface of its namespace leads to which node.

/// A port of the wire: the end of a cable that leads to one node.
///
/// A reboot gives the end of a cable a new interface; both are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PortInfo {
    /// Its index in the wire's namespace.
    pub ifindex: u32,
    /// The cable, `client-server`.
    pub cable: String,
    /// The node at this end.
    pub node: String,
    /// The node at the other end.
    pub other: String,
}
