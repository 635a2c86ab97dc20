//! rtnetlink requests: batches that are acknowledged one by one, and questions.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::message::{Answer, answers};
use crate::error::LabError;
use crate::namespace::Namespace;

/// How many requests go to the kernel in one datagram. Each is acknowledged by a
/// datagram of its own, which must fit into the socket's receive buffer
/// (net.core.rmem_default, 208 KiB; an acknowledgment is charged about 1 KiB).
const REQUESTS_PER_SEND: usize = 32;

/// The longest datagram of an answer: netlink_dump() of net/netlink/af_netlink.c
/// makes none above 32 KiB.
const ANSWER_BYTES: usize = 32 * 1024;

/// Sequence numbers are unique in the process, so that a late answer is never
/// taken for another request's.
static NEXT_SEQUENCE: AtomicU32 = AtomicU32::new(1);

/// An rtnetlink socket inside one namespace. It keeps the namespace alive.
#[derive(Debug)]
pub(crate) struct RouteSocket {
    socket: Arc<Socket>,
}

impl RouteSocket {
    /// Opens a socket in `ns`, where it stays.
    pub fn open(ns: &Namespace) -> Result<Self, LabError> {
        ns.enter(Self::open_here)?
            .map_err(|e| LabError::system(format!("open rtnetlink in {}", ns.name()), e))
    }

    /// Opens a socket in the calling thread's namespace, where it stays.
    pub fn open_here() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        // Connected to the kernel: nobody else can send to it.
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(RouteSocket {
            socket: Arc::new(socket),
        })
    }

    /// Sends one request, a dump or a question about one object, and returns the
    /// answers. `what` names it in an error: an infinitive.
    pub fn ask(
        &self,
        message: RouteNetlinkMessage,
        dump: bool,
        what: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, LabError> {
        let flags = NLM_F_REQUEST | if dump { NLM_F_DUMP } else { NLM_F_ACK };
        let sequence = NEXT_SEQUENCE.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Vec::new();
        write(&mut bytes, message, flags, sequence);
        send(&self.socket, &bytes)?;
        let mut found = Vec::new();
        let mut ended = None;
        while ended.is_none() {
            receive(&self.socket, |answer| {
                if answer.sequence != sequence {
                    return;
                }
                match answer.kind {
                    NLMSG_ERROR | NLMSG_DONE => ended = Some(errno(answer)),
                    // What cannot be decoded is not what was asked for.
                    _ => found.extend(NetlinkMessage::deserialize(answer.whole).ok().and_then(
                        |message: NetlinkMessage<RouteNetlinkMessage>| match message.payload {
                            NetlinkPayload::InnerMessage(inner) => Some(inner),
                            _ => None,
                        },
                    )),
                }
            })?;
        }
        match ended {
            None | Some(0) => Ok(found),
            Some(errno) => {
                let source = io::Error::from_raw_os_error(errno);
                Err(LabError::netlink(what, source))
            }
        }
    }
}

/// A request of a batch.
struct Request {
    socket: Arc<Socket>,
    message: RouteNetlinkMessage,
    flags: u16,
    what: String,
    tolerated: Vec<i32>,
}

/// Requests that are sent together, in their order.
#[derive(Default)]
pub(crate) struct Batch {
    requests: Vec<Request>,
}

impl Batch {
    /// Adds a request. `flags` are those besides REQUEST and ACK; `what` names
    /// it in an error: an infinitive.
    pub fn push(
        &mut self,
        socket: &RouteSocket,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Into<String>,
    ) {
        self.push_tolerant(socket, message, flags, what, &[]);
    }

    /// As [`Batch::push`], for a request that may fail with these errnos.
    pub fn push_tolerant(
        &mut self,
        socket: &RouteSocket,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Into<String>,
        tolerated: &[i32],
    ) {
        self.requests.push(Request {
            socket: socket.socket.clone(),
            message,
            flags: NLM_F_REQUEST | NLM_F_ACK | flags,
            what: what.into(),
            tolerated: tolerated.to_vec(),
        });
    }

    /// Sends the requests and waits for all answers; returns the first error of
    /// the batch's order.
    pub fn run(self) -> Result<(), LabError> {
        let mut result = Ok(());
        let mut requests = self.requests.into_iter().peekable();
        while let Some(first) = requests.next() {
            let socket = first.socket.clone();
            let mut group = vec![first];
            while group.len() < REQUESTS_PER_SEND
                && let Some(next) = requests.next_if(|next| Arc::ptr_eq(&next.socket, &socket))
            {
                group.push(next);
            }
            // A request that failed does not keep later ones from being sent.
            result = result.and(exchange(&socket, group));
        }
        result
    }
}

/// Sends requests to one socket in one datagram and waits for the
/// acknowledgment of each.
fn exchange(socket: &Socket, group: Vec<Request>) -> Result<(), LabError> {
    let count = group.len() as u32;
    let first = NEXT_SEQUENCE.fetch_add(count, Ordering::Relaxed);
    let mut bytes = Vec::with_capacity(4096);
    let mut expected = Vec::with_capacity(group.len());
    for (number, request) in (0..).zip(group) {
        let sequence = first.wrapping_add(number);
        write(&mut bytes, request.message, request.flags, sequence);
        expected.push((request.what, request.tolerated));
    }
    send(socket, &bytes)?;
    let mut errnos: Vec<Option<i32>> = vec![None; expected.len()];
    while errnos.iter().any(Option::is_none) {
        receive(socket, |answer| {
            let index = answer.sequence.wrapping_sub(first) as usize;
            if answer.kind == NLMSG_ERROR
                && let Some(place) = errnos.get_mut(index)
            {
                *place = Some(errno(answer));
            }
        })?;
    }
    for (errno, (what, tolerated)) in errnos.into_iter().flatten().zip(expected) {
        if errno != 0 && !tolerated.contains(&errno) {
            return Err(LabError::netlink(what, io::Error::from_raw_os_error(errno)));
        }
    }
    Ok(())
}

fn write(bytes: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16, sequence: u32) {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    // NLMSG_ALIGN: the next message begins at a multiple of 4.
    let start = bytes.len();
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut bytes[start..]);
}

fn send(socket: &Socket, bytes: &[u8]) -> Result<(), LabError> {
    let sent = socket.send(bytes, 0);
    sent.map(drop)
        .map_err(|e| LabError::system("send to netlink", e))
}

/// Waits for a datagram and passes its messages to `each`.
fn receive(socket: &Socket, mut each: impl FnMut(&Answer<'_>)) -> Result<(), LabError> {
    let mut buffer = Vec::with_capacity(ANSWER_BYTES);
    let received = loop {
        match socket.recv(&mut buffer, 0) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
            other => break other,
        }
    };
    received.map_err(|e| LabError::system("receive from netlink", e))?;
    answers(&buffer).for_each(|answer| each(&answer));
    Ok(())
}

/// The errno in an NLMSG_ERROR or NLMSG_DONE; 0 in an acknowledgment.
fn errno(answer: &Answer<'_>) -> i32 {
    let code = answer
        .payload
        .get(..4)
        .and_then(|code| code.try_into().ok());
    code.map_or(0, |code| i32::from_ne_bytes(code).saturating_neg())
}
