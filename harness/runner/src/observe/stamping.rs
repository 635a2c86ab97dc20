//! Makes sure that the kernel stamps packets when they pass, before a capture starts.
//!
//! Problem: the first socket that asks for time stamps enables them for the whole
//! machine, but from a work queue, so some time later, and the last one disables them
//! (`net_enable_timestamp()`, `netstamp_clear()`). A packet that passes before gets
//! the time when it is *read* (`__sock_recv_timestamp()`): the packets of a capture's
//! first millisecond, in which a connection is made, would get the time of its end.
//!
//! Solution: a socket in a namespace of its own that asks for stamps for as long as
//! this process lives, and that sends to itself until a packet comes back stamped. It
//! asks by SO_TIMESTAMPING, which does not replace a missing stamp.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, TimestampingFlag, Timestamps, recvmsg, setsockopt,
    sockopt,
};

use halfopen_lab::LabError;
use halfopen_lab::Namespace;

/// How long to wait for the work queue.
const STAMPING_LIMIT: Duration = Duration::from_secs(5);

/// Returns when packets are stamped. They are from then on, until this process ends.
pub(super) fn keep_stamping() -> Result<(), LabError> {
    static KEEPER: Mutex<Option<UdpSocket>> = Mutex::new(None);
    let mut keeper = KEEPER
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if keeper.is_none() {
        let ns = Namespace::create("stamping")?;
        let socket = ns
            .enter(|| {
                loopback_up()?;
                stamped_socket()
            })?
            .map_err(|e| LabError::system("have packets stamped by the kernel", e))?;
        *keeper = Some(socket);
    }
    Ok(())
}

fn stamped_socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    setsockopt(
        &socket,
        sockopt::Timestamping,
        &(TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE),
    )?;
    socket.connect(socket.local_addr()?)?;
    socket.set_read_timeout(Some(STAMPING_LIMIT))?;
    let start = Instant::now();
    while !comes_back_stamped(&socket)? {
        if start.elapsed() > STAMPING_LIMIT {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(socket)
}

fn comes_back_stamped(socket: &UdpSocket) -> io::Result<bool> {
    socket.send(&[0])?;
    let mut control = nix::cmsg_space!(Timestamps);
    let mut byte = [0];
    let mut space = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<SockaddrIn>(
        socket.as_raw_fd(),
        &mut space,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    Ok(message.cmsgs()?.any(|one| match one {
        ControlMessageOwned::ScmTimestampsns(stamps) => stamps.system.tv_sec() != 0,
        _ => false,
    }))
}

/// Sets the loopback interface up, which has index 1 everywhere.
fn loopback_up() -> io::Result<()> {
    const LOOPBACK_IFINDEX: u32 = 1;
    let mut link = LinkMessage::default();
    link.header.index = LOOPBACK_IFINDEX;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK;
    let mut message = NetlinkMessage::new(
        header,
        NetlinkPayload::from(RouteNetlinkMessage::SetLink(link)),
    );
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    match answer.payload {
        NetlinkPayload::Error(e) if e.code.is_some() => Err(e.to_io()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_stamped_after_the_first_call() {
        keep_stamping().unwrap_or_else(|e| {
            panic!("this test needs root or a user namespace, run it by ci/test: {e:?}")
        });
        let ns = Namespace::create("stamped").expect("it made one before");
        let socket = ns.enter(|| loopback_up().and_then(|()| stamped_socket()));
        let socket = socket.expect("may enter").expect("stamps are on");
        assert!(comes_back_stamped(&socket).expect("it loops back"));
    }
}
