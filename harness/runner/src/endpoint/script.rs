//! Executes a lane's steps one by one as system calls. `process` runs a script;
//! the steps that wait with heartbeats, and servers, are in files of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::pool::Pool;
use super::protocol::Plan;
use super::report::{Reporter, Site};
use super::socket_io::SocketIo;
use super::sockets::Sockets;
use halfopen_scenario::case::{Action, Step};
use halfopen_sys::process::exit_now;

/// Whether the script continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// With the next step.
    Next,
    /// No: a step has no open connection to act on, or cannot be done at all.
    End,
}

/// A script being executed.
#[derive(Debug)]
pub(super) struct Script<'p> {
    pub plan: &'p Plan,
    pub reporter: Reporter,
    pub sockets: Sockets,
    pub pool: Option<Pool>,
    pub keyboard: OwnedFd,
    /// Reading ends of the marks' pipes.
    pub marks: BTreeMap<&'p str, OwnedFd>,
}

impl Script<'_> {
    /// Executes the steps in order.
    pub fn run(&mut self, steps: &[Step]) -> Flow {
        let outer = self.reporter.step;
        for step in steps {
            self.reporter.step = step.number;
            if self.step(step) == Flow::End {
                return Flow::End;
            }
            if let Some(mark) = &step.mark {
                self.reporter.mark(mark);
            }
        }
        // `serve` and `repeat` go on after the steps inside them.
        self.reporter.step = outer;
        Flow::Next
    }

    /// Executes one step. Errors of its calls are in the report and do not end the
    /// script: what a program sees when it goes on after an error is what a case is
    /// to show.
    fn step(&mut self, step: &Step) -> Flow {
        if let Some(flow) = self.step_with_heartbeat(step) {
            return flow;
        }
        match &step.action {
            Action::Listen { port, backlog } => self.listen(step, *port, *backlog),
            Action::Accept { count } => {
                for number in 1..=*count {
                    let Some(listener) = self.sockets.listener() else {
                        return Flow::End;
                    };
                    // An error is in the report; there is no new connection then.
                    let _ = self.accept(step, listener, number);
                }
            }
            Action::Serve { fork, each } => return self.serve(step, *fork, each),
            Action::Multiplex {
                slots,
                echo,
                on_eof,
            } => return self.multiplex(step, *slots, *echo, *on_eof),
            Action::Connect {
                to,
                address,
                port,
                count,
                nonblocking,
            } => {
                let Some(ip) = self.destination(to.as_deref(), *address) else {
                    return Flow::End;
                };
                for number in 1..=*count {
                    self.connect(step, SocketAddr::new(ip, *port), number, *nonblocking);
                }
            }
            Action::Echo => return self.with_socket(step, |mut io| io.echo()),
            Action::Pool {
                to,
                port,
                connections,
                max_idle,
                retry,
            } => {
                let Some(ip) = self.destination(to.as_deref(), None) else {
                    return Flow::End;
                };
                let to = SocketAddr::new(ip, *port);
                self.open_pool(step, Pool::new(to, *max_idle, *retry), *connections);
            }
            Action::Request { data } => return self.request(step, data),
            Action::Exchange { data } => return self.with_socket(step, |mut io| io.exchange(data)),
            Action::Write { data } => return self.with_socket(step, |mut io| io.write(data)),
            Action::Drain => return self.with_socket(step, |mut io| io.drain()),
            Action::Read { bytes } => {
                let mut buffer = vec![0; usize::try_from(*bytes).unwrap_or(usize::MAX)];
                return self.with_socket(step, |mut io| io.read(&mut buffer));
            }
            Action::Poll { timeout, keyboard } => return self.poll(step, *timeout, *keyboard),
            Action::Keyboard => {
                let site = Site {
                    conn: Some("keyboard"),
                    line: step.line,
                };
                let _ = self
                    .reporter
                    .read(site, self.keyboard.as_fd(), &mut [0; 4096]);
            }
            Action::HalfClose => {
                return self.with_socket(step, |io| io.reporter.half_close(io.socket, io.line));
            }
            Action::Close { linger } => return self.close(step, *linger),
            Action::Set { options } => return self.set_options(step, options),
            Action::Beside { steps } => self.beside(step, steps),
            Action::Relay { between } => return self.relay(step, between.as_ref()),
            // A scenario's own pause, so not reported. It continues after a signal:
            // clock_nanosleep().
            Action::Sleep { time } => std::thread::sleep(*time),
            Action::WaitFor { mark } => return self.wait_for(mark),
            Action::Exit => exit_now(0),
            Action::Repeat { times, steps } => {
                for _ in 0..*times {
                    if self.run(steps) == Flow::End {
                        return Flow::End;
                    }
                }
            }
        }
        Flow::Next
    }

    /// Does something with the step's connection, if there is one.
    pub fn with_socket<R>(&mut self, step: &Step, act: impl FnOnce(SocketIo<'_>) -> R) -> Flow {
        let Some(index) = self.sockets.find(step.conn.as_deref()) else {
            return Flow::End;
        };
        // The result is in the report.
        let _ = act(SocketIo {
            reporter: &mut self.reporter,
            detector: &self.plan.lane.detector,
            socket: self.sockets.at(index),
            line: step.line,
        });
        Flow::Next
    }

    /// Waits until `mark` is set. A scenario's own pause, so not reported.
    pub fn wait_for(&mut self, mark: &str) -> Flow {
        let Some(fd) = self.marks.get(mark) else {
            self.reporter.broken(format!("there is no mark {mark}"));
            return Flow::End;
        };
        loop {
            // POLLHUP is reported without being asked for.
            let mut on = [PollFd::new(fd.as_fd(), PollFlags::empty())];
            match nix::poll::poll(&mut on, PollTimeout::NONE) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Flow::Next,
                Err(errno) => {
                    self.reporter
                        .broken(format!("waiting for mark {mark} failed with {errno:?}"));
                    return Flow::End;
                }
            }
        }
    }
}
