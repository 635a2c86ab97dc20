//! Executes the steps of the lanes.

use super::state::{After, Frame, Wait, Want};
use super::{Simulator, listens};
use crate::abort::facts::{Facts, Fate, InFlight};
use crate::span::Span;
use crate::timers::application;
use halfopen_scenario::case::{Action, Payload, Step};

impl<'a> Simulator<'a> {
    /// Runs a process as far as it can. Returns whether it did anything.
    pub(super) fn run_process(&mut self, p: usize) -> Result<bool, String> {
        if !self.processes[p].alive || self.processes[p].frozen {
            return Ok(false);
        }
        if let Wait::Mark(mark) = self.processes[p].wait
            && let Some(at) = self.marks.get(mark).copied()
        {
            return Ok(self.wake(p, Some(at)));
        }
        if self.runs_event_loop(p) && self.run_event_loop(p)? {
            return Ok(true);
        }
        match self.processes[p].wait.clone() {
            Wait::Multiplex { .. } => self.run_multiplexer(p),
            Wait::Nothing => self.step(p).map(|()| true),
            Wait::Mark(mark) => Ok(self.wake(p, self.marks.get(mark).copied())),
            Wait::Keyboard => {
                let typed = self.processes[p].typed.pop_front();
                Ok(self.wake(p, typed))
            }
            Wait::Accept(left) => self.try_accept(p, left),
            Wait::Read { sock, want, .. } => self.try_read(p, sock, want),
            Wait::Poll { sock, keyboard, .. } => Ok(self.try_poll(p, sock, keyboard)),
            Wait::Full(sock) => {
                let s = &self.socks[sock];
                if s.exists && s.window_closed.is_none() && s.outgoing.is_none() {
                    let read = self.socks[s.peer].unread_at;
                    return Ok(self.wake(p, Some(read)));
                }
                Ok(self.report_error(p, sock, "write"))
            }
            Wait::Until(_) | Wait::Connect(_) | Wait::Done => Ok(false),
        }
    }

    /// Ends a wait, if the awaited event has occurred.
    pub(super) fn wake(&mut self, p: usize, at: Option<Span>) -> bool {
        let Some(at) = at else { return false };
        let process = &mut self.processes[p];
        process.at = process.at.both(at);
        process.wait = Wait::Nothing;
        true
    }

    fn step(&mut self, p: usize) -> Result<(), String> {
        let Some(frame) = self.processes[p].frames.last_mut() else {
            self.processes[p].wait = Wait::Done;
            return Ok(());
        };
        let Some(step) = frame.steps.get(frame.next) else {
            if frame.times > 1 {
                frame.times -= 1;
                frame.next = 0;
                return Ok(());
            }
            let after = frame.after;
            self.processes[p].frames.pop();
            match after {
                After::Nothing => {}
                After::CloseNewest => self.close_newest(p)?,
                After::Exit => self.exit_process(p)?,
            }
            return Ok(());
        };
        // Not before the recorded time of its call, where known.
        let process = &self.processes[p];
        let beats = process.lane.detector.heartbeat.is_some();
        let call = first_call(&step.action, process.lane.detector.poll.is_some())
            .filter(|call| !beats || !matches!(*call, "read" | "poll"))
            .and_then(|call| process.next_call(call));
        if let Some(at) = call.filter(|at| at.earliest > self.now) {
            self.processes[p].wait = Wait::Until(Span::at(at.earliest));
            return Ok(());
        }
        if !matches!(step.action, Action::Serve { .. })
            && let Some(frame) = self.processes[p].frames.last_mut()
        {
            frame.next += 1;
        }
        self.act(p, step)?;
        if let Some(mark) = &step.mark {
            if !matches!(self.processes[p].wait, Wait::Nothing) {
                return Err(format!("mark {mark} is set by a step that waits"));
            }
            let at = self.processes[p].at;
            self.set_mark(mark, at);
        }
        Ok(())
    }

