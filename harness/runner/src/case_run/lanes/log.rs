//! Turns what an endpoint reports into its record.

use std::collections::{BTreeMap, HashMap};

use crate::endpoint::protocol::Report;
use halfopen_outcome::record::{
    Call, CallResult, EndpointRecord, ExitKind, ObserverCost, OutputLine, ProcessEnd,
    ProcessRecord, ProgramDetector, ProgramRecord, ProgramSignal,
};
use halfopen_sys::clock::monotonic_ns;

/// The reports of one endpoint: one lane's run on one boot.
#[derive(Debug)]
pub(super) struct ReportLog {
    record: EndpointRecord,
    /// Index in `record.processes` by PID. PIDs stay out of records: they
    /// differ from run to run.
    by_pid: HashMap<i32, usize>,
    /// What is recorded of a program besides its calls.
    program: Option<ProgramRecord>,
    /// Its sockets and what it set on them.
    detectors: BTreeMap<u32, ProgramDetector>,
    state: State,
}

/// How many lines of a program are kept.
const MOST_LINES: usize = 2000;

/// How many signals of a program are kept.
const MOST_SIGNALS: usize = 500;

/// What an endpoint has reported of itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::case_run) struct State {
    /// It waits for its start mark.
    pub ready: bool,
    /// Its first listen() has returned.
    pub listening: bool,
    /// One of its connect()s has succeeded.
    pub connected: bool,
    /// Its script is over.
    pub done: bool,
    /// Its own process has ended.
    pub ended: bool,
    /// Why the endpoint itself failed.
    pub broken: Option<String>,
    /// Its forked children that have not been reaped, the newest last.
    pub children: Vec<i32>,
    /// The process of its program, from its start to its end.
    pub program: Option<i32>,
    /// When its program started.
    pub started_ns: Option<i64>,
}

impl ReportLog {
    /// Empty, for the endpoint of `lane` on `host`, whose own process is `pid`.
    pub fn new(lane: &str, host: &str, boot: u32, pid: i32) -> Self {
        ReportLog {
            record: EndpointRecord {
                lane: lane.to_owned(),
                host: host.to_owned(),
                boot,
                program: false,
                processes: vec![ProcessRecord {
                    number: 0,
                    thread: None,
                    calls: Vec::new(),
                    end: None,
                }],
            },
            by_pid: HashMap::from([(pid, 0)]),
            program: None,
            detectors: BTreeMap::new(),
            state: State::default(),
        }
    }

    /// The endpoint runs a program.
    pub fn of_program(mut self, command: &[String]) -> Self {
        self.record.program = true;
        self.program = Some(ProgramRecord {
            lane: self.record.lane.clone(),
            host: self.record.host.clone(),
            boot: self.record.boot,
            command: command.to_owned(),
            lines: Vec::new(),
            lines_left_out: 0,
            detectors: Vec::new(),
            signals: Vec::new(),
            signals_left_out: 0,
            observer: ObserverCost::default(),
            notes: Vec::new(),
        });
        self
    }

    /// Adds a report. Returns the mark it sets, and when (CLOCK_MONOTONIC).
    pub fn add(&mut self, report: Report) -> Option<(String, i64)> {
        match report {
            Report::Ready { .. } => self.state.ready = true,
            Report::Start {
                pid,
                call,
                conn,
                line,
                step,
                at,
            } => {
                let process = self.process(pid);
                process.calls.push(Call {
                    call,
                    conn,
                    line,
                    step,
                    start_ns: at,
                    end_ns: None,
                    result: CallResult::Blocked,
                    limit_ns: None,
                });
            }
            Report::End {
                pid,
                began,
                at,
                result,
                limit_ns,
            } => {
                if let Some(call) = self.process(pid).calls.last_mut() {
                    let listening = call.call == "listen";
                    let connected = call.call == "connect" && result == CallResult::Value(0);
                    call.start_ns = began;
                    call.end_ns = Some(at);
                    call.result = result;
                    call.limit_ns = limit_ns;
                    // A program is ready when its lane says so: ProgramReady.
                    self.state.listening |= listening && self.program.is_none();
                    self.state.connected |= connected;
                }
            }
            Report::Mark { mark, at, .. } => return Some((mark, at)),
            Report::Forked { child, .. } => {
                self.process(child);
                self.state.children.push(child);
            }
            Report::Reaped { child, how, at, .. } => {
                if self.state.program == Some(child) {
                    self.state.program = None;
                }
                self.process(child).end = Some(ProcessEnd { at_ns: at, how });
                self.state.children.retain(|c| *c != child);
            }
            // The end of a child's script is not the end of the lane's.
            Report::Done { pid, .. } => {
                if self.program.is_some() || self.by_pid.get(&pid) == Some(&0) {
                    self.state.done = true;
                }
            }
            Report::Program { pid } => {
                self.by_pid.insert(pid, 0);
                self.state.program = Some(pid);
                self.state.started_ns = Some(monotonic_ns());
            }
            Report::ProgramReady => self.state.listening = true,
            Report::Line { stderr, text, at } => {
                if let Some(program) = &mut self.program {
                    match program.lines.len() < MOST_LINES {
                        true => program.lines.push(OutputLine {
                            at_ns: at,
                            stderr,
                            text,
                        }),
                        false => program.lines_left_out += 1,
                    }
                }
            }
            Report::Detector {
                socket,
                conn,
                text,
                set,
            } => {
                let detector = ProgramDetector { conn, text, set };
                self.detectors.insert(socket, detector);
            }
            Report::Thread { tid, name } => self.process(tid).thread = Some(name),
            Report::Signal {
                pid,
                signal,
                kind,
                sender,
                at: at_ns,
            } => {
                let process = self.process(pid).number;
                if let Some(program) = &mut self.program {
                    match program.signals.len() < MOST_SIGNALS {
                        true => program.signals.push(ProgramSignal {
                            at_ns,
                            process,
                            signal,
                            kind,
                            sender,
                        }),
                        false => program.signals_left_out += 1,
                    }
                }
            }
            Report::Observer(cost) => {
                if let Some(program) = &mut self.program {
                    program.observer = cost;
                }
            }
            Report::Note { text, at } => {
                if let Some(program) = &mut self.program {
                    let stderr = false;
                    program.notes.push(OutputLine {
                        at_ns: at,
                        stderr,
                        text,
                    });
                }
            }
            Report::Broken { why, .. } => self.state.broken = Some(why),
        }
        None
    }

