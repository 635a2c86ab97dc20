//! The processes of a case's lanes: starts them, reads what they report, signals
//! them.

mod fd_count;
mod listening;
mod log;
mod signals;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::poll::{PollFd, PollFlags};

use super::marks::{LISTENERS, OTHERS};
use crate::endpoint::protocol::Report;
use crate::endpoint::{Endpoint, Spec, THIS_PROGRAM};
use halfopen_lab::LabError;
use halfopen_lab::Namespace;
use halfopen_outcome::record::{EndpointRecord, ExitKind, ProgramRecord};
use halfopen_scenario::case::{Case, Lane, Observe, Ready};
use halfopen_sys::clock::monotonic_ns;
use log::{ReportLog, State};

/// How many entries of poll() belong to one process.
pub(super) const FDS_OF_A_PROCESS: usize = 2;

/// A lane's process and what it has reported.
#[derive(Debug)]
pub(super) struct LaneProcess {
    lane: Lane,
    endpoint: Endpoint,
    log: ReportLog,
    /// It has ended, and its pipe has been read to the end.
    closed: bool,
}

impl LaneProcess {
    /// Its name: the lane's, and for a copy its number, `client.2`.
    pub fn name(&self) -> &str {
        &self.lane.name
    }

    /// The name of the lane it belongs to: `client` of `client.2`.
    pub fn lane_name(&self) -> &str {
        let name = self.name();
        name.split_once('.').map_or(name, |(lane, _)| lane)
    }

    /// The host it runs on.
    pub fn host(&self) -> &str {
        &self.lane.host
    }

    /// Which boot of its host it belongs to.
    pub fn boot(&self) -> u32 {
        self.log.boot()
    }

    /// What it has reported of itself.
    pub fn state(&self) -> &State {
        self.log.state()
    }

    /// Its processes that a signal to the whole lane goes to.
    pub fn traced(&self) -> Vec<i32> {
        let state = self.state();
        state
            .program
            .iter()
            .chain(&state.children)
            .copied()
            .collect()
    }

    /// Whether it runs a program.
    pub fn is_program(&self) -> bool {
        self.lane.program.is_some()
    }

    /// Whether others can connect to it.
    pub fn is_up(&self) -> bool {
        let state = self.state();
        match self.lane.program.as_ref().and_then(|p| p.ready.as_ref()) {
            Some(Ready::After(time)) => {
                let time = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
                let up = |began: i64| monotonic_ns() - began >= time;
                state.program.is_some() && state.started_ns.is_some_and(up)
            }
            // Its listen() is not seen.
            Some(Ready::Listening(port)) if !self.is_observed() => {
                state.program.is_some() && listening::is_there(self.endpoint.pid, *port)
            }
            _ => state.listening,
        }
    }

    /// Whether [`Self::is_up`] has to be asked again and again: no report tells it.
    pub fn is_asked_again(&self) -> bool {
        let ready = self.lane.program.as_ref().and_then(|p| p.ready.as_ref());
        let silent = match ready {
            Some(Ready::After(_)) => true,
            Some(Ready::Listening(_)) => !self.is_observed(),
            _ => false,
        };
        silent && !self.is_up()
    }

    fn is_observed(&self) -> bool {
        let program = self.lane.program.as_ref();
        program.is_none_or(|program| program.observe == Observe::Calls)
    }

    /// What it did instead of becoming ready, for messages.
    pub fn instead(&self) -> String {
        let wanted = match self.lane.program.as_ref().and_then(|p| p.ready.as_ref()) {
            Some(Ready::Listening(Some(port))) => format!("it does not listen on port {port}"),
            Some(Ready::Listening(None)) => "it does not listen on any TCP port".to_owned(),
            Some(Ready::Output(text)) => format!("it has not written `{text}`"),
            Some(Ready::After(_)) | None => "it did not run".to_owned(),
        };
        let end = match self.log.program_end() {
            Some(ExitKind::Exited(status)) => format!("; it ended with status {status}"),
            Some(ExitKind::Killed(signal)) => format!("; it was ended by {signal}"),
            None => String::new(),
        };
        let lines = self.log.last_lines();
        let wrote = match lines.is_empty() {
            true => "; it wrote nothing".to_owned(),
            false => format!("; its last words: {}", lines.join(" / ")),
        };
        format!(
            "{wanted}{end}{wrote}; say by `ready:` what to wait for, or try its command by hand"
        )
    }

    /// Whether its lane is a server.
    pub fn is_server(&self) -> bool {
        is_server(&self.lane)
    }
}

/// What a lane's processes are started with, besides the lane.
pub(super) struct Placement<'a> {
    /// The host's.
    pub namespace: &'a Namespace,
    /// What listeners bind to.
    pub own_address: IpAddr,
    /// Of all hosts that run lanes, in the case's family.
    pub addresses: BTreeMap<String, IpAddr>,
    /// The host that a `connect` without `to` means.
    pub default_peer: Option<&'a str>,
    /// Which boot of the host this is.
    pub boot: u32,
    /// The reading ends of all marks.
    pub marks: BTreeMap<String, BorrowedFd<'a>>,
}

