//! A server that serves all its connections at once in one process, by poll().

use nix::errno::Errno;

use super::exchange::Talk;
use super::interpret::{Flow, Script};
use super::pulse::{Data, Until, Woke};
use halfopen_scenario::case::{OnEof, Step};
use halfopen_sys::clock::monotonic_ns;

impl Script<'_> {
    /// Accepts and serves until accept() or poll() fails for good. While all
    /// slots are taken nobody is accepted: who connects then waits in the
    /// kernel's queue, connected as far as it can see.
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
            let until = Until {
                listener: free,
                data: Some(Data::Any),
                ..Until::default()
            };
            match self.pulse(step.line).wait(&until) {
                Woke::Listener => {
                    let Some(listener) = self.sockets.listener() else {
                        return Flow::End;
                    };
                    match self.accept(step, listener, 1) {
                        Ok(()) | Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                        Err(_) => return Flow::Next,
                    }
                }
                Woke::Data(id) => self.serve_data(step, id, echo),
                Woke::Over(id) => self.serve_end(step, id, on_eof),
                Woke::Lost(_) => {}
                Woke::Time | Woke::Signal | Woke::Failed => return Flow::Next,
            }
        }
    }

    fn serve_data(&mut self, step: &Step, id: u32, echo: bool) {
        let Some(index) = self.sockets.by_id(id) else {
            return;
        };
        let data = self.sockets.at_mut(index).heart.take(usize::MAX);
        // A write after shutdown(SHUT_WR) would be EPIPE, and SIGPIPE.
        if !echo || self.sockets.at(index).half_closed {
            return;
        }
        let written = Talk {
            reporter: &mut self.reporter,
            detector: &self.plan.lane.detector,
            socket: self.sockets.at(index),
            line: step.line,
        }
        .write_all(&data);
        if written {
            let heart = &mut self.sockets.at_mut(index).heart;
            heart.sent(monotonic_ns());
        } else {
            self.sockets.end(index);
        }
    }

    fn serve_end(&mut self, step: &Step, id: u32, on_eof: OnEof) {
        let Some(index) = self.sockets.by_id(id) else {
            return;
        };
        // A heart goes on looking where the program does not: in the end the
        // silence closes what the end of file did not.
        if on_eof == OnEof::Close || self.sockets.at(index).half_closed {
            self.close_socket(index, step.line);
        }
    }
}
