//! The relay: a thread in the middle of a cable that delays, drops and changes
//! frames as netem does, on kernels without netem.
//!
//! One direction of a cable leads through it: behind the rules that drop, the
//! port's chain forwards not to the cable's other port but to one end of a veth
//! pair in the wire. The relay reads at the pair's other end and writes to the
//! cable's other port, where a capture sees the frame leave. A thread and not a
//! process, so that it ends with the program in any case.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockType, recvmsg, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::unistd::pipe2;

use super::line::Line;
use crate::error::LabError;
use crate::namespace::Namespace;
use halfopen_sys::clock::{monotonic_ns, realtime_ns};
use halfopen_sys::packet::{bind, statistics};
use halfopen_sys::schedule::{Prompt, wake_promptly};

/// Buffer for one frame. The sender segments, so no frame is longer than 64 KiB.
const LARGEST: usize = 65_536 + 64;
/// Socket buffers, bytes; the capture's are as large. Memory is used only for frames
/// that wait.
const BUFFER: usize = 16 << 20;
/// No frame waits longer than this in the socket: an older timestamp is ignored,
/// because CLOCK_REALTIME was set in between.
const LONGEST_WAIT_NS: i64 = 1_000_000_000;

/// A relay that runs.
pub(crate) struct Relay {
    orders: Sender<Order>,
    /// A byte written here makes the thread read its orders; closed, it ends the thread
    /// at once.
    wake: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    error: Arc<Mutex<Option<String>>>,
}

enum Order {
    /// Other ports from now on.
    Ends(Ends),
    /// End once no frame is under way any more.
    Drain,
}

/// Sockets at the cable's ports: where frames leave, and where answers to their
/// senders leave. None while the node there is down.
pub(crate) struct Ends {
    out: Option<OwnedFd>,
    back: Option<OwnedFd>,
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
fn packet_socket(wire: &Namespace, ifindex: u32, protocol: u16) -> Result<OwnedFd, LabError> {
    let what = || format!("relay packets at interface {ifindex} of the wire");
    let opened = wire.enter(|| {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        bind(&fd, ifindex, protocol)?;
        io::Result::Ok(fd)
    })?;
    opened.map_err(|e| LabError::system(what(), e))
}

impl Relay {
    /// Starts reading at device `entry` of the wire.
    pub fn start(wire: &Namespace, entry: u32, ends: Ends, line: Line) -> Result<Relay, LabError> {
        let failed = |what: &str, e: io::Error| LabError::system(format!("{what} a relay"), e);
        let entry = packet_socket(wire, entry, libc::ETH_P_ALL as u16)?;
        if setsockopt(&entry, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&entry, sockopt::RcvBuf, &BUFFER)
                .map_err(|e| failed("give memory to", e.into()))?;
        }
        setsockopt(&entry, sockopt::ReceiveTimestampns, &true)
            .map_err(|e| failed("have frames stamped for", e.into()))?;
        let (woken, wake) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(|e| failed("make a pipe for", e.into()))?;
        let (orders, receiver) = channel();
        let error = Arc::new(Mutex::new(None));
        let mut work = Work {
            entry,
            woken,
            orders: receiver,
            ends,
            line,
            under_way: BinaryHeap::new(),
            number: 0,
            draining: false,
            error: error.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("halfopen-relay".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                wake_promptly(Prompt::Runner);
                if let Err(e) = work.run() {
                    work.note(format!("a relay failed, and nothing passes it: {e}"));
                }
            })
            .map_err(|e| failed("start", e))?;
        Ok(Relay {
            orders,
            wake: Some(wake),
            thread: Some(thread),
            error,
        })
    }

    /// Gives the relay other ports: a node was built anew.
    pub fn set_ends(&self, ends: Ends) {
        self.order(Order::Ends(ends));
    }

    /// Lets the relay end once no frame is under way any more.
    pub fn drain(&self) {
        self.order(Order::Drain);
    }

    /// The first error, as text: frames were then not treated as the line asks.
    pub fn error(&self) -> Option<String> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.clone()
    }

    fn order(&self, order: Order) {
        // A relay that has ended needs no orders.
        let _ = self.orders.send(order);
        if let Some(wake) = &self.wake {
            let _ = nix::unistd::write(wake, &[0]);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // The thread does not panic; if it did, it has ended, too.
            let _ = thread.join();
        }
    }
}

/// A frame under way: when it is due, its number in the order of arrival, its bytes.
type UnderWay = Reverse<(i64, u64, Vec<u8>)>;

struct Work {
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

impl Work {
    fn run(&mut self) -> io::Result<()> {
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

    fn note(&self, error: String) {
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
