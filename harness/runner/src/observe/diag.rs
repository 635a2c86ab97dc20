//! NETLINK_SOCK_DIAG, sock_diag(7): the netlink socket, its requests and its answers.
//! `netstat` and `destroy` use it.
//!
//! The answers are decoded here and not by netlink-packet-sock-diag, which drops the
//! probe count of a keepalive timer and the remaining time of TIME_WAIT.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};

use halfopen_lab::Namespace;

/// linux/netlink.h
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// linux/sock_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
/// struct inet_diag_msg, linux/inet_diag.h
const DIAG_MSG: usize = 72;
/// The kernel fills answers of up to 32 KiB (`netlink_dump()`).
const BUFFER: usize = 32 << 10;
/// How often an interrupted dump is requested.
const MAX_TRIES: usize = 8;

/// One socket, from struct inet_diag_msg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) family: u8,
    pub(super) state: u8,
    pub(super) timer: u8,
    pub(super) retransmits: u8,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// struct inet_diag_sockid, unchanged, for SOCK_DESTROY.
    id: [u8; 48],
    /// Milliseconds to the timer.
    pub(super) expires: u32,
    pub(super) recv_q: u32,
    pub(super) send_q: u32,
    pub(super) inode: u32,
    /// Bytes allocated for its queues.
    pub(super) memory: u32,
}

/// A sock_diag socket inside a namespace.
#[derive(Debug)]
pub(super) struct Diag {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What a message of an answer is.
enum Step {
    Entry(Entry),
    Skip,
    Done,
}

impl Diag {
    /// Opens a socket in `ns`; it stays in that namespace.
    pub(super) fn open(ns: &Namespace) -> Result<io::Result<Diag>, halfopen_lab::LabError> {
        ns.enter(|| {
            let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
            socket.bind_auto()?;
            socket.connect(&NetlinkAddr::new(0, 0))?;
            Ok(Diag {
                socket,
                sequence: 0,
                buffer: Vec::with_capacity(BUFFER),
            })
        })
    }

    /// Every TCP socket of the namespace, both families.
    pub(super) fn dump(&mut self) -> io::Result<Vec<Entry>> {
        let mut all = Vec::new();
        for family in [AF_INET, AF_INET6] {
            self.dump_family(family, &mut all)?;
        }
        Ok(all)
    }

    fn dump_family(&mut self, family: u8, all: &mut Vec<Entry>) -> io::Result<()> {
        let start = all.len();
        for _ in 0..MAX_TRIES {
            all.truncate(start);
            let request = self.request(family, NLM_F_REQUEST | NLM_F_DUMP);
            self.send(&request)?;
            if self.read(|entry| all.push(entry))? {
                return Ok(());
            }
        }
        // Sockets are opened and closed faster than they can be listed: the last list
        // may lack some, as any other would.
        Ok(())
    }

    /// Destroys one: SOCK_DESTROY, `tcp_abort()`.
    pub(super) fn destroy(&mut self, entry: &Entry) -> io::Result<()> {
        let mut request = self.request(entry.family, NLM_F_REQUEST | NLM_F_ACK);
        request[4..6].copy_from_slice(&SOCK_DESTROY.to_ne_bytes());
        // The id ends struct inet_diag_req_v2.
        let id = request.len() - entry.id.len();
        request[id..].copy_from_slice(&entry.id);
        self.send(&request)?;
        self.read(|_| ()).map(|_| ())
    }

