//! What the model of a line reads of a frame.

/// Length of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

/// Whether the frame's EtherType is IPv4's or IPv6's.
pub(super) fn is_ip(frame: &[u8]) -> bool {
    matches!(frame.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]))
}