/// All processes of a case's lanes, in the order in which they were started.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    processes: Vec<LaneProcess>,
}

impl Lanes {
    /// Starts as many processes as the lane has copies.
    pub fn spawn(&mut self, lane: &Lane, placement: &Placement<'_>) -> Result<(), LabError> {
        for copy in 1..=lane.count {
            let mut lane = lane.clone();
            if lane.count > 1 {
                lane.name = format!("{}.{copy}", lane.name);
            }
            let endpoint = Endpoint::spawn(&Spec {
                lane: &lane,
                namespace: Some(placement.namespace),
                addresses: &placement.addresses,
                default_peer: placement.default_peer,
                own_address: placement.own_address,
                marks: &placement.marks,
                start: if is_server(&lane) { LISTENERS } else { OTHERS },
                program: Path::new(THIS_PROGRAM),
            })?;
            let mut log = ReportLog::new(&lane.name, &lane.host, placement.boot, endpoint.pid);
            if let Some(program) = &lane.program {
                log = log.of_program(&program.run);
            }
            self.processes.push(LaneProcess {
                lane,
                endpoint,
                log,
                closed: false,
            });
        }
        Ok(())
    }

    /// The processes, those that have ended, too.
    pub fn processes(&self) -> &[LaneProcess] {
        &self.processes
    }

    /// Adds [`FDS_OF_A_PROCESS`] entries for each process that is not closed.
    pub fn add_poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        for p in self.processes.iter().filter(|p| !p.closed) {
            fds.push(PollFd::new(p.endpoint.reports(), PollFlags::POLLIN));
            // The pidfd of an ended process stays readable, and its children may
            // report for long after.
            let end = match p.state().ended {
                true => PollFlags::empty(),
                false => PollFlags::POLLIN,
            };
            fds.push(PollFd::new(p.endpoint.pidfd(), end));
        }
    }

    /// Reads the reports of those processes that are `ready`, an entry for each
    /// that is not closed. The marks they set, and when.
    pub fn read_reports(&mut self, ready: &[bool]) -> Result<Vec<(String, i64)>, LabError> {
        let mut reports: Vec<Report> = Vec::new();
        let mut marks = Vec::new();
        let open = self.processes.iter_mut().filter(|p| !p.closed);
        for (p, _) in open.zip(ready).filter(|(_, ready)| **ready) {
            // The end is looked for before the pipe is read: what is in the pipe
            // then is all that this process wrote (its children may still write).
            let end = p
                .endpoint
                .try_wait()
                .map_err(|e| LabError::system("wait for a lane", e))?;
            let at_ns = monotonic_ns();
            let eof = p
                .endpoint
                .read_reports(&mut reports)
                .map_err(|e| LabError::system(format!("read what {} says", p.lane.name), e))?;
            marks.extend(reports.drain(..).filter_map(|report| p.log.add(report)));
            if let Some(how) = end {
                p.log.add_end(how, at_ns);
            }
            p.closed = p.state().ended && eof;
        }
        Ok(marks)
    }

    /// Reads the reports of all processes.
    pub fn read_all_reports(&mut self) -> Result<Vec<(String, i64)>, LabError> {
        self.read_reports(&vec![true; self.processes.len()])
    }

    /// A program that could not be run makes the case fail.
    pub fn check_programs(&self) -> Result<(), LabError> {
        let mut programs = self.processes.iter().filter(|p| p.is_program());
        match programs.find_map(|p| Some((p, p.state().broken.as_ref()?))) {
            None => Ok(()),
            Some((p, why)) => Err(LabError::system(
                format!("run the program of lane {}", p.name()),
                std::io::Error::other(why.clone()),
            )),
        }
    }

    /// What went wrong in the endpoints themselves, as text.
    pub fn failures(&self) -> Vec<String> {
        let failure = |p: &LaneProcess| {
            let why = p.state().broken.as_ref()?;
            Some(format!("lane {}: {why}", p.lane.name))
        };
        self.processes.iter().filter_map(failure).collect()
    }

    /// What is recorded of programs besides their calls.
    pub fn programs(&self, t0_ns: i64) -> Vec<ProgramRecord> {
        let programs = self.processes.iter();
        programs.filter_map(|p| p.log.program(t0_ns)).collect()
    }

    /// The records of all processes, with times counted from `t0_ns`.
    pub fn records(&self, t0_ns: i64) -> Vec<EndpointRecord> {
        self.processes.iter().map(|p| p.log.record(t0_ns)).collect()
    }
}

/// Whether a lane is a server: its first step listens.
pub(super) fn is_server(lane: &Lane) -> bool {
    lane.is_server()
}

/// The host that a `connect` without `to` means: that of the first server
/// elsewhere.
pub(super) fn default_peer<'a>(case: &'a Case, lane: &Lane) -> Option<&'a str> {
    let mut lanes = case.lanes.iter();
    let server = lanes.find(|l| l.host != lane.host && is_server(l))?;
    Some(&server.host)
}
