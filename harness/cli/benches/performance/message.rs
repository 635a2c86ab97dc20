//! Netlink by hand: bytes in, an acknowledgment out. No netlink library, for
//! the floor is what the kernel itself takes.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send,
    socket,
};

pub const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;

/// A netlink socket of the calling thread's namespace.
pub fn open(protocol: SockProtocol) -> io::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )?;
    connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    Ok(fd)
}

/// Messages of one datagram.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    acknowledgments: usize,
}

impl Messages {
    /// A message that is acknowledged.
    pub fn push(&mut self, kind: u16, flags: u16, header: &[u8], body: impl FnOnce(&mut Body)) {
        self.acknowledgments += 1;
        self.silent(kind, flags | ACK, header, body);
    }

    /// A message that is answered only when it fails.
    pub fn silent(&mut self, kind: u16, flags: u16, header: &[u8], body: impl FnOnce(&mut Body)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(header);
        body(&mut Body(&mut self.bytes));
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Sends them and waits for every acknowledgment.
    pub fn run(&self, socket: &OwnedFd) -> io::Result<()> {
        let fd = socket.as_raw_fd();
        send(fd, &self.bytes, MsgFlags::empty())?;
        let mut seen = 0;
        let mut buffer = [0; 8192];
        while seen < self.acknowledgments {
            let length = recv(fd, &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some(size) = number(rest, 0).filter(|s| (16..=rest.len() as u32).contains(s))
            {
                // nlmsghdr, then the errno of an NLMSG_ERROR.
                let kind = number(rest, 4).map_or(0, |n| n & 0xffff);
                if kind == libc::NLMSG_ERROR as u32 {
                    let errno = number(rest, 16).map_or(0, |n| n.cast_signed());
                    if errno != 0 {
                        return Err(io::Error::from_raw_os_error(-errno));
                    }
                    seen += 1;
                }
                rest = rest
                    .get((size as usize).next_multiple_of(4)..)
                    .unwrap_or_default();
            }
        }
        Ok(())
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The attributes of a message.
pub struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |inner| inner.raw(value));
    }

    pub fn string(&mut self, kind: u16, value: &str) {
        self.nest(kind, |inner| {
            inner.raw(value.as_bytes());
            inner.raw(&[0]);
        });
    }

    pub fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Body)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        inner(&mut Body(self.0));
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}
