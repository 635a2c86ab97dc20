//! Executes a lane's steps one by one as system calls. `process` runs a script;
//! the steps that wait with heartbeats, and servers, are in files of their own.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::sockopt;

use super::calls::Polled;
use super::detector;
use super::heartbeat::{HeartbeatState, Role};
use super::protocol::Plan;
use super::report::{Reporter, Site};
use super::socket_io::SocketIo;
use super::sockets::{LISTENER, Sockets};
use halfopen_scenario::case::{Action, Step};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::poll;
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
    pub keyboard: OwnedFd,
    /// Reading ends of the marks' pipes.
    pub marks: BTreeMap<&'p str, OwnedFd>,
}

impl Script<'_> {
    /// Executes the steps in order.
    pub fn run(&mut self, steps: &[Step]) -> Flow {
        for step in steps {
            if self.step(step) == Flow::End {
                return Flow::End;
            }
            if let Some(mark) = &step.mark {
                self.reporter.mark(mark);
            }
        }
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

    fn listen(&mut self, step: &Step, port: u16, backlog: u32) {
        let name = step.conn.clone().unwrap_or_else(|| LISTENER.to_owned());
        let site = Site {
            conn: Some(&name),
            line: step.line,
        };
        let address = SocketAddr::new(self.plan.own_address, port);
        let reporter = &mut self.reporter;
        let Ok(fd) = reporter.socket(site, &address, false) else {
            return;
        };
        // A restarted server must be able to bind in spite of its own TIME_WAIT.
        let _ = reporter.set_option(site, &fd, sockopt::ReuseAddr, &true);
        if reporter.bind(site, &fd, address).is_ok() && reporter.listen(site, &fd, backlog).is_ok()
        {
            self.sockets.push_listener(name, fd);
        } else {
            let _ = reporter.close(site, fd);
        }
    }

    /// One accept(); the connection becomes the newest one.
    pub fn accept(&mut self, step: &Step, listener: usize, number: u32) -> nix::Result<()> {
        let listener = self.sockets.at(listener);
        let site = Site {
            conn: listener.name.as_deref(),
            line: step.line,
        };
        let fd = self.reporter.accept(site, listener.as_fd())?;
        let name = self.sockets.name_connection(step.conn.as_deref(), number);
        let site = Site {
            conn: name.as_deref(),
            line: step.line,
        };
        detector::apply(&self.plan.lane.detector, &mut self.reporter, site, &fd);
        let heartbeat = self.new_heartbeat(Role::Server);
        self.sockets.push_connection(name, fd, None, heartbeat);
        Ok(())
    }

    fn destination(&mut self, to: Option<&str>, address: Option<IpAddr>) -> Option<IpAddr> {
        if address.is_some() {
            return address;
        }
        let Some(host) = to.or(self.plan.default_peer.as_deref()) else {
            self.reporter
                .broken("connect has no host to go to, and there is no default one");
            return None;
        };
        let known = self.plan.addresses.get(host).copied();
        if known.is_none() {
            self.reporter.broken(format!("host {host} has no address"));
        }
        known
    }

    fn connect(&mut self, step: &Step, address: SocketAddr, number: u32, nonblocking: bool) {
        let name = self.sockets.name_connection(step.conn.as_deref(), number);
        self.connect_as(name, step.line, address, nonblocking);
    }

    /// One connect(); the connection becomes the newest one. Whether it succeeded.
    pub fn connect_as(
        &mut self,
        name: Option<String>,
        line: u32,
        address: SocketAddr,
        nonblocking: bool,
    ) -> bool {
        let site = Site {
            conn: name.as_deref(),
            line,
        };
        let detector = &self.plan.lane.detector;
        let reporter = &mut self.reporter;
        let Ok(fd) = reporter.socket(site, &address, nonblocking) else {
            return false;
        };
        detector::apply(detector, reporter, site, &fd);
        let mut connected = reporter.connect(site, &fd, address);
        if connected == Err(Errno::EINPROGRESS) {
            let on = [("socket", fd.as_fd(), poll::OUT)];
            connected = match reporter.poll(site, &on, detector.poll) {
                Polled::Ready => reporter.socket_error(site, &fd),
                Polled::TimedOut => Err(Errno::ETIMEDOUT),
                Polled::Failed(errno) => Err(errno),
            };
        }
        if connected.is_err() {
            // After a failed connect() a socket cannot be used: connect(2).
            let _ = reporter.close(site, fd);
            return false;
        }
        if nonblocking {
            let _ = reporter.make_blocking(site, &fd);
        }
        let heartbeat = self.new_heartbeat(Role::Client);
        self.sockets
            .push_connection(name, fd, Some(address), heartbeat);
        true
    }

    /// The heartbeat of a new connection.
    fn new_heartbeat(&self, role: Role) -> HeartbeatState {
        HeartbeatState::new(
            self.plan.lane.detector.heartbeat.as_ref(),
            role,
            monotonic_ns(),
        )
    }

    fn poll(&mut self, step: &Step, limit: Option<Duration>, keyboard: bool) -> Flow {
        let socket = self
            .sockets
            .find(step.conn.as_deref())
            .map(|index| self.sockets.at(index));
        let mut on = Vec::with_capacity(2);
        if let Some(socket) = socket {
            on.push(("socket", socket.as_fd(), poll::IN | poll::RDHUP));
        }
        if keyboard {
            on.push(("keyboard", self.keyboard.as_fd(), poll::IN));
        }
        if on.is_empty() {
            return Flow::End;
        }
        let conn = socket.and_then(|socket| socket.name.as_deref());
        let _ = self.reporter.poll(
            Site {
                conn,
                line: step.line,
            },
            &on,
            limit,
        );
        Flow::Next
    }

    fn close(&mut self, step: &Step, linger: Option<Duration>) -> Flow {
        let Some(index) = self.sockets.find(step.conn.as_deref()) else {
            return Flow::End;
        };
        if let Some(time) = linger {
            let socket = self.sockets.at(index);
            let site = Site {
                conn: socket.name.as_deref(),
                line: step.line,
            };
            let l_linger = i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
            let linger = nix::libc::linger {
                l_onoff: 1,
                l_linger,
            };
            let _ = self
                .reporter
                .set_option(site, socket, sockopt::Linger, &linger);
        }
        self.close_socket(index, step.line);
        Flow::Next
    }

    /// close() on the socket at `index`.
    pub fn close_socket(&mut self, index: usize, line: u32) {
        let socket = self.sockets.remove(index);
        let site = Site {
            conn: socket.name.as_deref(),
            line,
        };
        let _ = self.reporter.close(site, socket.fd);
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
