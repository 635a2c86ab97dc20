//! Turns what the tracer sees into the reports of scripted endpoints: calls on TCP
//! sockets that are not on loopback, children, ends, lines, what was set.
//!
//! A thread reports like a process, by its number. A poll that times out and is
//! made again at once, a program's own tick, becomes one long call.

mod result;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::protocol::{Plan, Report};
use super::super::report::Reporter;
use super::notes::{self, Notes};
use super::shortened;
use halfopen_outcome::record::{CallResult, ExitKind, ObserverCost, SignalEffect, SignalSender};
use halfopen_scenario::case::{Program, Ready};
use halfopen_trace::event::{
    Cost, Detail, End, Entered, Gave, Line, Protocol, Returned, Socket, Stream,
};
use halfopen_trace::{CallName, Detectors, Event, SignalNumber, What};
use result::{is_poll, result_of};

/// How much of a line is reported.
const LINE_LENGTH: usize = 1000;

pub(super) struct Translator<'a> {
    program: &'a Program,
    reporter: &'a mut Reporter,
    hosts: BTreeMap<IpAddr, &'a str>,
    detectors: Detectors,
    /// Calls whose start was reported, and the time limits of those that wait.
    calls: HashMap<u64, Option<Duration>>,
    /// Polls that timed out, by thread: not reported yet.
    idle: HashMap<i32, Idle>,
    /// Streams that were closed while the program ran: by its end, unless it does
    /// something later.
    closed: Vec<(Stream, i64)>,
    main: Option<i32>,
    began_ns: i64,
    running: BTreeSet<i32>,
    /// Threads that have not been reported as such.
    threads: BTreeSet<i32>,
    ready: bool,
    notes: Notes,
}