    fn act(&mut self, p: usize, step: &'a Step) -> Result<(), String> {
        let at = self.processes[p].at;
        match &step.action {
            Action::Listen { port, .. } => {
                let host = self.processes[p].host;
                self.processes[p].ports.push(*port);
                self.backlog.entry((host, *port)).or_default();
            }
            Action::Accept { count } => self.processes[p].wait = Wait::Accept(*count),
            Action::Serve { .. } => self.processes[p].wait = Wait::Accept(1),
            Action::Multiplex {
                slots,
                echo,
                on_eof,
            } => {
                self.processes[p].wait = Wait::Multiplex {
                    slots: *slots,
                    echo: *echo,
                    on_eof: *on_eof,
                };
            }
            Action::Connect {
                to,
                address,
                port,
                count,
                nonblocking,
            } => {
                if *count != 1 {
                    return Err("several connections at once".into());
                }
                let host = match (address, to) {
                    (Some(_), _) => None,
                    (None, Some(to)) => Some(to.as_str()),
                    (None, None) => {
                        let own = self.processes[p].host;
                        let servers = self
                            .case
                            .lanes
                            .iter()
                            .filter(|l| l.host != own && listens(l));
                        Some(
                            servers
                                .map(|l| l.host.as_str())
                                .next()
                                .ok_or("no host to connect to")?,
                        )
                    }
                };
                self.connect(p, step, host, *port, *nonblocking)?;
            }
            Action::Exchange { data } => {
                if let Some(sock) = self.connection_of(p, step)
                    && self.write(p, sock, size(data))?
                {
                    self.begin_read(p, sock, Want::Exact(size(data)));
                }
            }
            Action::Write { data } => {
                if let Some(sock) = self.connection_of(p, step) {
                    self.write(p, sock, size(data))?;
                }
            }
            Action::Read { .. } => self.read_step(p, step, Want::Once),
            Action::Drain => self.read_step(p, step, Want::All { echo: false }),
            Action::Echo => self.read_step(p, step, Want::All { echo: true }),
            Action::Poll { timeout, keyboard } => {
                let sock = self.find(p, step);
                if sock.is_none() && !*keyboard {
                    return self.end_script(p);
                }
                self.processes[p].start_call("poll");
                let at = self.processes[p].at;
                let deadline = timeout.map(|t| at.plus(application::poll(t)));
                self.processes[p].wait = Wait::Poll {
                    sock,
                    keyboard: *keyboard,
                    deadline,
                };
            }
            Action::Keyboard => self.processes[p].wait = Wait::Keyboard,
            Action::HalfClose => {
                if let Some(sock) = self.connection_of(p, step) {
                    self.processes[p].start_call("shutdown");
                    let at = self.processes[p].at;
                    self.send_fin(sock, at)?;
                }
            }
            // `words_without_rules` has refused them.
            Action::Set { .. }
            | Action::Beside { .. }
            | Action::Relay { .. }
            | Action::Pool { .. }
            | Action::Request { .. } => {}
            Action::Close { linger } => {
                if let Some(sock) = self.connection_of(p, step) {
                    self.processes[p].connections.retain(|(_, s)| *s != sock);
                    self.processes[p].start_call("close");
                    let at = self.processes[p].at;
                    self.close(sock, at, linger.is_some_and(|l| l.is_zero()))?;
                }
            }
            Action::Sleep { time } => self.processes[p].wait = Wait::Until(at.after(*time)),
            Action::WaitFor { mark } => self.processes[p].wait = Wait::Mark(mark),
            Action::Exit => self.exit_process(p)?,
            Action::Repeat { times, steps } => {
                if *times > 0 {
                    let frame = Frame {
                        steps,
                        next: 0,
                        times: *times,
                        after: After::Nothing,
                    };
                    self.processes[p].frames.push(frame);
                }
            }
        }
        Ok(())
    }

    fn find(&self, p: usize, step: &Step) -> Option<usize> {
        let mut open = self.processes[p].connections.iter().rev();
        match &step.conn {
            Some(name) => open
                .find(|(n, _)| n.as_ref() == Some(name))
                .map(|(_, s)| *s),
            None => open.next().map(|(_, s)| *s),
        }
    }

    /// The step's connection; without one the script ends.
    fn connection_of(&mut self, p: usize, step: &Step) -> Option<usize> {
        let found = self.find(p, step);
        if found.is_none() {
            // Ending a script cannot fail.
            let _ = self.end_script(p);
        }
        found
    }

    pub(super) fn end_script(&mut self, p: usize) -> Result<(), String> {
        self.processes[p].frames.clear();
        self.processes[p].wait = Wait::Done;
        Ok(())
    }

    fn read_step(&mut self, p: usize, step: &Step, want: Want) {
        if let Some(sock) = self.connection_of(p, step) {
            self.begin_read(p, sock, want);
        }
    }

    fn close_newest(&mut self, p: usize) -> Result<(), String> {
        let at = self.processes[p].at;
        match self.processes[p].connections.pop() {
            Some((_, sock)) => self.close(sock, at, false),
            None => Ok(()),
        }
    }

    /// A process ends; its descriptors close.
    pub(super) fn exit_process(&mut self, p: usize) -> Result<(), String> {
        let now = Span::at(self.now).both(self.last_event);
        let mut at = self.processes[p].at.both(now);
        let process = &self.processes[p];
        let (label, boot) = &process.label;
        if let Some(reaped) = self.moments.end(label, *boot, process.number) {
            // Its descriptors close somewhere before it can be reaped.
            at = Span::new(at.earliest, reaped);
        }
        self.processes[p].alive = false;
        for (_, sock) in std::mem::take(&mut self.processes[p].connections) {
            self.close(sock, at, false)?;
        }
        for port in std::mem::take(&mut self.processes[p].ports) {
            self.backlog.remove(&(self.processes[p].host, port));
        }
        Ok(())
    }

    /// The facts about what this process's socket sends.
    pub(super) fn facts(&self, p: usize, fate: Fate, in_flight: InFlight, several: bool) -> Facts {
        self.facts_of(self.processes[p].lane, fate, in_flight, several)
    }
}

/// The first call of a step.
fn first_call(action: &Action, polls: bool) -> Option<&'static str> {
    Some(match action {
        Action::Connect { .. } => "connect",
        Action::Exchange { .. } | Action::Write { .. } => "write",
        Action::Read { .. } | Action::Drain | Action::Echo if polls => "poll",
        Action::Read { .. } | Action::Drain | Action::Echo => "read",
        Action::Poll { .. } => "poll",
        Action::HalfClose => "shutdown",
        Action::Close { .. } => "close",
        _ => return None,
    })
}

fn size(data: &Payload) -> u64 {
    match data {
        Payload::Text(text) => text.len() as u64,
        Payload::Bytes(bytes) => *bytes,
    }
}
