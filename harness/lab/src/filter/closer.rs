//! Closes netfilter sockets without letting anybody wait.
//!
//! When a netfilter socket is closed the kernel first frees what its namespace's
//! transactions removed, and so waits for RCU: 16 ms, after every cut
//! (nft_rcv_nl_event(), nf_tables_trans_destroy_flush_work()). A thread does
//! that, and a little later, when nothing is left to wait for, so that many labs
//! do not queue up. The namespace lives on until the socket is closed.

use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::netlink::socket::NetlinkSocket;

/// Longer than an RCU grace period usually takes. When it is not, closing waits.
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
        // A socket that cannot be sent is closed here and now.
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
