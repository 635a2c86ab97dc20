//! Every frame that passes the wire, taken by one AF_PACKET socket.
//!
//! A packet socket that is bound to no interface sees those of its namespace
//! that come later too (a reboot makes new ones). An arriving frame is shown
//! to it before tc and nft ingress may drop it, and a frame that is forwarded
//! is shown once more, as outgoing, when the other port's driver gets it
//! (`__netif_receive_skb_core()` and `dev_queue_xmit_nit()` in net/core/dev.c):
//! the difference between the two is what the wire did.
//!
//! Before Linux 6.15 every such socket is looked at for every frame of the
//! whole machine, and does no more than compare namespaces there.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use super::stamping::keep_stamping;
use halfopen_lab::LabError;
use halfopen_lab::Namespace;
use halfopen_sys::clock::{monotonic_ns, realtime_ns};
use halfopen_sys::packet::statistics;

/// Bytes kept of a frame: Ethernet, IP and TCP headers at their longest are
/// 134, and what an ICMP error quotes is wanted too.
pub const SNAP: usize = 256;

/// Bytes of socket memory. Only a limit: it costs nothing until frames wait. A
/// frame of 64 KiB (GSO) is charged in full until it is read.
const RECEIVE_BUFFER: usize = 16 << 20;

/// With its head a frame of 64 KiB.
const LARGEST: usize = 65_536 + 64;

/// Most frames one drain takes: more than the receive buffer can hold (each is
/// charged its `struct sk_buff` and data, 768 bytes at the least), so that
/// everything that waited is taken, and a flood does not keep it from returning.
const DRAIN: usize = 1 << 16;

/// A frame as a port of the wire saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// When, CLOCK_MONOTONIC, nanoseconds.
    pub at_ns: i64,
    /// The port.
    pub ifindex: u32,
    /// It left through this port (PACKET_OUTGOING); else it arrived.
    pub outgoing: bool,
    /// From the Ethernet header on, at most [`SNAP`] bytes. Checksums of frames
    /// that never see hardware are not filled in.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// How long it was. More than the MTU where TCP leaves the cutting to
    /// hardware that is not there (TSO on a veth).
    pub wire_len: u32,
    /// A hash of what is not kept of it, if that was asked for: whether two
    /// frames are the same to their ends.
    pub rest: Option<u64>,
}

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
        // The forced one needs CAP_NET_ADMIN in the *initial* user namespace;
        // without it the other gives what net.core.rmem_max allows.
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

    /// Looks at frames to their ends, too, from now on: a bit may be flipped
    /// anywhere. It costs a copy of every frame.
    pub fn look_at_all(&mut self) {
        self.buffer = vec![0; LARGEST];
    }

    /// Appends every frame that waits, in the kernel's order. Does not wait.
    ///
    /// # Errors
    /// When the kernel refuses to hand them out.
    pub fn drain(&mut self, out: &mut Vec<Frame>) -> Result<(), LabError> {
        self.clock.sample();
        for _ in 0..DRAIN {
            let mut space = [IoSliceMut::new(&mut self.buffer)];
            // MSG_TRUNC makes the result the frame's length, not the copy's.
            let message = match recvmsg::<LinkAddr>(
                self.socket.as_raw_fd(),
                &mut space,
                Some(&mut self.control),
                MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(()),
                // ENETDOWN: an interface went; the others go on.
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

    /// Frames lost so far because nobody drained the socket in time.
    pub fn lost(&mut self) -> u64 {
        // It cannot fail on the packet socket that this is; were it to, the
        // count would stay what it was.
        if let Ok(new) = statistics(&self.socket) {
            self.lost += u64::from(new.drops);
        }
        self.lost
    }
}

impl AsFd for Capture {
    /// Readable when frames wait: for poll(2).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// FNV-1a: one flipped bit is always seen, because every step can be undone.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Translates the stamps, which are CLOCK_REALTIME, to CLOCK_MONOTONIC.
///
/// Both clocks are one counter with one rate: NTP's slewing moves them alike,
/// and their difference changes only in steps (settimeofday(2), a leap second;
/// `struct timekeeper`, wall_to_monotonic). So one sample of the difference
/// holds from step to step and is as exact as the sampling, which is two reads
/// of the vDSO apart: below a microsecond unless the thread was preempted in
/// all tries. A step makes the frames that waited across it ambiguous; the
/// difference that puts a frame between the last sample and this one is taken.
#[derive(Debug)]
struct StampClock {
    /// REALTIME - MONOTONIC at the last sample.
    difference: i64,
    /// And at the one before.
    earlier: i64,
    /// MONOTONIC at the last sample and at the one before.
    sampled: i64,
    sampled_before: i64,
}

/// Stamps this much outside the interval are still taken as belonging to it.
const SLACK_NS: i64 = 1_000_000;

impl StampClock {
    fn now() -> Self {
        let (difference, sampled) = difference();
        StampClock {
            difference,
            earlier: difference,
            sampled,
            sampled_before: sampled,
        }
    }

    fn sample(&mut self) {
        self.earlier = self.difference;
        self.sampled_before = self.sampled;
        (self.difference, self.sampled) = difference();
    }

    fn monotonic(&self, stamp: Option<i64>) -> i64 {
        let Some(stamp) = stamp else {
            return monotonic_ns();
        };
        let at = stamp - self.difference;
        // Frames go on arriving while they are drained: no upper bound that
        // the next step could not break, but a second is long enough.
        let plausible = self.sampled_before - SLACK_NS..self.sampled + 1_000_000_000;
        if !plausible.contains(&at) {
            let by_earlier = stamp - self.earlier;
            if plausible.contains(&by_earlier) {
                return by_earlier;
            }
        }
        at
    }
}

/// REALTIME - MONOTONIC and MONOTONIC: the tightest of five.
fn difference() -> (i64, i64) {
    let one = || {
        let before = monotonic_ns();
        let real = realtime_ns();
        let after = monotonic_ns();
        (
            after - before,
            real - (before + (after - before) / 2),
            after,
        )
    };
    let mut best = one();
    for _ in 1..5 {
        let (gap, difference, at) = one();
        if gap < best.0 {
            best = (gap, difference, at);
        }
    }
    (best.1, best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_become_monotonic() {
        let mut clock = StampClock::now();
        let real = realtime_ns();
        let expected = monotonic_ns();
        clock.sample();
        let got = clock.monotonic(Some(real));
        assert!((expected - got).abs() < 50_000_000, "{expected} {got}");
    }

    #[test]
    fn a_step_of_the_clock_does_not_move_waiting_frames() {
        let hour = 3_600_000_000_000;
        let clock = StampClock {
            difference: 5_000 + hour,
            earlier: 5_000,
            sampled: 2_000_000_000,
            sampled_before: 1_000_000_000,
        };
        // Stamped before the step, then after it.
        assert_eq!(clock.monotonic(Some(1_500_005_000)), 1_500_000_000);
        assert_eq!(clock.monotonic(Some(1_900_005_000 + hour)), 1_900_000_000);
    }
}
