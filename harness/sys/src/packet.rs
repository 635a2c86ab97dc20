//! Packet sockets, packet(7): what nix has no wrapper for. The relay, the capture
//! and announcements of moved addresses use them.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

/// What a packet socket counted since it was last read: reading resets both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Frames that passed the socket, lost ones included.
    pub packets: u32,
    /// Frames lost because the receive buffer was full.
    pub drops: u32,
}

/// getsockopt(PACKET_STATISTICS): packet_getsockopt() in net/packet/af_packet.c.
///
/// # Errors
/// ENOPROTOOPT when `socket` is no packet socket.
pub fn statistics(socket: impl AsFd) -> io::Result<Statistics> {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the descriptor is open for the length of the call, and the kernel
    // writes at most `len` bytes, the size of `stats`, whose fields are plain
    // integers.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut len,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Statistics {
        packets: stats.tp_packets,
        drops: stats.tp_drops,
    })
}

/// bind() to the device with index `ifindex`: packet_bind() in
/// net/packet/af_packet.c. `protocol` is an EtherType (ETH_P_ALL: all); with 0
/// the socket receives nothing.
///
/// # Errors
/// ENODEV when there is no such device.
pub fn bind(socket: impl AsFd, ifindex: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: all bytes zero is a valid sockaddr_ll: integers and an array of
    // them.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = i32::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open for the length of the call, which only
    // reads `address`, of the length given.
    let answer = unsafe {
        libc::bind(
            socket.as_fd().as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// sendto() of a whole frame, Ethernet header included, on the interface with
/// index `ifindex` of the socket's namespace.
///
/// # Errors
/// Of sendto(2) and packet(7): ENETDOWN when the interface is down.
pub fn send_frame(socket: impl AsFd, ifindex: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain integers, for which all zeros is a value.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as libc::sa_family_t;
    to.sll_ifindex = ifindex as libc::c_int;
    // SAFETY: the descriptor is open for the length of the call, and both
    // pointers are to live memory of the lengths given.
    let sent = unsafe {
        libc::sendto(
            socket.as_fd().as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
