//! A lane's script: its open connections and its steps, one after the other.

use super::super::SockId;
use super::super::clock::ns;
use super::super::net::frame::End;
use super::beat::Beat;
use super::io::Want;
use super::sys::Sys;
use halfopen_scenario::case::{Action, Lane, Payload, Step};
use std::future::Future;
use std::pin::Pin;

/// What follows a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    /// The script is over.
    End,
}

/// An open connection.
pub(super) struct Conn {
    /// Its number, which stays the same.
    pub id: u32,
    pub name: Option<String>,
    pub sock: SockId,
    /// Where it connected to; None: it was accepted.
    pub peer: Option<End>,
    pub beat: Beat,
    pub eof: bool,
    pub eof_unreported: bool,
    pub half_closed: bool,
}

/// A script being executed.
pub(super) struct Script<'a> {
    pub sys: Sys<'a>,
    pub lane: &'a Lane,
    pub conns: Vec<Conn>,
    pub listeners: Vec<(String, SockId)>,
    made: u32,
    unnamed: u32,
}

/// How many bytes a payload has.
pub(super) fn size(data: &Payload) -> u64 {
    match data {
        Payload::Text(text) => text.len() as u64,
        Payload::Bytes(bytes) => *bytes,
    }
}

impl<'a> Script<'a> {
    pub fn new(sys: Sys<'a>, lane: &'a Lane) -> Self {
        Script {
            sys,
            lane,
            conns: Vec::new(),
            listeners: Vec::new(),
            made: 0,
            unnamed: 0,
        }
    }

    /// A forked child has its parent's newest connection.
    pub fn adopt(&mut self, sock: SockId, name: Option<String>) {
        self.push(name, sock, None);
    }

    pub fn push(&mut self, name: Option<String>, sock: SockId, peer: Option<End>) {
        self.made += 1;
        let config = self.lane.detector.heartbeat.as_ref();
        let beat = Beat::new(config, peer.is_some(), self.sys.now());
        self.conns.push(Conn {
            id: self.made,
            name,
            sock,
            peer,
            beat,
            eof: false,
            eof_unreported: false,
            half_closed: false,
        });
    }

    /// The name of a step's next connection.
    pub fn name_connection(&mut self, name: Option<&str>, number: u32) -> Option<String> {
        match (name, number) {
            (Some(name), 1) => Some(name.to_owned()),
            (Some(name), number) => Some(format!("{name}.{number}")),
            (None, _) => {
                self.unnamed += 1;
                (self.unnamed > 1).then(|| format!("#{}", self.unnamed))
            }
        }
    }

    /// The newest open connection, or that of this name.
    pub fn find(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(_) => self.conns.iter().rposition(|c| c.name.as_deref() == name),
            None => self.conns.len().checked_sub(1),
        }
    }

    pub fn by_id(&self, id: u32) -> Option<usize> {
        self.conns.iter().position(|conn| conn.id == id)
    }

    /// close() of a connection.
    pub async fn close_conn(&mut self, index: usize, linger: Option<u64>) {
        let conn = self.conns.remove(index);
        self.sys.close(conn.sock, linger).await;
    }

    /// Executes steps. Boxed, because steps contain steps.
    pub fn run<'s>(&'s mut self, steps: &'a [Step]) -> Pin<Box<dyn Future<Output = Flow> + 's>> {
        Box::pin(async move {
            for step in steps {
                let flow = self.step(step).await;
                if let Some(mark) = &step.mark {
                    self.sys.with(|sim| sim.set_mark(mark));
                }
                if flow == Flow::End {
                    return Flow::End;
                }
            }
            Flow::Next
        })
    }

    async fn step(&mut self, step: &'a Step) -> Flow {
        let (id, line) = (self.sys.id, step.line);
        self.sys.with(|sim| sim.processes[id].line = line);
        if let Some(flow) = self.step_with_heartbeat(step).await {
            return flow;
        }
        match &step.action {
            Action::Listen { port, backlog } => self.listen(step, *port, *backlog).await,
            Action::Accept { count } => {
                for number in 1..=*count {
                    let Some((_, listener)) = self.listeners.last().cloned() else {
                        return Flow::End;
                    };
                    self.accept(step, listener, number).await;
                }
            }
            Action::Serve { fork, each } => return self.serve(step, *fork, each).await,
            Action::Multiplex {
                slots,
                echo,
                on_eof,
            } => return self.multiplex(*slots, *echo, *on_eof).await,
            Action::Connect {
                to,
                address,
                port,
                count,
                nonblocking,
            } => {
                let Some(addr) = self.sys.address(to.as_deref(), *address) else {
                    return Flow::End;
                };
                for number in 1..=*count {
                    let name = self.name_connection(step.conn.as_deref(), number);
                    self.connect_as(name, (addr, *port), *nonblocking).await;
                }
            }
            Action::Exit => {
                self.sys.exit();
                return Flow::End;
            }
            Action::Sleep { time } => {
                let at = self.sys.now() + ns(*time);
                self.sys.sleep_until(at).await;
            }
            Action::WaitFor { mark } => {
                let mark = mark.as_str();
                self.sys
                    .wait(|sim| sim.marks.contains_key(mark).then_some(()))
                    .await;
            }
            Action::Keyboard => self.sys.keyboard().await,
            Action::Poll { timeout, keyboard } => {
                let sock = self
                    .find(step.conn.as_deref())
                    .map(|index| self.conns[index].sock);
                if sock.is_none() && !*keyboard {
                    return Flow::End;
                }
                self.sys.poll(sock, *keyboard, *timeout).await;
            }
            Action::Repeat { times, steps } => {
                for _ in 0..*times {
                    if self.run(steps).await == Flow::End {
                        return Flow::End;
                    }
                }
            }
            // The start of a run has refused them (`not_modelled`).
            Action::Set { .. }
            | Action::Beside { .. }
            | Action::Relay { .. }
            | Action::Pool { .. }
            | Action::Request { .. } => {}
            Action::Echo => return self.io(step, Want::Echo).await,
            Action::Drain => return self.io(step, Want::Drain).await,
            Action::Read { bytes } => return self.io(step, Want::Read(u64::from(*bytes))).await,
            Action::Write { data } => return self.io(step, Want::Write(size(data))).await,
            Action::Exchange { data } => return self.io(step, Want::Exchange(size(data))).await,
            Action::HalfClose => return self.io(step, Want::HalfClose).await,
            Action::Close { linger } => {
                let Some(index) = self.find(step.conn.as_deref()) else {
                    return Flow::End;
                };
                self.close_conn(index, linger.map(ns)).await;
            }
        }
        Flow::Next
    }
}
