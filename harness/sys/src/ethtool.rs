//! ethtool's ioctl: whether an interface has carrier, and its checksum offload.
//! Labs use it to wait for a settled carrier and to make senders cut super-packets.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

const ETHTOOL_GLINK: u32 = 0x0000_000a;
const ETHTOOL_STXCSUM: u32 = 0x0000_0017;
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// Whether `interface` of the socket's namespace has carrier.
///
/// Before it answers, the kernel carries out what is still queued for the
/// interface after a change of carrier (ethtool_op_get_link() calls
/// linkwatch_sync_dev()): queueing disciplines, the operational state, a
/// bridge port's state, eviction of neighbours. Without being asked it does
/// that later, up to a second when carrier is lost (linkwatch_schedule_work()).
///
/// # Errors
/// ENODEV when there is no such interface.
pub fn settled_carrier(socket: &UdpSocket, interface: &str) -> io::Result<bool> {
    request(socket, interface, ETHTOOL_GLINK, 0).map(|answer| answer != 0)
}

/// Turns transmit checksum offload of `interface` of the socket's namespace on or
/// off, and with it TCP segmentation offload (netdev_fix_features() clears TSO
/// without checksums). Off, the stack does both in software
/// (validate_xmit_skb()), and the packets that leave are those of a real line.
///
/// # Errors
/// ENODEV when there is no such interface.
pub fn offload(socket: &UdpSocket, interface: &str, on: bool) -> io::Result<()> {
    request(socket, interface, ETHTOOL_STXCSUM, u32::from(on)).map(drop)
}

fn request(socket: &UdpSocket, interface: &str, cmd: u32, data: u32) -> io::Result<u32> {
    if interface.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    let mut value = EthtoolValue { cmd, data };
    // SAFETY: all bytes zero is a valid ifreq: arrays of integers and a union
    // of integers and pointers.
    let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in ifreq.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    ifreq.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: `ifreq` is a valid ifreq whose name ends with a zero byte,
    // and whose data points to an ethtool_value that outlives the call, which
    // is what SIOCETHTOOL with either command reads and writes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &mut ifreq) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value.data)
    }
}
