//! Netlink requests of a few bytes, for probes.
//!
//! Built by hand: a probe needs the kernel's errno and nothing else, and must not
//! depend on the crates whose requirements it tests.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

const NLM_F_REQUEST: u16 = 0x1;
/// The message is to be acknowledged.
pub(super) const ACK: u16 = 0x4;
/// The message creates something: NLM_F_CREATE | NLM_F_EXCL. Not for a query:
/// there the bit of NLM_F_EXCL is NLM_F_MATCH, and asks for a list.
pub(super) const NEW: u16 = 0x400 | 0x200;
const NLMSG_ERROR: u16 = 2;
const HEADER: usize = 16;

/// How long an answer is waited for. The kernel answers netlink before send()
/// returns; only loading a module for the request takes time.
const ANSWER_TIMEOUT_S: i64 = 10;

/// Messages to be sent together.
#[derive(Default)]
pub(super) struct Request {
    bytes: Vec<u8>,
    messages: u32,
}

impl Request {
    /// Adds a message: its fixed part, then attributes.
    pub(super) fn message(mut self, kind: u16, flags: u16, body: &[u8]) -> Self {
        self.messages += 1;
        let flags = NLM_F_REQUEST | flags;
        let length = u32::try_from(HEADER + body.len()).expect("a probe has some hundred bytes");
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.messages.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(body);
        self
    }

    /// Sends everything and waits until a message failed or the one numbered
    /// `last` (from 1) was acknowledged.
    ///
    /// # Errors
    /// The kernel's errno.
    pub(super) fn ask(self, protocol: SockProtocol, last: u32) -> io::Result<()> {
        let socket: OwnedFd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::seconds(ANSWER_TIMEOUT_S),
        )?;
        send(socket.as_raw_fd(), &self.bytes, MsgFlags::empty())?;
        let mut buffer = [0; 16 * 1024];
        loop {
            let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if let Some(answer) = answer(&buffer[..length], last) {
                return answer;
            }
        }
    }
}

/// The answer in a datagram, if it is there: the first error, or the
/// acknowledgment of the message `last`.
fn answer(mut datagram: &[u8], last: u32) -> Option<io::Result<()>> {
    while let (Some(length), Some(kind), Some(sequence)) =
        (u32_at(datagram, 0), datagram.get(4..6), u32_at(datagram, 8))
    {
        let errno = u32_at(datagram, HEADER);
        if kind == NLMSG_ERROR.to_ne_bytes() {
            match errno.map(u32::cast_signed) {
                Some(0) if sequence == last => return Some(Ok(())),
                Some(0) => {}
                Some(errno) => return Some(Err(io::Error::from_raw_os_error(-errno))),
                None => return Some(Err(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        let aligned = (length as usize).next_multiple_of(4).max(HEADER);
        datagram = datagram.get(aligned..).unwrap_or(&[]);
    }
    None
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// An attribute, padded.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("a probe has some hundred bytes");
    let mut bytes = Vec::with_capacity(usize::from(length) + 3);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An attribute that holds attributes (NLA_F_NESTED).
pub(super) fn nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | 0x8000, &attributes.concat())
}

/// An attribute of text, ended by a zero.
pub(super) fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, format!("{value}\0").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded() {
        assert_eq!(text(1, "lo"), [7, 0, 1, 0, b'l', b'o', 0, 0]);
        assert_eq!(nested(2, &[attribute(1, &[9])])[..4], [12, 0, 2, 0x80]);
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_panic() {
        for length in 0..24 {
            assert!(answer(&[2; 24][..length], 1).is_none_or(|answer| answer.is_err()));
        }
    }
}
