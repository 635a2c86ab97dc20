//! The memory through which host and guest exchange messages: that of a PCI device
//! (ivshmem-plain), backed by a memfd on the host. [`crate::machine`] uses the host's
//! side, [`crate::guest`] the guest's.
//!
//! Shared memory keeps two runs identical: a write costs the same number of
//! instructions whatever the host is doing. A virtio or serial port interrupts the
//! guest when the *host* has taken the data, at another instruction each time. Shared
//! memory needs no driver either.
//!
//! ```text
//! 0     u64  bytes of messages written so far
//! 8     u64  the guest's CLOCK_MONOTONIC, nanoseconds
//! 16    u64  how long its processor was busy, nanoseconds; 0 before the end
//! 24    u64  bytes of input; 0 before the host has written it
//! 32    u64  bytes of the request
//! 40    u64  bytes of the answer
//! 48    u64  signals for the guest's command, one bit each
//! 4096  messages: a byte for the kind, u32 the content's length, the content
//! 64M   the input
//! 248M  the request that the guest waits for the answer to
//! 252M  the answer
//! ```
//! Numbers are little-endian. A byte count is stored after the bytes it counts. The
//! guest sends its first message when it has read the input, so messages may reach
//! beyond 64M.
//!
//! A request (of a guest that runs a command, [`crate::command`]) is answered between
//! two instructions of the guest: see [`crate::gate`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::gate::HostGate;
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::shared::SharedMemory;

/// Size of the memory: a power of two, as PCI requires. Pages that are not written take
/// no memory.
pub const SIZE: u64 = 256 << 20;

const WRITTEN: usize = 0;
const CLOCK: usize = 8;
const BUSY: usize = 16;
const INPUT_LENGTH: usize = 24;
const REQUEST_LENGTH: usize = 32;
const ANSWER_LENGTH: usize = 40;
const SIGNALS: usize = 48;
const MESSAGES: usize = 4096;
const INPUT: usize = 64 << 20;
const REQUEST: usize = 248 << 20;
const ANSWER: usize = 252 << 20;
/// The most bytes of input.
pub const MOST_INPUT: u64 = (REQUEST - INPUT) as u64;
/// The most bytes of a request, and of an answer.
pub const MOST_REQUEST_BYTES: usize = 4 << 20;
/// Bytes before a message's content: its kind and its length.
const HEADER: usize = 5;

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The guest is up; a [`BootReport`](crate::machine::BootReport) as JSON.
    Booted,
    /// A message of the guest's work.
    Work,
    /// The work is done.
    Done,
    /// The work failed; the reason as text.
    Failed,
}

const KIND_BYTES: [(MessageKind, u8); 4] = [
    (MessageKind::Booted, b'B'),
    (MessageKind::Work, b'S'),
    (MessageKind::Done, b'D'),
    (MessageKind::Failed, b'F'),
];

/// The guest's side of the channel.
#[derive(Debug)]
pub struct GuestChannel {
    memory: SharedMemory,
    written: usize,
}