    /// Adds the end of the endpoint's own process.
    pub fn add_end(&mut self, how: ExitKind, at_ns: i64) {
        // A program's own end comes before its tracer's.
        let end = &mut self.record.processes[0].end;
        end.get_or_insert(ProcessEnd { at_ns, how });
        self.state.program = None;
        self.state.ended = true;
    }

    /// What the endpoint has reported of itself.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Which boot of its host the endpoint belongs to.
    pub fn boot(&self) -> u32 {
        self.record.boot
    }

    /// The record, with times counted from `t0_ns`.
    pub fn record(&self, t0_ns: i64) -> EndpointRecord {
        let mut record = self.record.clone();
        for process in &mut record.processes {
            for call in &mut process.calls {
                call.start_ns -= t0_ns;
                call.end_ns = call.end_ns.map(|at| at - t0_ns);
            }
            if let Some(end) = &mut process.end {
                end.at_ns -= t0_ns;
            }
        }
        record
    }

    /// What is recorded of its program, with times counted from `t0_ns`.
    pub fn program(&self, t0_ns: i64) -> Option<ProgramRecord> {
        let mut program = self.program.clone()?;
        for line in program.lines.iter_mut().chain(&mut program.notes) {
            line.at_ns -= t0_ns;
        }
        for signal in &mut program.signals {
            signal.at_ns -= t0_ns;
        }
        program.detectors = self.detectors.values().cloned().collect();
        Some(program)
    }

    /// The last lines that its program wrote.
    pub fn last_lines(&self) -> Vec<&str> {
        let lines = self.program.iter().flat_map(|program| &program.lines);
        let mut last: Vec<&str> = lines.rev().take(3).map(|l| l.text.as_str()).collect();
        last.reverse();
        last
    }

    /// How its program ended, if it did.
    pub fn program_end(&self) -> Option<&ExitKind> {
        self.record.processes[0].end.as_ref().map(|end| &end.how)
    }

    fn process(&mut self, pid: i32) -> &mut ProcessRecord {
        let processes = &mut self.record.processes;
        let index = *self.by_pid.entry(pid).or_insert_with(|| {
            let number = u32::try_from(processes.len()).unwrap_or(u32::MAX);
            processes.push(ProcessRecord {
                number,
                thread: None,
                calls: Vec::new(),
                end: None,
            });
            processes.len() - 1
        });
        &mut processes[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_parent_and_child_stay_apart() {
        let mut c = ReportLog::new("server", "server", 0, 100);
        let start = |pid, call: &str, at| Report::Start {
            pid,
            call: call.into(),
            conn: None,
            line: 1,
            step: 0,
            at,
        };
        c.add(start(100, "accept", 10));
        c.add(Report::End {
            pid: 100,
            began: 11,
            at: 20,
            result: CallResult::Value(0),
            limit_ns: None,
        });
        c.add(Report::Forked {
            pid: 100,
            child: 101,
            at: 21,
        });
        c.add(start(101, "read", 22));
        c.add(start(100, "accept", 23));
        c.add(Report::End {
            pid: 101,
            began: 23,
            at: 30,
            result: CallResult::Value(5),
            limit_ns: None,
        });
        let record = c.record(10);
        let calls = |n: usize| {
            let calls = &record.processes[n].calls;
            calls
                .iter()
                .map(|c| (c.call.as_str(), c.end_ns))
                .collect::<Vec<_>>()
        };
        assert_eq!(calls(0), [("accept", Some(10)), ("accept", None)]);
        assert_eq!(calls(1), [("read", Some(20))]);
        assert_eq!(c.state.children, [101]);
    }
}
