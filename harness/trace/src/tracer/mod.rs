//! The tracer: one loop over stops, output and requests.
//!
//! waitpid() and poll() cannot be waited for together, so SIGCHLD, which the
//! kernel sends for every stop of a tracee (do_notify_parent_cldstop()), is
//! read by a signalfd; stops are then taken with WNOHANG until none is left.

mod calls;
mod entry;
mod exit;
mod resolve;
mod status;
mod stops;
mod streams;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::error::TraceError;
use crate::event::{Cost, End, Event, What};
use crate::launch::{self, Launched};
use crate::name::Numbers;
use crate::program::Program;
use crate::table::DescriptorTable;
use calls::Task;
use halfopen_sys::ptrace;
use status::Status;
use streams::Streams;

/// While stops come without a pause, output and requests are looked at after
/// this many.
const STOPS_BETWEEN_POLLS: u32 = 64;

/// What observing costs is said after this many stops.
const STOPS_BETWEEN_COSTS: u64 = 1000;

/// How the program that was started ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its process.
    pub pid: i32,
    /// How it ended.
    pub end: End,
    /// CLOCK_MONOTONIC, when it was executed.
    pub began_ns: i64,
    /// CLOCK_MONOTONIC, when its end was seen. Processes that it left behind
    /// may have lived longer.
    pub ended_ns: i64,
}

/// Runs `program` and gives every event to `sink`, until the program and
/// everything it started have ended.
///
/// The calling process must have a single thread and no children of its own:
/// it waits for all children there are, and blocks SIGCHLD meanwhile. When it is
/// killed, the kernel kills the program (PTRACE_O_EXITKILL). `control` takes
/// [`crate::Request`]s; when its other end is closed, everything is ended.
///
/// # Errors
/// When the program cannot be started or traced; see [`TraceError`]. Nothing is
/// left running then.
pub fn run(
    program: &Program,
    control: Option<OwnedFd>,
    sink: &mut dyn FnMut(Event),
) -> Result<Ended, TraceError> {
    let mut watched = SigSet::empty();
    watched.add(Signal::SIGCHLD);
    let mut before = SigSet::empty();
    let system = |what| move |e: nix::errno::Errno| TraceError::system(what)(e.into());
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&watched), Some(&mut before))
        .map_err(system("sigprocmask()"))?;
    let result = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(system("signalfd()"))
        .and_then(|stops| {
            let launched = launch::launch(program)?;
            Tracer::new(program, launched, control, sink)?.run(&stops)
        });
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).map_err(system("sigprocmask()"))?;
    result
}

struct Tracer<'a> {
    program: &'a Program,
    sink: &'a mut dyn FnMut(Event),
    /// What the sink is still to be given.
    outbox: Vec<Event>,
    numbers: Numbers,
    table: DescriptorTable,
    tasks: BTreeMap<i32, Task>,
    processes: BTreeMap<i32, tasks::Process>,
    /// New tasks that stopped before their parent's stop told of them.
    early: BTreeSet<i32>,
    calls: u64,
    cost: Cost,
    /// Everything was told to end; new processes are, too.
    ending: bool,
    main: i32,
    launched: Launched,
    streams: Streams,
    began_ns: Option<i64>,
    ended: Option<(End, i64)>,
}

impl<'a> Tracer<'a> {
    fn new(
        program: &'a Program,
        mut launched: Launched,
        control: Option<OwnedFd>,
        sink: &'a mut dyn FnMut(Event),
    ) -> Result<Self, TraceError> {
        let main = launched.pid;
        let streams = Streams::new(program, &mut launched.ends, control);
        let mut tracer = Self {
            program,
            sink,
            outbox: Vec::new(),
            numbers: Numbers::new(),
            table: DescriptorTable::default(),
            tasks: BTreeMap::new(),
            processes: BTreeMap::new(),
            early: BTreeSet::new(),
            calls: 0,
            cost: Cost::default(),
            ending: false,
            main,
            launched,
            streams,
            began_ns: None,
            ended: None,
        };
        tracer.add_process(main);
        tracer.table.task_started(main);
        Ok(tracer)
    }

    fn run(mut self, stops: &SignalFd) -> Result<Ended, TraceError> {
        let result = self.until_all_ended(stops);
        if result.is_err() {
            self.end_everything();
            self.reap();
        }
        result?;
        self.drain_output();
        let ended = self.ended.take();
        match (self.began_ns, ended) {
            (Some(began_ns), Some((end, ended_ns))) => Ok(Ended {
                pid: self.main,
                end,
                began_ns,
                ended_ns,
            }),
            (_, ended) => {
                let end = ended.map_or(End::Code(127), |(end, _)| end);
                let name = self.program.name().to_owned();
                let failure = self.launched.failure(self.program);
                Err(failure.unwrap_or(TraceError::EndedBeforeExec { name, end }))
            }
        }
    }

    fn until_all_ended(&mut self, stops: &SignalFd) -> Result<(), TraceError> {
        loop {
            let more = self.take_stops()?;
            if self.tasks.is_empty() && self.early.is_empty() {
                return Ok(());
            }
            self.wait(stops, more)?;
        }
    }

    /// Handles what stopped; true when there may be more.
    fn take_stops(&mut self) -> Result<bool, TraceError> {
        for _ in 0..STOPS_BETWEEN_POLLS {
            match ptrace::wait_any() {
                Ok(Some((tid, status))) => {
                    let at = now_ns();
                    let handled = self.stopped(tid, Status::decode(status), at);
                    self.count_stop(tid, at);
                    self.deliver();
                    handled?;
                }
                Ok(None) => return Ok(false),
                Err(e) if e.raw_os_error() == Some(libc::ECHILD) => {
                    self.tasks.clear();
                    self.early.clear();
                    return Ok(false);
                }
                Err(e) => return Err(TraceError::system("waitpid()")(e)),
            }
        }
        Ok(true)
    }

    fn count_stop(&mut self, tid: i32, at: i64) {
        let now = now_ns();
        self.cost.stops += 1;
        self.cost.held_ns += u64::try_from(now - at).unwrap_or(0);
        if self.cost.stops.is_multiple_of(STOPS_BETWEEN_COSTS) {
            self.emit(now, tid, What::Cost(self.cost));
        }
    }

    fn emit(&mut self, at_ns: i64, tid: i32, what: What) {
        let pid = self.tasks.get(&tid).map_or(tid, |task| task.pid);
        self.outbox.push(Event {
            at_ns,
            pid,
            tid,
            what,
        });
    }

    /// Gives the sink what was noted. This is done when the task goes on
    /// already, so that on another processor the sink costs the call nothing.
    fn deliver(&mut self) {
        for event in self.outbox.drain(..) {
            (self.sink)(event);
        }
    }

    /// Kills every process, also those that are being made now.
    fn end_everything(&mut self) {
        self.ending = true;
        for &pid in self.processes.keys().chain(&self.early) {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// After [`Self::end_everything`]: takes the ends, so that no zombie is left.
    fn reap(&mut self) {
        while let Ok(status) =
            nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::__WALL))
        {
            // A process that was being made meanwhile.
            if let Some(pid) = status.pid() {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    }
}

/// A tracee can be killed at any moment, also while it is stopped: ptrace()
/// then fails with ESRCH and waitpid() tells its end.
fn unless_gone(result: io::Result<()>) -> Result<(), TraceError> {
    match result {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result.map_err(TraceError::system("ptrace()")),
    }
}

fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .expect("the clock exists on every Linux and the pointer is valid");
    now.tv_sec() * 1_000_000_000 + now.tv_nsec()
}
