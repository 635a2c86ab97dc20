//! Steps of a lane with a heartbeat: while a step waits, beats are sent and silence
//! is checked for, as by a program's event loop or by a thread of its own. `script`
//! executes all other steps.

use std::os::fd::AsFd;
use std::time::Duration;

use super::event_loop::{Data, EventLoop, WaitFor, Wake};
use super::heartbeat::nanos;
use super::report::Site;
use super::script::{Flow, Script};
use super::socket_io::{SocketIo, payload_bytes};
use super::sockets::ClosedSocket;
use halfopen_scenario::case::{Action, OnSilence, Payload, Step};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::poll;

/// The longest delay between two attempts to connect, however the back-off grows.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);

impl Script<'_> {
    /// The event loop over the lane's sockets, for a step at `line`.
    pub(super) fn event_loop(&mut self, line: u32) -> EventLoop<'_> {
        let heartbeat = self.plan.lane.detector.heartbeat.as_ref();
        EventLoop {
            reporter: &mut self.reporter,
            sockets: &mut self.sockets,
            has_heartbeat: heartbeat.is_some(),
            on_silence: heartbeat.map_or(OnSilence::Close, |h| h.on_silence),
            line,
        }
    }

    /// Executes a step that waits, with heartbeats. None: the lane has no heartbeat,
    /// or nothing in the step waits, or the step's connection is at its end, so that
    /// nobody would receive a beat.
    pub(super) fn step_with_heartbeat(&mut self, step: &Step) -> Option<Flow> {
        self.plan.lane.detector.heartbeat.as_ref()?;
        match &step.action {
            Action::Sleep { time } => return Some(self.sleep(step, *time)),
            Action::WaitFor { mark } => return self.wait_for_mark(step, mark),
            Action::Keyboard => return Some(self.keyboard(step)),
            Action::Write { data } => return Some(self.write(step, data)),
            _ => {}
        }
        let index = self.sockets.find(step.conn.as_deref())?;
        let socket = self.sockets.at(index);
        if socket.eof && !socket.heartbeat.has_data() {
            return None;
        }
        let id = socket.id;
        match &step.action {
            Action::Read { bytes } => {
                if let Some(id) = self.wait_for_data(step, id) {
                    self.take_data(id, usize::try_from(*bytes).unwrap_or(usize::MAX));
                }
            }
            Action::Drain => {
                let mut next = Some(id);
                while let Some(id) = next {
                    self.take_data(id, usize::MAX);
                    next = self.wait_for_data(step, id);
                }
            }
            Action::Echo => {
                let mut next = self.wait_for_data(step, id);
                while let Some(id) = next {
                    let data = self.take_data(id, usize::MAX);
                    if !self.is_half_closed(id)
                        && !self.write_to(step, id, |io| io.write_all(&data))
                    {
                        break;
                    }
                    next = self.wait_for_data(step, id);
                }
            }
            Action::Exchange { data } => self.exchange(step, id, data),
            _ => return None,
        }
        Some(Flow::Next)
    }

    fn sleep(&mut self, step: &Step, time: Duration) -> Flow {
        let wanted = WaitFor {
            deadline: Some(monotonic_ns() + nanos(time)),
            ..WaitFor::default()
        };
        loop {
            match self.event_loop(step.line).wait(&wanted) {
                Wake::Deadline | Wake::Failed => return Flow::Next,
                other => self.handle_other(step, other),
            }
        }
    }

    /// None when the mark's descriptor is missing: the plain step reports why.
    fn wait_for_mark(&mut self, step: &Step, mark: &str) -> Option<Flow> {
        let fd = self.marks.get(mark)?.try_clone().ok()?;
        // POLLHUP is reported without being asked for.
        Some(self.wait_for_descriptor(step, ("mark", fd.as_fd(), 0)))
    }

    fn keyboard(&mut self, step: &Step) -> Flow {
        let Ok(fd) = self.keyboard.try_clone() else {
            return Flow::End;
        };
        let flow = self.wait_for_descriptor(step, ("keyboard", fd.as_fd(), poll::IN));
        let site = Site {
            conn: Some("keyboard"),
            line: step.line,
        };
        let _ = self.reporter.read(site, fd.as_fd(), &mut [0; 4096]);
        flow
    }

    fn wait_for_descriptor(
        &mut self,
        step: &Step,
        descriptor: (&'static str, std::os::fd::BorrowedFd<'_>, i16),
    ) -> Flow {
        let wanted = WaitFor {
            descriptor: Some(descriptor),
            ..WaitFor::default()
        };
        loop {
            match self.event_loop(step.line).wait(&wanted) {
                Wake::Descriptor | Wake::Failed => return Flow::Next,
                other => self.handle_other(step, other),
            }
        }
    }

    /// After something else than what was waited for: a connection that has ended is
    /// made anew where the heartbeat says so.
    fn handle_other(&mut self, step: &Step, woke: Wake) {
        match woke {
            Wake::Eof(id) => {
                self.handle_eof(step, id);
            }
            Wake::Silent(closed) => {
                self.reconnect(step, &closed);
            }
            _ => {}
        }
    }

    /// Waits for data on a connection, or on the one that replaces it, and returns its
    /// number. None: it has ended.
    fn wait_for_data(&mut self, step: &Step, id: u32) -> Option<u32> {
        let mut id = id;
        loop {
            let wanted = WaitFor {
                data: Some(Data::Of(id)),
                ..WaitFor::default()
            };
            id = match self.event_loop(step.line).wait(&wanted) {
                Wake::Data(id) => return Some(id),
                Wake::Eof(ended) if ended == id => self.handle_eof(step, id)?,
                Wake::Silent(closed) if closed.id == id => self.reconnect(step, &closed)?,
                Wake::Failed => return None,
                other => {
                    self.handle_other(step, other);
                    id
                }
            };
        }
    }

    /// Nothing more comes from a connection. Returns the number of the one that
    /// replaces it.
    fn handle_eof(&mut self, step: &Step, id: u32) -> Option<u32> {
        let index = self.sockets.by_id(id)?;
        let socket = self.sockets.at_mut(index);
        socket.heartbeat.stop();
        let closed = socket.to_closed();
        let again = self.reconnects(&closed);
        // Without a replacement it stays open until the script closes it.
        if again || self.sockets.at(index).half_closed {
            self.close_socket(index, step.line);
        }
        self.reconnect(step, &closed)
    }

    fn reconnects(&self, closed: &ClosedSocket) -> bool {
        let heartbeat = self.plan.lane.detector.heartbeat.as_ref();
        closed.peer.is_some() && heartbeat.is_some_and(|h| h.reconnect.is_some())
    }

    /// Connects again, as often as the heartbeat says. Returns the new connection's
    /// number.
    fn reconnect(&mut self, step: &Step, closed: &ClosedSocket) -> Option<u32> {
        let how = self
            .plan
            .lane
            .detector
            .heartbeat
            .as_ref()?
            .reconnect
            .clone()?;
        let peer = closed.peer?;
        let mut delay = how.delay;
        let mut failed = 0;
        while how.limit.is_none_or(|limit| failed < limit) {
            std::thread::sleep(delay);
            if self.connect_as(closed.name.clone(), step.line, peer, false) {
                let newest = self.sockets.len() - 1;
                return Some(self.sockets.at(newest).id);
            }
            failed += 1;
            delay = delay.mul_f64(how.backoff).min(LONGEST_DELAY);
        }
        None
    }

    /// Whether write() would give EPIPE and SIGPIPE: after shutdown(SHUT_WR).
    fn is_half_closed(&self, id: u32) -> bool {
        let index = self.sockets.by_id(id);
        index.is_some_and(|index| self.sockets.at(index).half_closed)
    }

    fn take_data(&mut self, id: u32, max: usize) -> Vec<u8> {
        match self.sockets.by_id(id) {
            Some(index) => self.sockets.at_mut(index).heartbeat.take(max),
            None => Vec::new(),
        }
    }

    /// Writes to a connection. Whether the kernel took everything.
    fn write_to(
        &mut self,
        step: &Step,
        id: u32,
        write: impl FnOnce(&mut SocketIo<'_>) -> bool,
    ) -> bool {
        let Some(index) = self.sockets.by_id(id) else {
            return false;
        };
        let written = write(&mut SocketIo {
            reporter: &mut self.reporter,
            detector: &self.plan.lane.detector,
            socket: self.sockets.at(index),
            line: step.line,
        });
        self.sockets
            .at_mut(index)
            .heartbeat
            .data_sent(monotonic_ns());
        written
    }

    fn write(&mut self, step: &Step, data: &Payload) -> Flow {
        let Some(index) = self.sockets.find(step.conn.as_deref()) else {
            return Flow::End;
        };
        let id = self.sockets.at(index).id;
        self.write_to(step, id, |io| io.write(data));
        Flow::Next
    }

    /// Writes, then reads as many bytes; on a replaced connection, from the start.
    fn exchange(&mut self, step: &Step, id: u32, data: &Payload) {
        let mut id = id;
        loop {
            if !self.write_to(step, id, |io| io.write(data)) {
                match self.handle_eof(step, id) {
                    Some(new) => id = new,
                    None => return,
                }
                continue;
            }
            let mut left = payload_bytes(data);
            while left > 0 {
                let Some(from) = self.wait_for_data(step, id) else {
                    return;
                };
                if from != id {
                    id = from;
                    break;
                }
                left = left.saturating_sub(self.take_data(id, usize::MAX).len() as u64);
            }
            if left == 0 {
                return;
            }
        }
    }
}