impl GuestChannel {
    /// Maps the memory of `device`.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub fn open(device: &File) -> io::Result<Self> {
        Ok(GuestChannel {
            memory: SharedMemory::map(device)?,
            written: 0,
        })
    }

    /// The input; None until the host has written it.
    pub fn read_input(&self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.memory.load(INPUT_LENGTH)).unwrap_or(0);
        (length > 0).then(|| self.memory.read(INPUT, length))
    }

    /// Sends a message. A message that does not fit any more is truncated, and later
    /// ones are lost.
    pub fn send(&mut self, kind: MessageKind, content: &[u8]) {
        let byte = KIND_BYTES
            .iter()
            .find(|(k, _)| *k == kind)
            .map_or(b'S', |(_, byte)| *byte);
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let at = MESSAGES + self.written;
        self.memory.write(at, &[byte]);
        self.memory.write(at + 1, &length.to_le_bytes());
        self.memory.write(at + HEADER, content);
        let capacity = self.memory.len().min(REQUEST) - MESSAGES;
        self.written = (self.written + HEADER + content.len()).min(capacity);
        self.publish_clock();
        self.memory
            .store(WRITTEN, u64::try_from(self.written).unwrap_or(u64::MAX));
    }

    /// Writes a request, to be answered when `ring` returns; its answer.
    pub fn ask(
        &mut self,
        request: &[u8],
        ring: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        if request.len() > MOST_REQUEST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.memory.write(REQUEST, request);
        self.publish_clock();
        let length = u64::try_from(request.len()).unwrap_or(u64::MAX);
        self.memory.store(REQUEST_LENGTH, length);
        ring()?;
        let length = usize::try_from(self.memory.load(ANSWER_LENGTH)).unwrap_or(0);
        Ok(self.memory.read(ANSWER, length))
    }

    /// The signals that the host wants the command to get, one bit each; each is
    /// returned once.
    pub fn take_signals(&self) -> u64 {
        let signals = self.memory.load(SIGNALS);
        if signals != 0 {
            self.memory.store(SIGNALS, 0);
        }
        signals
    }

    /// Writes the guest's clock to the channel.
    pub fn publish_clock(&self) {
        self.memory
            .store(CLOCK, u64::try_from(monotonic_ns()).unwrap_or(0));
    }

    /// Writes how long the guest's processor was busy to the channel.
    pub fn publish_busy_time(&self, busy: Duration) {
        self.memory
            .store(BUSY, u64::try_from(busy.as_nanos()).unwrap_or(0));
    }
}

/// The host's side of the channel.
#[derive(Debug)]
pub struct HostChannel {
    /// The file that QEMU is to use as the device's memory.
    pub file: File,
    /// Where a guest that has written a request waits.
    pub(super) gate: HostGate,
    read: u64,
    partial: Vec<u8>,
}

