//! Moves bytes over one connection, call by call: read, write, exchange, echo, drain.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::calls::Polled;
use super::report::{Reporter, Site};
use super::sockets::Socket;
use halfopen_scenario::case::{Detector, Payload};
use halfopen_sys::poll;

/// Bytes of one read() or write() where a step moves many.
const CHUNK: usize = 64 * 1024;

/// One connection and what a step needs to use it.
pub(super) struct SocketIo<'a> {
    pub reporter: &'a mut Reporter,
    pub detector: &'a Detector,
    pub socket: &'a Socket,
    pub line: u32,
}

impl<'a> SocketIo<'a> {
    fn site(&self) -> Site<'a> {
        Site {
            conn: self.socket.name.as_deref(),
            line: self.line,
        }
    }

    /// read(), after poll() if the detector says so. None when poll() timed out, so
    /// that there was no read().
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<nix::Result<usize>> {
        let (site, fd) = (self.site(), self.socket.as_fd());
        if let Some(limit) = self.detector.poll {
            let on = [("socket", fd, poll::IN | poll::RDHUP)];
            match self.reporter.poll(site, &on, Some(limit)) {
                Polled::Ready => {}
                Polled::TimedOut => return None,
                Polled::Failed(errno) => return Some(Err(errno)),
            }
        }
        Some(self.reporter.read(site, fd, buffer))
    }

    /// read(), repeated when a signal interrupted it: after SIGSTOP and SIGCONT a read
    /// with SO_RCVTIMEO and a poll() return EINTR (signal(7)), and loops such as UNP's
    /// readn() continue. None: there is nothing more to read.
    fn read_more(&mut self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            match self.read(buffer)? {
                Err(Errno::EINTR) => {}
                Err(_) | Ok(0) => return None,
                Ok(bytes) => return Some(bytes),
            }
        }
    }

    /// write() until the kernel took everything. Whether it did.
    pub fn write_all(&mut self, mut data: &[u8]) -> bool {
        while !data.is_empty() {
            match self.reporter.write(self.site(), self.socket.as_fd(), data) {
                Err(Errno::EINTR) => {}
                Err(_) => return false,
                Ok(taken) => data = &data[taken..],
            }
        }
        true
    }

    /// Writes a payload, in chunks. Whether the kernel took everything.
    pub fn write(&mut self, payload: &Payload) -> bool {
        match payload {
            Payload::Text(text) => text
                .as_bytes()
                .chunks(CHUNK)
                .all(|part| self.write_all(part)),
            Payload::Bytes(bytes) => {
                let chunk = vec![b'x'; chunk_size(*bytes)];
                let mut left = *bytes;
                while left > 0 {
                    let part = chunk_size(left);
                    if !self.write_all(&chunk[..part]) {
                        return false;
                    }
                    left -= part as u64;
                }
                true
            }
        }
    }

    /// Writes a payload, then reads until as many bytes came back. Whether they did.
    pub fn exchange(&mut self, payload: &Payload) -> bool {
        if !self.write(payload) {
            return false;
        }
        let mut left = payload_bytes(payload);
        let mut buffer = vec![0; CHUNK];
        while left > 0 {
            match self.read_more(&mut buffer) {
                Some(bytes) => left = left.saturating_sub(bytes as u64),
                None => return false,
            }
        }
        true
    }

    /// Reads and writes back until end of file or an error.
    pub fn echo(&mut self) {
        let mut buffer = vec![0; CHUNK];
        while let Some(bytes) = self.read_more(&mut buffer) {
            if !self.write_all(&buffer[..bytes]) {
                return;
            }
        }
    }

    /// Reads until end of file or an error.
    pub fn drain(&mut self) {
        let mut buffer = vec![0; CHUNK];
        while self.read_more(&mut buffer).is_some() {}
    }
}

/// How many bytes a payload is.
pub(super) fn payload_bytes(payload: &Payload) -> u64 {
    match payload {
        Payload::Text(text) => text.len() as u64,
        Payload::Bytes(bytes) => *bytes,
    }
}

/// How many of `left` bytes go into the next chunk.
fn chunk_size(left: u64) -> usize {
    usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))
}
