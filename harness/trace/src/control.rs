//! What the caller can ask for while a program runs.
//!
//! Requests come over a stream (a pipe or a socket), each as a length (u32,
//! little endian) and that many bytes of postcard. When the stream ends, its
//! owner has ended, and the tracer ends every traced process.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::{SignalNumber, TraceError};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Sends a signal.
    Signal {
        /// Which: SIGTERM, SIGKILL, SIGSTOP, SIGCONT, ...
        signal: SignalNumber,
        /// To whom.
        to: Target,
    },
    /// Writes to the program's standard input, which must be [`crate::Stdin::Open`].
    Write(String),
    /// Ends standard input once everything is written.
    CloseStdin,
    /// Ends every traced process (SIGKILL).
    End,
}

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The process that was started.
    Program,
    /// Every traced process.
    All,
    /// One traced process.
    Process(i32),
}

/// Longer requests are taken for garbage.
const MAX_REQUEST: usize = 16 << 20;

impl Request {
    /// Writes the request to the tracer's control stream.
    ///
    /// # Errors
    /// Those of writing.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let body = postcard::to_stdvec(self).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let mut message = length.to_le_bytes().to_vec();
        message.extend(body);
        to.write_all(&message)
    }
}

/// Puts requests together from what arrived.
#[derive(Debug, Default)]
pub(crate) struct Decoder(Vec<u8>);

impl Decoder {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn next(&mut self) -> Result<Option<Request>, TraceError> {
        let malformed = |why: String| TraceError::Request { why };
        let Some(length) = self.0.first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_REQUEST {
            return Err(malformed(format!("it has {length} bytes")));
        }
        let Some(body) = self.0.get(4..4 + length) else {
            return Ok(None);
        };
        let request = postcard::from_bytes(body).map_err(|e| malformed(e.to_string()))?;
        self.0.drain(..4 + length);
        Ok(Some(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_arrive_in_pieces() {
        let sent = [
            Request::Signal {
                signal: SignalNumber(libc::SIGTERM),
                to: Target::All,
            },
            Request::Write("x".repeat(300)),
        ];
        let mut bytes = Vec::new();
        for request in &sent {
            request.send(&mut bytes).expect("a vector takes all");
        }
        let mut decoder = Decoder::default();
        let mut got = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]);
            got.extend(decoder.next().expect("well formed"));
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn garbage_is_refused() {
        let mut decoder = Decoder::default();
        decoder.push(&[0xff; 4]);
        assert!(matches!(decoder.next(), Err(TraceError::Request { .. })));
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0, 0, 0xff]);
        assert!(matches!(decoder.next(), Err(TraceError::Request { .. })));
    }
}