struct Idle {
    name: CallName,
    began: i64,
    at: i64,
    /// None: it was made again as it ran out.
    limit: Option<Duration>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        program: &'a Program,
        few_users: bool,
        reporter: &'a mut Reporter,
    ) -> Self {
        let hosts = plan.addresses.iter();
        Translator {
            program,
            reporter,
            hosts: hosts.map(|(host, ip)| (*ip, host.as_str())).collect(),
            detectors: Detectors::default(),
            calls: HashMap::new(),
            idle: HashMap::new(),
            closed: Vec::new(),
            main: None,
            began_ns: 0,
            running: BTreeSet::new(),
            threads: BTreeSet::new(),
            ready: false,
            notes: Notes::new(few_users),
        }
    }

    pub(super) fn translate(&mut self, event: &Event) {
        self.detectors.observe(event);
        let at = event.at_ns;
        if matches!(event.what, What::Entered(_) | What::Created { .. }) {
            self.runs_on();
        }
        match &event.what {
            What::Entered(entered) => self.entered(event, entered),
            What::Returned(returned) => self.returned(event, returned),
            What::Line(line) => self.line(line, at),
            What::OutputLimit { stream } => self.reporter.note(notes::output_limit(*stream), at),
            What::StreamClosed { stream } => self.closed.push((*stream, at)),
            What::Created {
                child,
                thread: false,
            } => {
                self.running.insert(*child);
                let pid = event.pid;
                self.reporter.write_report(&Report::Forked {
                    pid,
                    child: *child,
                    at,
                });
            }
            What::Created {
                child,
                thread: true,
            } => {
                self.threads.insert(*child);
            }
            What::Executed { .. } if self.main.is_none() => {
                self.main = Some(event.pid);
                self.began_ns = at;
                self.running.insert(event.pid);
                self.reporter
                    .write_report(&Report::Program { pid: event.pid });
            }
            What::ThreadEnded => {
                self.threads.remove(&event.tid);
                self.flush(event.tid);
            }
            What::Ended(end) => self.ended(event, *end),
            What::Unseen(unseen) => self.reporter.note(notes::unseen(*unseen), at),
            What::Signal { signal, sender } => self.signal(event, *signal, *sender),
            What::Stopped { signal } => {
                self.effect(event, *signal, SignalEffect::Stopped, SignalSender::Kernel);
            }
            What::Continued => {
                let signal = SignalNumber(nix::libc::SIGCONT);
                self.effect(event, signal, SignalEffect::Continued, SignalSender::Kernel);
            }
            What::Refused { call, errno } => {
                if let Some(note) = self.notes.refused(call, *errno) {
                    self.reporter.note(note, at);
                }
            }
            What::Cost(cost) => self.cost(*cost, at),
            _ => {}
        }
    }

    /// Says which streams a program that goes on has closed.
    fn runs_on(&mut self) {
        for (stream, at) in std::mem::take(&mut self.closed) {
            // A process's last close()s come in any order.
            if !self.main.is_some_and(|main| self.running.contains(&main)) {
                return;
            }
            self.reporter.note(notes::closed(stream), at);
        }
    }

    fn entered(&mut self, event: &Event, entered: &Entered) {
        let conn = match &entered.detail {
            Detail::Wait { sockets, .. } => {
                let mut seen = sockets
                    .iter()
                    .map(|s| &s.socket)
                    .filter(|s| is_outside(s, None));
                match (seen.next(), seen.next()) {
                    (None, _) => return,
                    (Some(only), None) => self.connection(only, None),
                    (Some(_), Some(_)) => None,
                }
            }
            detail => {
                let address = match detail {
                    Detail::Address(address) => Some(*address),
                    _ => None,
                };
                let Some(socket) = &entered.socket else {
                    return;
                };
                if !is_outside(socket, address) || entered.name == CallName::Socket {
                    return;
                }
                self.connection(socket, address)
            }
        };
        let limit = match &entered.detail {
            Detail::Wait { timeout, .. } => *timeout,
            _ => None,
        };
        self.calls.insert(entered.call, limit);
        match self.idle.get(&event.tid) {
            // The tick goes on.
            Some(idle) if idle.name == entered.name => return,
            Some(_) => self.flush(event.tid),
            None => {}
        }
        self.name_thread(event);
        self.reporter.write_report(&Report::Start {
            pid: event.tid,
            call: entered.name.to_string(),
            conn,
            line: 0,
            step: 0,
            at: event.at_ns,
        });
    }

    fn returned(&mut self, event: &Event, returned: &Returned) {
        if let (Some(socket), Gave::Set(_)) = (&returned.socket, &returned.gave) {
            self.detector(socket);
        }
        if let Gave::Socket(accepted) = &returned.gave
            && accepted.peer.is_some()
        {
            self.detector(accepted);
        }
        let Some(mut limit) = self.calls.remove(&returned.call) else {
            return;
        };
        if returned.name == CallName::Connect
            && let Some(socket) = &returned.socket
        {
            self.detector(socket);
        }
        let own_limit = returned
            .socket
            .and_then(|socket| self.detectors.get(socket.id))
            .and_then(|detector| detector.receive_timeout.or(detector.send_timeout));
        let result = result_of(returned, event.at_ns, own_limit);
        let began = match self.idle.remove(&event.tid) {
            Some(idle) => {
                // One with a limit of 0 looks once more, and does not wait.
                limit = idle.limit.filter(|_| limit == Some(Duration::ZERO));
                idle.began
            }
            None => returned.entered_ns,
        };
        if is_poll(returned.name) && result == CallResult::Value(0) {
            let (name, at) = (returned.name, event.at_ns);
            let idle = Idle {
                name,
                began,
                at,
                limit,
            };
            self.idle.insert(event.tid, idle);
            return;
        }
        self.reporter.write_report(&Report::End {
            pid: event.tid,
            began,
            at: event.at_ns,
            result,
            limit_ns: limit.map(result::nanoseconds),
        });
        if returned.name == CallName::Listen && returned.result.is_ok() {
            self.listens(returned.socket.as_ref());
        }
    }

    /// Reports a poll that timed out and was not made again.
    fn flush(&mut self, tid: i32) {
        if let Some(idle) = self.idle.remove(&tid) {
            self.reporter.write_report(&Report::End {
                pid: tid,
                began: idle.began,
                at: idle.at,
                result: CallResult::Value(0),
                limit_ns: idle.limit.map(result::nanoseconds),
            });
        }
    }

    fn listens(&mut self, socket: Option<&Socket>) {
        let port = socket.and_then(|s| s.local).map(|local| local.port());
        if let Some(Ready::Listening(wanted)) = &self.program.ready
            && (wanted.is_none() || *wanted == port)
        {
            self.set_ready();
        }
    }

    fn set_ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.reporter.write_report(&Report::ProgramReady);
        }
    }

    fn line(&mut self, line: &Line, at: i64) {
        if self.program.echo {
            let text = format!("{}\n", line.text);
            // Whoever reads may have left: the program goes on all the same.
            let _ = match line.stream {
                Stream::Stdout => std::io::stdout().write_all(text.as_bytes()),
                Stream::Stderr => std::io::stderr().write_all(text.as_bytes()),
            };
        }
        self.reporter.write_report(&Report::Line {
            stderr: line.stream == Stream::Stderr,
            text: shortened(&line.text, LINE_LENGTH),
            at,
        });
        if let Some(Ready::Output(wanted)) = &self.program.ready
            && line.text.contains(wanted)
        {
            self.set_ready();
        }
    }

    fn ended(&mut self, event: &Event, end: End) {
        self.flush(event.tid);
        self.running.remove(&event.pid);
        let how = match end {
            End::Code(code) => ExitKind::Exited(code),
            End::Killed { signal, .. } => ExitKind::Killed(signal.to_string()),
        };
        let pid = self.reporter.pid();
        self.reporter.write_report(&Report::Reaped {
            pid,
            child: event.pid,
            how,
            at: event.at_ns,
        });
        if self.main == Some(event.pid) && !self.running.is_empty() && end == End::Code(0) {
            let note = notes::background(end, self.running.len());
            self.reporter.note(note, event.at_ns);
        }
    }

    /// Reports a thread as one before its first call, by the name that it has then.
    fn name_thread(&mut self, event: &Event) {
        if self.threads.remove(&event.tid) {
            let comm = format!("/proc/{}/task/{}/comm", event.pid, event.tid);
            let name = std::fs::read_to_string(comm).unwrap_or_default();
            self.reporter.write_report(&Report::Thread {
                tid: event.tid,
                name: name.trim_end().to_owned(),
            });
        }
    }

    fn signal(&mut self, event: &Event, signal: SignalNumber, sender: Option<i32>) {
        // What they do is an event of its own.
        if matches!(signal.0, nix::libc::SIGSTOP | nix::libc::SIGCONT) {
            return;
        }
        let sender = match sender {
            None => SignalSender::Kernel,
            Some(pid) if pid == event.pid => SignalSender::Itself,
            Some(pid) if self.running.contains(&pid) => SignalSender::Program,
            Some(_) => SignalSender::Outside,
        };
        self.effect(event, signal, SignalEffect::Delivered, sender);
    }

    fn effect(
        &mut self,
        event: &Event,
        signal: SignalNumber,
        kind: SignalEffect,
        sender: SignalSender,
    ) {
        self.reporter.write_report(&Report::Signal {
            pid: event.pid,
            signal: signal.to_string(),
            kind,
            sender,
            at: event.at_ns,
        });
    }

    fn cost(&mut self, cost: Cost, at: i64) {
        let Cost { stops, held_ns } = cost;
        let report = Report::Observer(ObserverCost { stops, held_ns });
        self.reporter.write_report(&report);
        if let Some(note) = self.notes.cost(cost, at - self.began_ns) {
            self.reporter.note(note, at);
        }
    }

    fn detector(&mut self, socket: &Socket) {
        if let Some(detector) = self.detectors.get(socket.id)
            && !result::detector_text(detector).is_empty()
        {
            let conn = self.connection(socket, None);
            self.reporter.write_report(&Report::Detector {
                socket: socket.id.0,
                conn,
                text: result::detector_text(detector),
                set: result::settings(detector),
            });
        }
    }

    /// `server:7000`, the other end; of a listener its own address.
    fn connection(&self, socket: &Socket, to: Option<SocketAddr>) -> Option<String> {
        let address = socket.peer.or(to).or(socket.local)?;
        Some(match self.hosts.get(&address.ip()) {
            Some(host) => format!("{host}:{}", address.port()),
            None if address.ip().is_unspecified() => format!("port {}", address.port()),
            None => address.to_string(),
        })
    }
}

/// Whether a socket is a TCP socket that has to do with the lab's network.
fn is_outside(socket: &Socket, to: Option<SocketAddr>) -> bool {
    let on_loopback = |address: SocketAddr| address.ip().is_loopback();
    let address = socket.peer.or(to).or(socket.local);
    socket.protocol == Protocol::Tcp && !address.is_some_and(on_loopback)
}
