//! Servers: one connection after the other or each in a forked child (`serve`), or all at
//! once by poll() (`multiplex`).

use super::super::{Process, SockId};
use super::Start;
use super::event_loop::{Data, WaitFor, Wake};
use super::script::{Flow, Script};
use halfopen_scenario::case::{OnEof, Step};

impl<'a> Script<'a> {
    pub(super) async fn serve(&mut self, step: &'a Step, fork: bool, each: &'a [Step]) -> Flow {
        loop {
            let Some((_, listener)) = self.listeners.last().cloned() else {
                return Flow::End;
            };
            self.accept(step, listener, 1).await;
            let Some(conn) = self.conns.last() else {
                return Flow::End;
            };
            let (sock, name) = (conn.sock, conn.name.clone());
            if fork {
                self.conns.pop();
                self.fork(sock, name, each);
                continue;
            }
            let before = self.conns.len() - 1;
            self.run(each).await;
            while self.conns.len() > before {
                self.close_conn(self.conns.len() - 1, None).await;
            }
        }
    }

    /// A child has the connection, and the parent closes its copy.
    fn fork(&mut self, sock: SockId, name: Option<String>, each: &'a [Step]) {
        let id = self.sys.id;
        self.sys.with(|sim| {
            let child = sim.processes.len();
            let parent = &mut sim.processes[id];
            parent.children += 1;
            parent.socks.retain(|s| *s != sock);
            let (label, boot, number) = (parent.label.clone(), parent.boot, parent.children);
            let (lane, node) = (parent.lane, parent.node);
            let calls = sim.moments.calls(&label, boot, number).to_vec().into();
            sim.processes.push(Process {
                lane,
                label,
                boot,
                number,
                parent: Some(id),
                node,
                alive: true,
                frozen: false,
                calls,
                typed: 0,
                socks: vec![sock],
                children: 0,
                pending: None,
                line: 0,
            });
            sim.socks[sock].owner = Some(child);
            sim.spawned.push((child, Start::Child { each, sock, name }));
        });
    }

    pub(super) async fn multiplex(
        &mut self,
        slots: Option<u32>,
        echo: bool,
        on_eof: OnEof,
    ) -> Flow {
        loop {
            let Some((_, listener)) = self.listeners.last().cloned() else {
                return Flow::End;
            };
            let free = slots.is_none_or(|slots| (self.conns.len() as u64) < u64::from(slots));
            let wanted = WaitFor {
                listener: free.then_some(listener),
                data: Some(Data::Any),
                ..WaitFor::default()
            };
            match self.wait(&wanted).await {
                Wake::Listener => {
                    let sock = self.sys.accept(listener).await;
                    let name = self.name_connection(None, 1);
                    let detector = &self.lane.detector;
                    self.sys.set_options(sock, detector).await;
                    self.push(name, sock, None);
                }
                Wake::Data(id) => {
                    let Some(index) = self.by_id(id) else {
                        continue;
                    };
                    let bytes = std::mem::take(&mut self.conns[index].beat.inbox);
                    let sock = self.conns[index].sock;
                    if echo && !self.conns[index].half_closed {
                        let written = self.write_all(sock, bytes).await;
                        let now = self.sys.now();
                        if written {
                            self.conns[index].beat.data_sent(now);
                        } else {
                            self.set_eof(index);
                        }
                    }
                }
                Wake::Eof(id) => {
                    let Some(index) = self.by_id(id) else {
                        continue;
                    };
                    if on_eof == OnEof::Close || self.conns[index].half_closed {
                        self.close_conn(index, None).await;
                    }
                }
                Wake::Silent(..) => {}
                Wake::Deadline | Wake::Mark => return Flow::Next,
            }
        }
    }
}
