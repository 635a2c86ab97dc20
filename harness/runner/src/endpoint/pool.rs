//! The steps `pool` and `request`: a pool of connections, as clients of databases and of
//! HTTP have. `script` calls them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::report::Site;
use super::script::{Flow, Script};
use super::socket_io::SocketIo;
use halfopen_scenario::case::{Payload, Step};
use halfopen_sys::clock::monotonic_ns;

/// A pool of connections to one address.
#[derive(Debug)]
pub(super) struct Pool {
    to: SocketAddr,
    max_idle: Option<Duration>,
    retry: bool,
    /// Its connections by number, and when each was last used: longest ago first.
    idle: VecDeque<(u32, i64)>,
}

impl Pool {
    /// An empty pool.
    pub fn new(to: SocketAddr, max_idle: Option<Duration>, retry: bool) -> Self {
        Pool {
            to,
            max_idle,
            retry,
            idle: VecDeque::new(),
        }
    }

    fn is_too_old(&self, since: i64) -> bool {
        let idle = Duration::from_nanos(monotonic_ns().saturating_sub(since).unsigned_abs());
        self.max_idle.is_some_and(|most| idle > most)
    }
}

impl Script<'_> {
    /// Opens the connections of a pool.
    pub(super) fn open_pool(&mut self, step: &Step, mut pool: Pool, connections: u32) {
        for _ in 0..connections {
            if let Some(id) = self.connect_for(step, &pool) {
                pool.idle.push_back((id, monotonic_ns()));
            }
        }
        self.pool = Some(pool);
    }

    /// A new connection of a pool, by its number. None: an error, which is in the report.
    fn connect_for(&mut self, step: &Step, pool: &Pool) -> Option<u32> {
        let name = self.sockets.name_connection(None, 1);
        self.connect_as(name, step.line, pool.to, false)
            .then(|| self.sockets.at(self.sockets.len() - 1).id)
    }

    /// One request, on the connection that was not used for longest.
    pub(super) fn request(&mut self, step: &Step, data: &Payload) -> Flow {
        let Some(mut pool) = self.pool.take() else {
            return Flow::End;
        };
        let mut from_pool = pool.idle.pop_front();
        if let Some((id, since)) = from_pool
            && pool.is_too_old(since)
        {
            self.close_pooled(step, id);
            from_pool = None;
        }
        let id = match from_pool {
            Some((id, _)) => Some(id),
            None => self.connect_for(step, &pool),
        };
        let used = id.and_then(|id| self.request_on(step, data, id, pool.retry));
        let used = match (used, id) {
            (None, Some(_)) if pool.retry => {
                let id = self.connect_for(step, &pool);
                id.and_then(|id| self.request_on(step, data, id, false))
            }
            (used, _) => used,
        };
        pool.idle.extend(used.map(|id| (id, monotonic_ns())));
        self.pool = Some(pool);
        Flow::Next
    }

    /// A request on this connection; its number again if that succeeded. Otherwise it is
    /// closed.
    fn request_on(&mut self, step: &Step, data: &Payload, id: u32, retries: bool) -> Option<u32> {
        let socket = self.sockets.at(self.sockets.by_id(id)?);
        let done = SocketIo {
            reporter: &mut self.reporter,
            detector: &self.plan.lane.detector,
            socket,
            line: step.line,
        }
        .exchange(data);
        if done {
            return Some(id);
        }
        if retries {
            let site = Site {
                conn: socket.name.as_deref(),
                line: step.line,
            };
            self.reporter.retried(site);
        }
        self.close_pooled(step, id);
        None
    }

    fn close_pooled(&mut self, step: &Step, id: u32) {
        if let Some(index) = self.sockets.by_id(id) {
            self.close_socket(index, step.line);
        }
    }
}
