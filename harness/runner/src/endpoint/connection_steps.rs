//! Steps that make and end connections: listen, accept, connect, poll, close.
//! `script` calls them.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt;

use super::calls::Polled;
use super::detector;
use super::heartbeat::{HeartbeatState, Role};
use super::report::Site;
use super::script::{Flow, Script};
use super::sockets::LISTENER;
use halfopen_scenario::case::Step;
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::poll;

impl Script<'_> {
    pub(super) fn listen(&mut self, step: &Step, port: u16, backlog: u32) {
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

    pub(super) fn destination(
        &mut self,
        to: Option<&str>,
        address: Option<IpAddr>,
    ) -> Option<IpAddr> {
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

    pub(super) fn connect(
        &mut self,
        step: &Step,
        address: SocketAddr,
        number: u32,
        nonblocking: bool,
    ) {
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

    pub(super) fn poll(&mut self, step: &Step, limit: Option<Duration>, keyboard: bool) -> Flow {
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

    pub(super) fn close(&mut self, step: &Step, linger: Option<Duration>) -> Flow {
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
}
