//! Steps that make connections: listen, accept, connect.

use super::super::SockId;
use super::super::net::frame::End;
use super::script::Script;
use halfopen_scenario::case::Step;

impl<'a> Script<'a> {
    pub(super) async fn listen(&mut self, step: &'a Step, port: u16, backlog: u32) {
        self.sys.begin("listen").await;
        let node = self.sys.with(|sim| sim.processes[self.sys.id].node);
        let listener = self.sys.with(|sim| sim.listen(node, port, backlog));
        if let Some(listener) = listener {
            self.sys.own(listener);
            let name = step.conn.clone().unwrap_or_else(|| "listener".into());
            self.listeners.push((name, listener));
        }
    }

    /// accept(); the connection becomes the newest one.
    pub(super) async fn accept(&mut self, step: &'a Step, listener: SockId, number: u32) {
        let sock = self.sys.accept(listener).await;
        let name = self.name_connection(step.conn.as_deref(), number);
        let detector = &self.lane.detector;
        self.sys.set_options(sock, detector).await;
        self.push(name, sock, None);
    }

    /// connect(); the connection becomes the newest one. Whether it succeeded.
    pub(super) async fn connect_as(
        &mut self,
        name: Option<String>,
        to: End,
        nonblocking: bool,
    ) -> bool {
        let detector = &self.lane.detector;
        let Some(sock) = self.sys.connect(to, detector, nonblocking).await else {
            return false;
        };
        self.push(name, sock, Some(to));
        true
    }
}
