//! Steps of a lane with a heartbeat: its heart beats while it waits in them, as
//! in a program whose event loop, or a thread, sees to that.

use std::os::fd::AsFd;
use std::time::Duration;

use super::exchange::{Talk, payload_bytes};
use super::heart::nanos;
use super::interpret::{Flow, Script};
use super::pulse::{Data, Pulse, Until, Woke};
use super::report::Site;
use super::sockets::Gone;
use halfopen_scenario::case::{Action, OnSilence, Payload, Step};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::poll;

/// However a back-off grows, a client tries this often.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);

impl Script<'_> {
    /// The lane's sockets, to wait on.
    pub(super) fn pulse(&mut self, line: u32) -> Pulse<'_> {
        let heartbeat = self.plan.lane.detector.heartbeat.as_ref();
        Pulse {
            reporter: &mut self.reporter,
            sockets: &mut self.sockets,
            has_hearts: heartbeat.is_some(),
            on_silence: heartbeat.map_or(OnSilence::Close, |h| h.on_silence),
            line,
        }
    }

    /// Does a step that waits, with the heart beating. None: the lane has no
    /// heartbeat, or nothing in the step waits, or the step's connection is over,
    /// so that there is nobody to beat for.
    pub(super) fn step_with_heart(&mut self, step: &Step) -> Option<Flow> {
        self.plan.lane.detector.heartbeat.as_ref()?;
        match &step.action {
            Action::Sleep { time } => return Some(self.sleep(step, *time)),
            Action::WaitFor { mark } => return self.wait_with_heart(step, mark),
            Action::Keyboard => return Some(self.keyboard(step)),
            Action::Write { data } => return Some(self.write(step, data)),
            _ => {}
        }
        let index = self.sockets.find(step.conn.as_deref())?;
        let socket = self.sockets.at(index);
        if socket.over && !socket.heart.has_data() {
            return None;
        }
        let id = socket.id;
        match &step.action {
            Action::Read { bytes } => {
                if let Some(id) = self.until_data(step, id) {
                    self.take(id, usize::try_from(*bytes).unwrap_or(usize::MAX));
                }
            }
            Action::Drain => {
                let mut next = Some(id);
                while let Some(id) = next {
                    self.take(id, usize::MAX);
                    next = self.until_data(step, id);
                }
            }
            Action::Echo => {
                let mut next = self.until_data(step, id);
                while let Some(id) = next {
                    let data = self.take(id, usize::MAX);
                    if !self.is_half_closed(id)
                        && !self.write_to(step, id, |talk| talk.write_all(&data))
                    {
                        break;
                    }
                    next = self.until_data(step, id);
                }
            }
            Action::Exchange { data } => self.exchange(step, id, data),
            _ => return None,
        }
        Some(Flow::Next)
    }

    fn sleep(&mut self, step: &Step, time: Duration) -> Flow {
        let until = Until {
            at: Some(monotonic_ns() + nanos(time)),
            ..Until::default()
        };
        loop {
            match self.pulse(step.line).wait(&until) {
                Woke::Time | Woke::Failed => return Flow::Next,
                other => self.go_on(step, other),
            }
        }
    }

    /// None when the mark's descriptor cannot be had: the plain step tells why.
    fn wait_with_heart(&mut self, step: &Step, mark: &str) -> Option<Flow> {
        let fd = self.marks.get(mark)?.try_clone().ok()?;
        // No event is asked for: POLLHUP comes unasked.
        Some(self.until_signal(step, ("mark", fd.as_fd(), 0)))
    }

    fn keyboard(&mut self, step: &Step) -> Flow {
        let Ok(fd) = self.keyboard.try_clone() else {
            return Flow::End;
        };
        let flow = self.until_signal(step, ("keyboard", fd.as_fd(), poll::IN));
        let site = Site {
            conn: Some("keyboard"),
            line: step.line,
        };
        let _ = self.reporter.read(site, fd.as_fd(), &mut [0; 4096]);
        flow
    }

    fn until_signal(
        &mut self,
        step: &Step,
        signal: (&'static str, std::os::fd::BorrowedFd<'_>, i16),
    ) -> Flow {
        let until = Until {
            signal: Some(signal),
            ..Until::default()
        };
        loop {
            match self.pulse(step.line).wait(&until) {
                Woke::Signal | Woke::Failed => return Flow::Next,
                other => self.go_on(step, other),
            }
        }
    }

    /// After something else than what was waited for: a connection that is
    /// over is made anew where the heartbeat says so.
    fn go_on(&mut self, step: &Step, woke: Woke) {
        match woke {
            Woke::Over(id) => {
                self.over(step, id);
            }
            Woke::Lost(gone) => {
                self.reconnect(step, &gone);
            }
            _ => {}
        }
    }

    /// Waits for data on a connection, or on the one that takes its place: its
    /// number. None: it is over.
    fn until_data(&mut self, step: &Step, id: u32) -> Option<u32> {
        let mut id = id;
        loop {
            let until = Until {
                data: Some(Data::Of(id)),
                ..Until::default()
            };
            id = match self.pulse(step.line).wait(&until) {
                Woke::Data(id) => return Some(id),
                Woke::Over(over) if over == id => self.over(step, id)?,
                Woke::Lost(gone) if gone.id == id => self.reconnect(step, &gone)?,
                Woke::Failed => return None,
                other => {
                    self.go_on(step, other);
                    id
                }
            };
        }
    }

    /// A connection is over: the number of the one that takes its place.
    fn over(&mut self, step: &Step, id: u32) -> Option<u32> {
        let index = self.sockets.by_id(id)?;
        let socket = self.sockets.at_mut(index);
        socket.heart.stop();
        let gone = socket.gone();
        let again = self.reconnects(&gone);
        // Without a new one it stays open until the script closes it.
        if again || self.sockets.at(index).half_closed {
            self.close_socket(index, step.line);
        }
        self.reconnect(step, &gone)
    }

    fn reconnects(&self, gone: &Gone) -> bool {
        let heartbeat = self.plan.lane.detector.heartbeat.as_ref();
        gone.peer.is_some() && heartbeat.is_some_and(|h| h.reconnect.is_some())
    }

    /// Connects again, as often as the heartbeat says: the new one's number.
    fn reconnect(&mut self, step: &Step, gone: &Gone) -> Option<u32> {
        let how = self
            .plan
            .lane
            .detector
            .heartbeat
            .as_ref()?
            .reconnect
            .clone()?;
        let peer = gone.peer?;
        let mut delay = how.delay;
        let mut failed = 0;
        while how.limit.is_none_or(|limit| failed < limit) {
            std::thread::sleep(delay);
            if self.connect_as(gone.name.clone(), step.line, peer, false) {
                let newest = self.sockets.len() - 1;
                return Some(self.sockets.at(newest).id);
            }
            failed += 1;
            delay = delay.mul_f64(how.backoff).min(LONGEST_DELAY);
        }
        None
    }

    /// After shutdown(SHUT_WR) a write would be EPIPE, and SIGPIPE.
    fn is_half_closed(&self, id: u32) -> bool {
        let index = self.sockets.by_id(id);
        index.is_some_and(|index| self.sockets.at(index).half_closed)
    }

    fn take(&mut self, id: u32, most: usize) -> Vec<u8> {
        match self.sockets.by_id(id) {
            Some(index) => self.sockets.at_mut(index).heart.take(most),
            None => Vec::new(),
        }
    }

    /// Writes to a connection; whether the kernel took everything.
    fn write_to(
        &mut self,
        step: &Step,
        id: u32,
        write: impl FnOnce(&mut Talk<'_>) -> bool,
    ) -> bool {
        let Some(index) = self.sockets.by_id(id) else {
            return false;
        };
        let written = write(&mut Talk {
            reporter: &mut self.reporter,
            detector: &self.plan.lane.detector,
            socket: self.sockets.at(index),
            line: step.line,
        });
        self.sockets.at_mut(index).heart.sent(monotonic_ns());
        written
    }

    fn write(&mut self, step: &Step, data: &Payload) -> Flow {
        let Some(index) = self.sockets.find(step.conn.as_deref()) else {
            return Flow::End;
        };
        let id = self.sockets.at(index).id;
        self.write_to(step, id, |talk| talk.write(data));
        Flow::Next
    }

    /// Writes and reads as much; on a new connection it starts anew.
    fn exchange(&mut self, step: &Step, id: u32, data: &Payload) {
        let mut id = id;
        loop {
            if !self.write_to(step, id, |talk| talk.write(data)) {
                match self.over(step, id) {
                    Some(new) => id = new,
                    None => return,
                }
                continue;
            }
            let mut left = payload_bytes(data);
            while left > 0 {
                let Some(from) = self.until_data(step, id) else {
                    return;
                };
                if from != id {
                    id = from;
                    break;
                }
                left = left.saturating_sub(self.take(id, usize::MAX).len() as u64);
            }
            if left == 0 {
                return;
            }
        }
    }
}
