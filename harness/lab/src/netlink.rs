//! rtnetlink sockets, one per namespace, driven by one small runtime that the
//! lab owns: the lab's own functions are synchronous.
//!
//! Requests are queued without waiting for each other's answers; one socket
//! keeps their order, sockets of different namespaces do not.

use futures_util::StreamExt;
use futures_util::future::join_all;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::Handle;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::error::LabError;
use super::namespace::Namespace;

/// The runtime that drives the sockets.
#[derive(Debug)]
pub(crate) struct Netlink {
    /// None only while being dropped.
    runtime: Option<Runtime>,
}

/// An rtnetlink socket inside one namespace.
#[derive(Debug)]
pub(crate) struct Socket {
    handle: Handle,
    connection: JoinHandle<()>,
}

/// Requests to be sent together.
#[derive(Default)]
pub(crate) struct Batch {
    requests: Vec<(
        Handle,
        NetlinkMessage<RouteNetlinkMessage>,
        String,
        Vec<i32>,
    )>,
}

impl Batch {
    /// Adds a request. `flags` besides REQUEST and ACK; `what` for an error:
    /// an infinitive.
    pub fn push(
        &mut self,
        socket: &Socket,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Into<String>,
    ) {
        self.push_tolerant(socket, message, flags, what, &[]);
    }

    /// As [`Batch::push`], for a request that may fail with these errnos.
    pub fn push_tolerant(
        &mut self,
        socket: &Socket,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl Into<String>,
        tolerated: &[i32],
    ) {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        self.requests.push((
            socket.handle.clone(),
            request,
            what.into(),
            tolerated.to_vec(),
        ));
    }
}

impl Netlink {
    /// A runtime.
    ///
    /// # Errors
    /// When the calling thread already runs one: blocking there would panic.
    pub fn new() -> Result<Self, LabError> {
        refuse_inside_runtime()?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(|e| LabError::system("start the netlink runtime", e))?;
        Ok(Netlink {
            runtime: Some(runtime),
        })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only drop takes the runtime")
    }

    /// Opens a socket in `ns`, where it stays.
    pub fn open(&self, ns: &Namespace) -> Result<Socket, LabError> {
        let _context = self.runtime().enter();
        let (connection, handle, _unsolicited) = ns
            .enter(rtnetlink::new_connection)?
            .map_err(|e| LabError::system(format!("open rtnetlink in {}", ns.name()), e))?;
        Ok(Socket {
            handle,
            connection: self.runtime().spawn(connection),
        })
    }

    /// Closes a socket. Left open, it would keep its namespace alive.
    pub fn close(&self, socket: Socket) -> Result<(), LabError> {
        refuse_inside_runtime()?;
        socket.connection.abort();
        // The answer is always `cancelled`; awaiting it drops the socket.
        let _ = self.runtime().block_on(socket.connection);
        Ok(())
    }

    /// Sends the requests and waits for all answers; the first error wins.
    pub fn run(&self, batch: Batch) -> Result<(), LabError> {
        refuse_inside_runtime()?;
        if batch.requests.is_empty() {
            return Ok(());
        }
        let answers = batch
            .requests
            .into_iter()
            .map(|(mut handle, message, what, tolerated)| {
                // Queued here and now: the order of the batch is the socket's.
                let stream = handle.request(message);
                async move {
                    let mut stream = stream.map_err(|e| LabError::netlink(what.clone(), e))?;
                    while let Some(answer) = stream.next().await {
                        if let NetlinkPayload::Error(e) = answer.payload
                            && e.code.is_some()
                            && !tolerated.contains(&-e.raw_code())
                        {
                            return Err(LabError::netlink(what, e.to_io()));
                        }
                    }
                    Ok(())
                }
            });
        self.runtime()
            .block_on(join_all(answers))
            .into_iter()
            .collect()
    }

    /// Sends one request and collects what comes back.
    pub fn ask(
        &self,
        socket: &Socket,
        message: RouteNetlinkMessage,
        dump: bool,
        what: &str,
    ) -> Result<Vec<RouteNetlinkMessage>, LabError> {
        refuse_inside_runtime()?;
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | if dump { NLM_F_DUMP } else { NLM_F_ACK };
        let mut stream = socket
            .handle
            .clone()
            .request(request)
            .map_err(|e| LabError::netlink(what, e))?;
        self.runtime().block_on(async {
            let mut found = Vec::new();
            while let Some(answer) = stream.next().await {
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => found.push(inner),
                    NetlinkPayload::Error(e) if e.code.is_some() => {
                        return Err(LabError::netlink(what, e.to_io()));
                    }
                    _ => {}
                }
            }
            Ok(found)
        })
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Unlike a plain drop this neither waits nor panics when the
            // thread happens to be inside another runtime.
            runtime.shutdown_background();
        }
    }
}

fn refuse_inside_runtime() -> Result<(), LabError> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Err(LabError::InsideRuntime),
        Err(_) => Ok(()),
    }
}
