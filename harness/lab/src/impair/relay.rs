//! The relay: a thread in the middle of a cable that delays, drops and changes
//! frames as netem does, on kernels without netem.
//!
//! One direction of a cable leads through it: behind the rules that drop, the
//! port's chain forwards not to the cable's other port but to one end of a veth
//! pair in the wire. The relay reads at the pair's other end and writes to the
//! cable's other port, where a capture sees the frame leave. A thread and not a
//! process, so that it ends with the program in any case.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::fcntl::OFlag;
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::pipe2;

use super::forward::{Forwarder, Order};
use super::line::Line;
use super::ports::{BUFFER, Ends, packet_socket};
use crate::error::LabError;
use crate::namespace::Namespace;
use halfopen_sys::schedule::{Prompt, wake_promptly};

/// A relay that runs.
pub(crate) struct Relay {
    orders: Sender<Order>,
    /// A byte written here makes the thread read its orders; closed, it ends the thread
    /// at once.
    wake: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    error: Arc<Mutex<Option<String>>>,
}

impl Relay {
    /// Starts reading at device `entry` of the wire.
    pub fn start(wire: &Namespace, entry: u32, ends: Ends, line: Line) -> Result<Relay, LabError> {
        let failed = |what: &str, e: io::Error| LabError::system(format!("{what} a relay"), e);
        let entry = packet_socket(wire, entry, libc::ETH_P_ALL as u16)?;
        if setsockopt(&entry, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&entry, sockopt::RcvBuf, &BUFFER)
                .map_err(|e| failed("give memory to", e.into()))?;
        }
        setsockopt(&entry, sockopt::ReceiveTimestampns, &true)
            .map_err(|e| failed("have frames stamped for", e.into()))?;
        let (woken, wake) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(|e| failed("make a pipe for", e.into()))?;
        let (orders, receiver) = channel();
        let error = Arc::new(Mutex::new(None));
        let mut forwarder = Forwarder::new(entry, woken, receiver, ends, line, error.clone());
        let thread = std::thread::Builder::new()
            .name("halfopen-relay".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                wake_promptly(Prompt::Runner);
                if let Err(e) = forwarder.run() {
                    forwarder.note(format!("a relay failed, and nothing passes it: {e}"));
                }
            })
            .map_err(|e| failed("start", e))?;
        Ok(Relay {
            orders,
            wake: Some(wake),
            thread: Some(thread),
            error,
        })
    }

    /// Gives the relay other ports: a node was built anew.
    pub fn set_ends(&self, ends: Ends) {
        self.order(Order::Ends(ends));
    }

    /// Lets the relay end once no frame is under way any more.
    pub fn drain(&self) {
        self.order(Order::Drain);
    }

    /// The first error, as text: frames were then not treated as the line asks.
    pub fn error(&self) -> Option<String> {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.clone()
    }

    fn order(&self, order: Order) {
        // A relay that has ended needs no orders.
        let _ = self.orders.send(order);
        if let Some(wake) = &self.wake {
            let _ = nix::unistd::write(wake, &[0]);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // The thread does not panic; if it did, it has ended, too.
            let _ = thread.join();
        }
    }
}
