//! The thread of a relay: reads frames, holds them, and writes them when they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, send};
use nix::sys::time::TimeSpec;

use super::line::Line;
use super::ports::Ends;
use halfopen_sys::clock::{monotonic_ns, realtime_ns};
use halfopen_sys::packet::statistics;

/// Buffer for one frame. The sender segments, so no frame is longer than 64 KiB.
const LARGEST: usize = 65_536 + 64;
/// No frame waits longer than this in the socket: an older timestamp is ignored,
/// because CLOCK_REALTIME was set in between.
const LONGEST_WAIT_NS: i64 = 1_000_000_000;

/// What the relay's owner asks of the thread.
pub(super) enum Order {
    /// Other ports from now on.
    Ends(Ends),
    /// End once no frame is under way any more.
    Drain,
}

/// A frame under way: when it is due, its number in the order of arrival, its bytes.
type UnderWay = Reverse<(i64, u64, Vec<u8>)>;

/// The state of a relay's thread.
pub(super) struct Forwarder {
    entry: OwnedFd,
    woken: OwnedFd,
    orders: Receiver<Order>,
    ends: Ends,
    line: Line,
    under_way: BinaryHeap<UnderWay>,
    number: u64,
    draining: bool,
    error: Arc<Mutex<Option<String>>>,
}

impl Forwarder {
    /// Reads frames at `entry`, and orders when there is something to read at `woken`.
    pub fn new(
        entry: OwnedFd,
        woken: OwnedFd,
        orders: Receiver<Order>,
        ends: Ends,
        line: Line,
        error: Arc<Mutex<Option<String>>>,
    ) -> Self {
        Forwarder {
            entry,
            woken,
            orders,
            ends,
            line,
            under_way: BinaryHeap::new(),
            number: 0,
            draining: false,
            error,
        }
    }

    /// Forwards frames until the relay is dropped or drained.
    pub fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; LARGEST];
        loop {
            self.read_frames(&mut buffer)?;
            self.deliver();
            if self.draining && self.under_way.is_empty() {
                return Ok(());
            }
            let next = self.under_way.peek().map(|Reverse((due, ..))| {
                let left = due - monotonic_ns();
                TimeSpec::from_duration(Duration::from_nanos(u64::try_from(left).unwrap_or(0)))
            });
            let mut fds = [
                PollFd::new(self.entry.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.woken.as_fd(), PollFlags::POLLIN),
            ];
            match ppoll(&mut fds, next, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
            if fds[1].any().unwrap_or(false) && !self.read_orders() {
                return Ok(());
            }
        }
    }

    /// Reads the orders; false when the relay was dropped.
    fn read_orders(&mut self) -> bool {
        let mut bytes = [0; 16];
        match nix::unistd::read(&self.woken, &mut bytes) {
            Ok(0) => return false,
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return false,
        }
        for order in self.orders.try_iter() {
            match order {
                Order::Ends(ends) => self.ends = ends,
                Order::Drain => self.draining = true,
            }
        }
        true
    }

    /// Reads every frame that waits in the socket.
    fn read_frames(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut control = nix::cmsg_space!(TimeSpec);
        loop {
            let mut space = [IoSliceMut::new(buffer)];
            let message = match recvmsg::<LinkAddr>(
                self.entry.as_raw_fd(),
                &mut space,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR | Errno::ENETDOWN) => continue,
                Err(e) => return Err(e.into()),
            };
            let sent_by_us = message
                .address
                .is_some_and(|from| from.pkttype() == libc::PACKET_OUTGOING);
            let stamp = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampns(t) => {
                        Some(t.tv_sec() * 1_000_000_000 + t.tv_nsec())
                    }
                    _ => None,
                })
            });
            let length = message.bytes;
            if !sent_by_us {
                self.process(arrival(stamp), &buffer[..length]);
            }
        }
        if let Ok(counted) = statistics(&self.entry)
            && counted.drops > 0
        {
            self.note(format!(
                "a relay was too slow and lost {} frames of its own",
                counted.drops
            ));
        }
        Ok(())
    }

    fn process(&mut self, at_ns: i64, frame: &[u8]) {
        let fate = self.line.fate(at_ns, frame, self.under_way.len());
        if let (Some(answer), Some(back)) = (fate.answer, &self.ends.back) {
            // The answer may get lost, as any router's may.
            let _ = send(back.as_raw_fd(), &answer, MsgFlags::MSG_DONTWAIT);
        }
        for copy in fate.copies {
            let mut bytes = frame.to_vec();
            if let Some(byte) = copy.flipped.and_then(|bit| bytes.get_mut(bit / 8)) {
                *byte ^= 1 << (copy.flipped.unwrap_or(0) % 8);
            }
            self.under_way
                .push(Reverse((copy.due_ns, self.number, bytes)));
            self.number += 1;
        }
    }

    /// Writes the frames that are due.
    fn deliver(&mut self) {
        let now = monotonic_ns();
        while self
            .under_way
            .peek()
            .is_some_and(|Reverse((due, ..))| *due <= now)
            && let Some(Reverse((_, _, bytes))) = self.under_way.pop()
        {
            // The receiving node is down.
            let Some(out) = &self.ends.out else { continue };
            match send(out.as_raw_fd(), &bytes, MsgFlags::empty()) {
                Ok(_) | Err(Errno::ENETDOWN | Errno::ENXIO | Errno::ENODEV) => {}
                Err(e) => self.note(format!(
                    "a relay could not deliver a frame of {} bytes: {e}",
                    bytes.len()
                )),
            }
        }
    }

    /// Keeps the first error.
    pub fn note(&self, error: String) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
    }
}

/// When a frame that is read now arrived, by its timestamp: the time that it waited
/// to be read does not add to its delay.
fn arrival(stamp: Option<i64>) -> i64 {
    let now = monotonic_ns();
    let waited = stamp.map_or(0, |stamp| realtime_ns() - stamp);
    if (0..LONGEST_WAIT_NS).contains(&waited) {
        now - waited
    } else {
        now
    }
}
