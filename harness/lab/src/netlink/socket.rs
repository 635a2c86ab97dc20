//! A netlink socket that sends a datagram of messages and waits for the kernel's
//! answer: one acknowledgment for all of them. Filters, queueing disciplines and
//! connection tracking use it.

use std::io;

use netlink_packet_core::{NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::{Socket, SocketAddr};

use super::message::{Answer, HEADER, Messages, Purpose, answers, attribute};
use crate::error::LabError;

/// NLM_F_ACK_TLVS: attributes follow the echoed header of an error.
const ACK_TLVS: u16 = 0x200;
/// NLMSGERR_ATTR_MSG.
const ATTR_MESSAGE: u16 = 1;

/// The kernel refused a netlink message.
#[derive(Debug, thiserror::Error)]
#[error("{errno}{}{hint}", if hint.is_empty() { "" } else { ": " })]
pub(crate) struct Refusal {
    /// The errno.
    pub errno: io::Error,
    /// What the kernel said about it (extended acknowledgment), or empty.
    pub hint: String,
}

/// One netlink socket. It stays in the namespace its opener was in.
#[derive(Debug)]
pub(crate) struct NetlinkSocket {
    socket: Socket,
    next_sequence: u32,
    buffer: Vec<u8>,
}

impl NetlinkSocket {
    /// Opens a socket in the calling thread's namespace.
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        // Connected to the kernel: nobody else can send to it.
        socket.connect(&SocketAddr::new(0, 0))?;
        // Extended acknowledgments carry the reason as text; capped ones do not
        // repeat the request.
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        // A dump's datagram is at most 32 KiB (net/netlink/af_netlink.c,
        // netlink_dump()).
        Ok(NetlinkSocket {
            socket,
            next_sequence: 1,
            buffer: Vec::with_capacity(32 * 1024),
        })
    }

    /// Starts a datagram.
    pub fn start(&self) -> Messages {
        Messages::new(self.next_sequence)
    }

    /// Sends messages of which one asks for an acknowledgment, and waits for
    /// it or for the first refusal.
    pub fn execute(&mut self, messages: &Messages) -> Result<(), LabError> {
        self.exchange(messages, |_| ())
    }

    /// Sends a request and passes the payload of every message that answers it
    /// to `each`, until the dump or the acknowledgment ends it.
    pub fn exchange(
        &mut self,
        messages: &Messages,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), LabError> {
        self.next_sequence = messages.next_sequence();
        self.socket
            .send(messages.bytes(), 0)
            .map_err(|e| LabError::system("send to netlink", e))?;
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(LabError::system("receive from netlink", e)),
                Ok(0) => {
                    let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(LabError::system("receive from netlink", eof));
                }
                Ok(_) => (),
            }
            for answer in answers(&self.buffer) {
                // After a refusal the kernel still answers the rest of that
                // transaction; those answers belong to no message of this one.
                let Some(purpose) = messages.purpose(answer.sequence) else {
                    continue;
                };
                match answer.kind {
                    NLMSG_ERROR | NLMSG_DONE => match refusal(&answer) {
                        None => return Ok(()),
                        Some(refusal) => return Err(refused(purpose, refusal)),
                    },
                    _ => each(answer.payload),
                }
            }
        }
    }
}

/// The refusal in an NLMSG_ERROR or NLMSG_DONE; None: it is an acknowledgment.
fn refusal(answer: &Answer) -> Option<Refusal> {
    let errno = answer
        .payload
        .get(..4)?
        .try_into()
        .ok()
        .map(i32::from_ne_bytes)?;
    if errno == 0 {
        return None;
    }
    let hint = (answer.flags & ACK_TLVS != 0)
        .then(|| attribute(answer.payload.get(4 + HEADER..)?, ATTR_MESSAGE))
        .flatten()
        .map(|text| {
            String::from_utf8_lossy(text)
                .trim_end_matches('\0')
                .to_owned()
        });
    Some(Refusal {
        errno: io::Error::from_raw_os_error(errno.saturating_neg()),
        hint: hint.unwrap_or_default(),
    })
}

fn refused(purpose: &Purpose, refusal: Refusal) -> LabError {
    let absent = matches!(
        refusal.errno.raw_os_error(),
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT)
    );
    if absent && !purpose.needs.is_empty() {
        return LabError::Unsupported {
            what: format!("{} ({refusal})", purpose.what),
            cure: format!("use a kernel with {} (or load the module)", purpose.needs),
        };
    }
    if refusal.errno.raw_os_error() == Some(libc::EPERM) {
        return LabError::Unsupported {
            what: format!("{} ({refusal})", purpose.what),
            cure: "run as root or in a user namespace of your own (CAP_NET_ADMIN)".into(),
        };
    }
    LabError::netlink(purpose.what.clone(), refusal)
}