    /// A request as bytes: header and struct inet_diag_req_v2.
    fn request(&mut self, family: u8, flags: u16) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let payload = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::SKMEMINFO,
            states: StateFlags::all(),
            socket_id: match family {
                AF_INET => SocketId::new_v4(),
                _ => SocketId::new_v6(),
            },
        });
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(payload));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }

    fn send(&self, request: &[u8]) -> io::Result<()> {
        again(|| self.socket.send(request, 0)).map(|_| ())
    }

    /// Reads the answer to the last request. False if the request has to be repeated.
    fn read(&mut self, mut found: impl FnMut(Entry)) -> io::Result<bool> {
        let mut whole = true;
        loop {
            self.buffer.clear();
            let (socket, buffer) = (&self.socket, &mut self.buffer);
            match again(|| socket.recv(buffer, 0)) {
                Ok(_) => {}
                // The answer did not fit the socket's buffer.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => return Ok(false),
                Err(e) => return Err(e),
            }
            let mut rest = self.buffer.as_slice();
            while let Some((message, after)) = split(rest) {
                rest = after;
                // The rest of an answer that was not read to its end.
                if u32_at(message, 8) != Some(self.sequence) {
                    continue;
                }
                // The flag can be on any message of a dump, also on the last.
                whole &= !interrupted(message);
                match step(message)? {
                    Step::Entry(entry) => found(entry),
                    Step::Skip => {}
                    Step::Done => return Ok(whole),
                }
            }
        }
    }
}

fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The first message of an answer, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32_at(bytes, 0)? as usize;
    if length < HEADER {
        return None;
    }
    let message = bytes.get(..length)?;
    let next = length.next_multiple_of(4);
    Some((message, bytes.get(next..).unwrap_or_default()))
}

fn interrupted(message: &[u8]) -> bool {
    u16_at(message, 6).is_some_and(|flags| flags & NLM_F_DUMP_INTR != 0)
}

fn step(message: &[u8]) -> io::Result<Step> {
    let payload = message.get(HEADER..).unwrap_or_default();
    match u16_at(message, 4) {
        Some(NLMSG_ERROR | NLMSG_DONE) => match u32_at(payload, 0).map(|code| code as i32) {
            Some(code) if code < 0 => Err(io::Error::from_raw_os_error(-code)),
            _ => Ok(Step::Done),
        },
        Some(SOCK_DIAG_BY_FAMILY) => Ok(entry(payload).map_or(Step::Skip, Step::Entry)),
        _ => Ok(Step::Skip),
    }
}

fn entry(payload: &[u8]) -> Option<Entry> {
    let message = payload.get(..DIAG_MSG)?;
    let family = message[0];
    let id: [u8; 48] = message[4..52].try_into().ok()?;
    let address = |at: usize| -> Option<IpAddr> {
        match family {
            AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(&id[at..at + 4]).ok()?).into()),
            // A socket of both families shows IPv4 peers as ::ffff:a.b.c.d.
            AF_INET6 => {
                Some(Ipv6Addr::from(<[u8; 16]>::try_from(&id[at..at + 16]).ok()?).to_canonical())
            }
            _ => None,
        }
    };
    let port = |at: usize| u16::from_be_bytes([id[at], id[at + 1]]);
    Some(Entry {
        family,
        state: message[1],
        timer: message[2],
        retransmits: message[3],
        local: SocketAddr::new(address(4)?, port(0)),
        peer: SocketAddr::new(address(20)?, port(2)),
        expires: u32_at(message, 52)?,
        recv_q: u32_at(message, 56)?,
        send_q: u32_at(message, 60)?,
        inode: u32_at(message, 68)?,
        memory: memory(payload.get(DIAG_MSG..).unwrap_or_default()),
        id,
    })
}

/// The memory of a socket from INET_DIAG_SKMEMINFO (linux/sock_diag.h): received and
/// not read, queued to be sent, and allocated in advance. 0 where the socket has none
/// (TIME_WAIT).
fn memory(mut attributes: &[u8]) -> u32 {
    const SKMEMINFO: u16 = 7;
    const RMEM_ALLOC: usize = 0;
    const FWD_ALLOC: usize = 4;
    const WMEM_QUEUED: usize = 5;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length);
        let Some(attribute) = attributes.get(4..length) else {
            break;
        };
        if kind == SKMEMINFO {
            let values = [RMEM_ALLOC, FWD_ALLOC, WMEM_QUEUED];
            return values
                .iter()
                .filter_map(|index| u32_at(attribute, index * 4))
                .fold(0, u32::saturating_add);
        }
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    0
}
