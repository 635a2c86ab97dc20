//! ethtool's ioctl: whether an interface has carrier, and what is left to it.

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
/// bridge port's state, eviction of neighbours. By itself that happens
/// later, up to a second for a carrier that goes (linkwatch_schedule_work()).
///
/// # Errors
/// ENODEV when there is no such interface.
pub fn settled_carrier(socket: &UdpSocket, interface: &str) -> io::Result<bool> {
    ask(socket, interface, ETHTOOL_GLINK, 0).map(|answer| answer != 0)
}

/// Whether checksums, and with them the cutting of TCP's super-packets, are
/// left to `interface` of the socket's namespace: off, what leaves by it is
/// what a real line carries (netdev_fix_features() takes TSO away with
/// checksums; validate_xmit_skb() does both in software).
///
/// # Errors
/// ENODEV when there is no such interface.
pub fn offload(socket: &UdpSocket, interface: &str, on: bool) -> io::Result<()> {
    ask(socket, interface, ETHTOOL_STXCSUM, u32::from(on)).map(drop)
}

fn ask(socket: &UdpSocket, interface: &str, cmd: u32, data: u32) -> io::Result<u32> {
    if interface.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    let mut value = EthtoolValue { cmd, data };
    // SAFETY: all bytes zero is a valid ifreq: arrays of integers and a union
    // of integers and pointers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: `request` is a valid ifreq whose name ends with a zero byte,
    // and whose data points to an ethtool_value that outlives the call, which
    // is what SIOCETHTOOL with either command reads and writes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &mut request) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value.data)
    }
}
