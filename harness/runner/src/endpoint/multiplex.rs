//! A server that serves all its connections at once in one process, by poll(): the
//! script's step `multiplex`.

use nix::errno::Errno;

use super::event_loop::{Data, WaitFor, Wake};
use super::script::{Flow, Script};
use super::socket_io::SocketIo;
use halfopen_scenario::case::{OnEof, Step};
use halfopen_sys::clock::monotonic_ns;

impl Script<'_> {
    /// Accepts and serves until accept() or poll() fails for good. While all slots are
    /// taken nothing is accepted: a client that connects then waits in the kernel's
    /// queue, and its connect() has succeeded.
    pub(super) fn multiplex(
        &mut self,
        step: &Step,
        slots: Option<u32>,
        echo: bool,
        on_eof: OnEof,
    ) -> Flow {
        if self.sockets.listener().is_none() {
            return Flow::End;
        }
        loop {
            let taken = self.sockets.connections().count();
            let free = slots.is_none_or(|slots| (taken as u64) < u64::from(slots));
            let wanted = WaitFor {
                listener: free,
                data: Some(Data::Any),
                ..WaitFor::default()
            };
            match self.event_loop(step.line).wait(&wanted) {
                Wake::Listener => {
                    let Some(listener) = self.sockets.listener() else {
                        return Flow::End;
                    };
                    match self.accept(step, listener, 1) {
                        Ok(()) | Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                        Err(_) => return Flow::Next,
                    }
                }
                Wake::Data(id) => self.serve_data(step, id, echo),
                Wake::Eof(id) => self.serve_eof(step, id, on_eof),
                Wake::Silent(_) => {}
                Wake::Deadline | Wake::Descriptor | Wake::Failed => return Flow::Next,
            }
        }
    }

    fn serve_data(&mut self, step: &Step, id: u32, echo: bool) {
        let Some(index) = self.sockets.by_id(id) else {
            return;
        };
        let data = self.sockets.at_mut(index).heartbeat.take(usize::MAX);
        // write() after shutdown(SHUT_WR) gives EPIPE and SIGPIPE.
        if !echo || self.sockets.at(index).half_closed {
            return;
        }
        let written = SocketIo {
            reporter: &mut self.reporter,
            detector: &self.plan.lane.detector,
            socket: self.sockets.at(index),
            line: step.line,
        }
        .write_all(&data);
        if written {
            let heartbeat = &mut self.sockets.at_mut(index).heartbeat;
            heartbeat.data_sent(monotonic_ns());
        } else {
            self.sockets.set_eof(index);
        }
    }

    fn serve_eof(&mut self, step: &Step, id: u32, on_eof: OnEof) {
        let Some(index) = self.sockets.by_id(id) else {
            return;
        };
        // Otherwise the heartbeat goes on checking: in the end the silence closes what
        // the end of file did not.
        if on_eof == OnEof::Close || self.sockets.at(index).half_closed {
            self.close_socket(index, step.line);
        }
    }
}
