//! Packet sockets at the wire's ports.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

use crate::error::LabError;
use crate::namespace::Namespace;
use halfopen_sys::packet::bind;

/// Socket buffers, bytes; the capture's are as large. Memory is used only for frames
/// that wait.
pub(super) const BUFFER: usize = 16 << 20;

/// Sockets at the cable's ports: where frames leave, and where answers to their
/// senders leave. None while the node there is down.
pub(crate) struct Ends {
    pub(super) out: Option<OwnedFd>,
    pub(super) back: Option<OwnedFd>,
}

impl Ends {
    /// Sockets that write to these ports of the wire.
    pub fn open(wire: &Namespace, out: Option<u32>, back: Option<u32>) -> Result<Ends, LabError> {
        let open = |ifindex: Option<u32>| ifindex.map(|i| writer(wire, i)).transpose();
        Ok(Ends {
            out: open(out)?,
            back: open(back)?,
        })
    }
}

/// A socket that writes to a device. A frame is charged to the socket's buffer until
/// the receiving namespace has processed it, so a small buffer would block.
fn writer(wire: &Namespace, ifindex: u32) -> Result<OwnedFd, LabError> {
    let fd = packet_socket(wire, ifindex, 0)?;
    if setsockopt(&fd, sockopt::SndBufForce, &BUFFER).is_err() {
        setsockopt(&fd, sockopt::SndBuf, &BUFFER)
            .map_err(|e| LabError::system("give memory to a relay", e))?;
    }
    Ok(fd)
}

/// A packet socket at one device; with `protocol` 0 it only writes.
pub(super) fn packet_socket(
    wire: &Namespace,
    ifindex: u32,
    protocol: u16,
) -> Result<OwnedFd, LabError> {
    let what = || format!("relay packets at interface {ifindex} of the wire");
    let opened = wire.enter(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        bind(&fd, ifindex, protocol)?;
        io::Result::Ok(fd)
    })?;
    opened.map_err(|e| LabError::system(what(), e))
}
