//! Closes netfilter sockets on a thread of their own.
//!
//! close() of a netfilter socket first frees what its namespace's transactions
//! removed, and waits for an RCU grace period to do so: 16 ms, after every cut
//! (nft_rcv_nl_event(), nf_tables_trans_destroy_flush_work()). A thread closes the
//! sockets, and only after a grace period has usually passed, so that the sockets of
//! many labs do not wait one after the other. A namespace exists until its socket is
//! closed.

use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::netlink::socket::NetlinkSocket;

/// Longer than an RCU grace period usually takes; close() waits for the rest.
const GRACE: Duration = Duration::from_millis(25);

/// A socket that is closed in the background.
pub(super) struct LateClosed(Option<NetlinkSocket>);

impl LateClosed {
    pub fn new(socket: NetlinkSocket) -> Self {
        LateClosed(Some(socket))
    }
}

impl Deref for LateClosed {
    type Target = NetlinkSocket;

    fn deref(&self) -> &NetlinkSocket {
        self.0.as_ref().expect("it is taken away only by drop()")
    }
}

impl DerefMut for LateClosed {
    fn deref_mut(&mut self) -> &mut NetlinkSocket {
        self.0.as_mut().expect("it is taken away only by drop()")
    }
}

impl Drop for LateClosed {
    fn drop(&mut self) {
        // A socket that cannot be sent to the thread is closed here.
        if let (Some(closer), Some(socket)) = (closer(), self.0.take()) {
            drop(closer.send(socket));
        }
    }
}

fn closer() -> Option<&'static Sender<NetlinkSocket>> {
    static CLOSER: OnceLock<Option<Sender<NetlinkSocket>>> = OnceLock::new();
    let start = || {
        let (send, sockets) = channel();
        std::thread::Builder::new()
            .name("halfopen-closer".into())
            .spawn(move || close_all(&sockets))
            .ok()
            .map(|_| send)
    };
    CLOSER.get_or_init(start).as_ref()
}

fn close_all(sockets: &Receiver<NetlinkSocket>) {
    while let Ok(first) = sockets.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(sockets.try_iter()).collect();
        std::thread::sleep(GRACE);
        drop(batch);
    }
}