impl HostChannel {
    /// Creates a channel without input and messages.
    ///
    /// # Errors
    /// When memfd_create(2) or ftruncate(2) fails.
    pub fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("halfopen-channel", MFdFlags::MFD_CLOEXEC)?);
        file.set_len(SIZE)?;
        Ok(HostChannel {
            file,
            gate: HostGate::new()?,
            read: 0,
            partial: Vec::new(),
        })
    }

    /// Writes the guest's input.
    ///
    /// # Errors
    /// When pwrite(2) fails; FileTooLarge when the input does not fit.
    pub fn write_input(&self, input: &[u8]) -> io::Result<()> {
        let length = input.len() as u64;
        if length > MOST_INPUT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.file.write_all_at(input, INPUT as u64)?;
        self.file
            .write_all_at(&length.to_le_bytes(), INPUT_LENGTH as u64)
    }

    /// The request that the guest waits for the answer to.
    ///
    /// # Errors
    /// When pread(2) fails.
    pub fn request(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.read_u64(REQUEST_LENGTH)?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(MOST_REQUEST_BYTES)];
        self.file.read_exact_at(&mut bytes, REQUEST as u64)?;
        Ok(bytes)
    }

    /// Writes the answer to the request.
    ///
    /// # Errors
    /// When pwrite(2) fails; FileTooLarge when the answer does not fit.
    pub fn answer(&self, answer: &[u8]) -> io::Result<()> {
        if answer.len() > MOST_REQUEST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.file.write_all_at(answer, ANSWER as u64)?;
        let length = answer.len() as u64;
        self.file
            .write_all_at(&length.to_le_bytes(), ANSWER_LENGTH as u64)
    }

    /// Adds signals for the guest's command.
    ///
    /// # Errors
    /// When the memory cannot be accessed.
    pub fn add_signals(&self, signals: u64) -> io::Result<()> {
        if signals == 0 {
            return Ok(());
        }
        let signals = self.read_u64(SIGNALS)? | signals;
        self.file
            .write_all_at(&signals.to_le_bytes(), SIGNALS as u64)
    }

    /// The guest's clock as last published, nanoseconds.
    ///
    /// # Errors
    /// When pread(2) fails.
    pub fn clock_ns(&self) -> io::Result<u64> {
        self.read_u64(CLOCK)
    }

    /// How long the guest's processor was busy, nanoseconds; 0 before the guest has
    /// ended.
    ///
    /// # Errors
    /// When pread(2) fails.
    pub fn busy_ns(&self) -> io::Result<u64> {
        self.read_u64(BUSY)
    }

    /// The messages sent since the last call.
    ///
    /// # Errors
    /// When pread(2) fails; InvalidData when the memory holds an unknown kind of
    /// message.
    pub fn receive(&mut self) -> io::Result<Vec<(MessageKind, Vec<u8>)>> {
        let written = self.read_u64(WRITTEN)?.min((REQUEST - MESSAGES) as u64);
        let mut unread = vec![0; usize::try_from(written.saturating_sub(self.read)).unwrap_or(0)];
        self.file
            .read_exact_at(&mut unread, MESSAGES as u64 + self.read)?;
        self.read = written;
        self.partial.append(&mut unread);
        let mut messages = Vec::new();
        let mut rest = self.partial.as_slice();
        while let Some((&[byte, a, b, c, d], after)) = rest.split_first_chunk::<HEADER>() {
            let Some((kind, _)) = KIND_BYTES.iter().find(|(_, known)| *known == byte) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            let Some((content, next)) = after.split_at_checked(length) else {
                break;
            };
            messages.push((*kind, content.to_vec()));
            rest = next;
        }
        let used = self.partial.len() - rest.len();
        self.partial.drain(..used);
        Ok(messages)
    }

    fn read_u64(&self, at: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at as u64)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_received_once() {
        let mut host = HostChannel::new().expect("memory");
        let mut guest = GuestChannel::open(&host.file).expect("memory");
        assert_eq!(host.receive().expect("silence"), []);
        guest.send(MessageKind::Booted, b"{}");
        guest.send(MessageKind::Work, b"two\nlines");
        let messages = host.receive().expect("right messages");
        assert_eq!(
            messages,
            [
                (MessageKind::Booted, b"{}".to_vec()),
                (MessageKind::Work, b"two\nlines".to_vec())
            ]
        );
        assert!(host.clock_ns().expect("a number") > 0);
        guest.send(MessageKind::Done, b"");
        assert_eq!(
            host.receive().expect("right messages"),
            [(MessageKind::Done, Vec::new())]
        );
        assert_eq!(host.receive().expect("silence"), []);
    }

    #[test]
    fn the_guest_reads_the_input() {
        let host = HostChannel::new().expect("memory");
        let guest = GuestChannel::open(&host.file).expect("memory");
        assert_eq!(guest.read_input(), None);
        host.write_input(b"cases").expect("room");
        assert_eq!(guest.read_input().as_deref(), Some(&b"cases"[..]));
        let too_long = vec![0; usize::try_from(SIZE).expect("it fits") - INPUT + 1];
        assert!(host.write_input(&too_long).is_err());
    }

    #[test]
    fn a_request_gets_its_answer() {
        let host = HostChannel::new().expect("memory");
        let mut guest = GuestChannel::open(&host.file).expect("memory");
        let answer = guest.ask(b"which?", || {
            assert_eq!(host.request()?, b"which?");
            host.answer(b"this one")
        });
        assert_eq!(answer.expect("answered"), b"this one");
        host.add_signals(1 << 15).expect("memory");
        assert_eq!((guest.take_signals(), guest.take_signals()), (1 << 15, 0));
    }

    #[test]
    fn a_full_channel_truncates() {
        let mut host = HostChannel::new().expect("memory");
        host.file.set_len(MESSAGES as u64 + 8).expect("smaller");
        let mut guest = GuestChannel::open(&host.file).expect("memory");
        guest.send(MessageKind::Work, b"too long");
        guest.send(MessageKind::Work, b"lost");
        assert_eq!(host.receive().expect("no whole message"), []);
    }
}
