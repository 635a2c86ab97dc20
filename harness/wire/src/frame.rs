//! A captured frame.

/// Bytes kept of a frame: Ethernet, IP and TCP headers have at most 134, and the
/// packet that an ICMP error quotes is needed, too.
pub const SNAP: usize = 256;

/// A frame as a port of the wire saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Frame {
    /// When, CLOCK_MONOTONIC, nanoseconds.
    pub at_ns: i64,
    /// The port.
    pub ifindex: u32,
    /// It left through this port (PACKET_OUTGOING); else it arrived.
    pub outgoing: bool,
    /// From the Ethernet header on, at most [`SNAP`] bytes. Checksums of frames that
    /// never reach hardware are not filled in.
    #[cfg_attr(feature = "serde", serde(with = "serde_bytes"))]
    pub bytes: Vec<u8>,
    /// Its full length. More than the MTU where TCP leaves segmentation to hardware
    /// that does not exist (TSO on a veth).
    pub wire_len: u32,
    /// A hash of the bytes that are not kept, if that was asked for: it shows whether
    /// two frames are the same to their ends.
    pub rest: Option<u64>,
}
