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

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, TimestampingFlag, Timestamps, recvmsg, setsockopt,
    sockopt,
};

use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::set_loopback_up;

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
        let socket = ns.enter(|| {
            set_loopback_up()?;
            stamped_socket().map_err(|e| LabError::system("have packets stamped by the kernel", e))
        })??;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_stamped_after_the_first_call() {
        keep_stamping().unwrap_or_else(|e| {
            panic!("this test needs root or a user namespace, run it by ci/test: {e:?}")
        });
        let ns = Namespace::create("stamped").expect("it made one before");
        let socket = ns.enter(|| {
            set_loopback_up().expect("it may");
            stamped_socket()
        });
        let socket = socket.expect("may enter").expect("stamps are on");
        assert!(comes_back_stamped(&socket).expect("it loops back"));
    }
}
