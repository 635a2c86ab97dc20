//! Steps that move bytes over one connection: read, write, exchange, echo, drain.

use super::super::SockId;
use super::script::{Flow, Script};
use halfopen_scenario::case::Step;

/// Bytes of one read() or write() where a step moves many.
const CHUNK: u64 = 64 * 1024;

/// What a step does with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Read(u64),
    Drain,
    Echo,
    Write(u64),
    Exchange(u64),
    HalfClose,
}

impl<'a> Script<'a> {
    pub(super) async fn io(&mut self, step: &'a Step, want: Want) -> Flow {
        let Some(index) = self.find(step.conn.as_deref()) else {
            return Flow::End;
        };
        let sock = self.conns[index].sock;
        match want {
            Want::Read(most) => {
                self.read(sock, most).await;
            }
            Want::Drain => while self.read_more(sock).await.is_some() {},
            Want::Echo => {
                while let Some(bytes) = self.read_more(sock).await {
                    if !self.write_all(sock, bytes).await {
                        break;
                    }
                }
            }
            Want::Write(bytes) => {
                self.write_all(sock, bytes).await;
            }
            Want::Exchange(bytes) => self.exchange(sock, bytes).await,
            Want::HalfClose => {
                self.conns[index].half_closed = true;
                self.sys.half_close(sock).await;
            }
        }
        Flow::Next
    }

    /// read(), after poll() if the detector says so. None: poll() timed out.
    async fn read(&mut self, sock: SockId, most: u64) -> Option<Result<u64, &'static str>> {
        let detector = &self.lane.detector;
        if detector.poll.is_some() {
            self.sys.poll(Some(sock), false, detector.poll).await?;
        }
        let read = self.sys.read(sock, most, detector.read_timeout).await;
        Some(read.map(|(bytes, _)| bytes))
    }

    /// None: there is nothing more to read.
    async fn read_more(&mut self, sock: SockId) -> Option<u64> {
        match self.read(sock, CHUNK).await? {
            Err(_) | Ok(0) => None,
            Ok(bytes) => Some(bytes),
        }
    }

    /// write() in chunks. Whether the kernel took everything.
    pub(super) async fn write_all(&mut self, sock: SockId, bytes: u64) -> bool {
        let mut left = bytes;
        while left > 0 {
            let part = left.min(CHUNK);
            if self.sys.write(sock, part, None).await.is_err() {
                return false;
            }
            left -= part;
        }
        true
    }

    async fn exchange(&mut self, sock: SockId, bytes: u64) {
        if !self.write_all(sock, bytes).await {
            return;
        }
        let mut left = bytes;
        while left > 0 {
            match self.read_more(sock).await {
                Some(bytes) => left = left.saturating_sub(bytes),
                None => return,
            }
        }
    }
}
