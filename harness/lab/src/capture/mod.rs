//! Captures every frame that passes the wire, by one AF_PACKET socket: for
//! recordings, and for the cases of halfopen's runner. `halfopen-wire` reads the frames.
//!
//! A packet socket that is bound to no interface also receives from interfaces of
//! its namespace that are made later (by a reboot). It gets an arriving frame before
//! tc and nft ingress may drop it, and a forwarded frame once more, as outgoing, when
//! the other port's driver gets it (`__netif_receive_skb_core()` and
//! `dev_queue_xmit_nit()` in net/core/dev.c): the difference between the two is what
//! the wire did.
//!
//! Before Linux 6.15 the kernel visits every such socket for every frame of the
//! whole machine, but only compares namespaces there.

mod stamp_clock;
mod stamping;

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;

use crate::error::LabError;
use crate::namespace::Namespace;
use halfopen_sys::packet::statistics;
pub use halfopen_wire::{Frame, SNAP};
use stamp_clock::StampClock;
use stamping::keep_stamping;

/// Bytes of socket memory. Only a limit: none is used until frames wait. A frame of
/// 64 KiB (GSO) is charged in full until it is read.
const RECEIVE_BUFFER: usize = 16 << 20;

/// A frame of 64 KiB with its header.
const LARGEST: usize = 65_536 + 64;

/// The most frames that one call of drain() reads. The receive buffer holds fewer
/// (each is charged its `struct sk_buff` and data, 768 bytes at the least), so all
/// that waited are read, and a flood does not keep drain() from returning.
const MAX_DRAIN: usize = 1 << 16;

/// An open capture.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
    control: Vec<u8>,
    buffer: Vec<u8>,
    lost: u64,
    clock: StampClock,
}

impl Capture {
    /// Starts capturing on every interface, present and future, of `ns`.
    ///
    /// # Errors
    /// Without CAP_NET_RAW in the namespace.
    pub fn open(ns: &Namespace) -> Result<Capture, LabError> {
        keep_stamping()?;
        let what = || format!("capture packets in namespace {}", ns.name());
        let socket = ns.enter(|| {
            socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )
        })?;
        let socket = socket.map_err(|e| LabError::system(what(), e))?;
        // SO_RCVBUFFORCE needs CAP_NET_ADMIN in the *initial* user namespace; without
        // it SO_RCVBUF sets what net.core.rmem_max allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)
                .map_err(|e| LabError::system(what(), e))?;
        }
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)
            .map_err(|e| LabError::system(what(), e))?;
        Ok(Capture {
            socket,
            control: nix::cmsg_space!(TimeSpec),
            buffer: vec![0; SNAP],
            lost: 0,
            clock: StampClock::now(),
        })
    }

    /// From now on also hashes what is beyond [`SNAP`]: a bit may be flipped anywhere.
    /// It costs a copy of every frame.
    pub fn keep_whole_frames(&mut self) {
        self.buffer = vec![0; LARGEST];
    }

    /// Appends every frame that waits, in the kernel's order. Does not block.
    ///
    /// # Errors
    /// When the kernel refuses to hand them out.
    pub fn drain(&mut self, out: &mut Vec<Frame>) -> Result<(), LabError> {
        self.clock.sample();
        for _ in 0..MAX_DRAIN {
            let mut space = [IoSliceMut::new(&mut self.buffer)];
            // With MSG_TRUNC the result is the frame's length, not that of the copy.
            let message = match recvmsg::<LinkAddr>(
                self.socket.as_raw_fd(),
                &mut space,
                Some(&mut self.control),
                MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(()),
                // ENETDOWN: an interface is gone; the others still receive.
                Err(Errno::EINTR | Errno::ENETDOWN) => continue,
                Err(e) => return Err(LabError::system("read captured packets", e)),
            };
            let stamp = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampns(t) => {
                        Some(t.tv_sec() * 1_000_000_000 + t.tv_nsec())
                    }
                    _ => None,
                })
            });
            let length = message.bytes;
            let Some(from) = message.address else {
                continue;
            };
            let whole = self.buffer.len() > SNAP;
            let rest = self.buffer.get(SNAP..length.min(self.buffer.len()));
            out.push(Frame {
                at_ns: self.clock.monotonic(stamp),
                ifindex: from.ifindex() as u32,
                outgoing: from.pkttype() == libc::PACKET_OUTGOING,
                bytes: self.buffer[..length.min(SNAP)].to_vec(),
                wire_len: length as u32,
                rest: rest.filter(|_| whole).map(hash),
            });
        }
        Ok(())
    }

    /// How many frames were lost so far because the socket was not read in time.
    pub fn lost(&mut self) -> u64 {
        // It cannot fail on a packet socket; if it did, the count would stay the same.
        if let Ok(new) = statistics(&self.socket) {
            self.lost += u64::from(new.drops);
        }
        self.lost
    }
}

impl AsFd for Capture {
    /// Readable when frames wait, for poll(2).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// FNV-1a. One flipped bit always changes the result, because every step is
/// invertible.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
