//! The runner's side: starts endpoints, hears and ends them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpgid, pipe2, setpgid};

use super::protocol::{Plan, Report};
use super::{report, shared, template};
use halfopen_lab::LabError;
use halfopen_lab::Namespace;
use halfopen_outcome::record::ExitKind;
use halfopen_scenario::case::{Action, Lane, Step};
use halfopen_sys::process::pidfd_open;
use halfopen_sys::{descriptors, passing};

/// The running program, even when its file was replaced: what endpoints are
/// started from, when its main() calls [`super::serve_if_asked`].
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// How much of a report pipe is read at once.
const CHUNK: usize = 4096;

/// What an endpoint is started with.
#[derive(Debug, Clone, Copy)]
pub struct Spec<'a> {
    /// What it does. One process, whatever the lane's `count`.
    pub lane: &'a Lane,
    /// Where it is born; None: in the calling thread's own network namespace.
    pub namespace: Option<&'a Namespace>,
    /// Where the hosts are, in the case's family.
    pub addresses: &'a BTreeMap<String, IpAddr>,
    /// The host a `connect` without `to` means.
    pub default_peer: Option<&'a str>,
    /// What its listeners bind to.
    pub own_address: IpAddr,
    /// The reading end of each mark: of all that the lane waits for, and of `start`.
    pub marks: &'a BTreeMap<String, BorrowedFd<'a>>,
    /// The mark that lets it go once it is ready.
    pub start: &'a str,
    /// The program; [`THIS_PROGRAM`] unless this process is a test's.
    pub program: &'a Path,
}

/// A running endpoint and its forked children. Dropping it kills them all and
/// waits until their descriptors are closed.
///
/// Its reports must be read as they come: an endpoint whose pipe is full (64 KiB,
/// some 900 calls) stops at its next call until somebody reads.
#[derive(Debug)]
pub struct Endpoint {
    /// Its process id, and its process group's. It is this process's until the
    /// drop, dead or alive: a dead endpoint is not reaped before.
    pub pid: i32,
    pidfd: OwnedFd,
    reports: File,
    keyboard: File,
    /// What was read: the beginning of a report that has not arrived in full.
    partial: Vec<u8>,
    /// How much of it is that.
    filled: usize,
}

impl Endpoint {
    /// Starts an endpoint. It says [`Report::Ready`] and waits for `start`.
    ///
    /// # Errors
    /// When a mark is missing, when the namespace cannot be entered, or when
    /// there are not enough descriptors, processes or memory.
    pub fn spawn(spec: &Spec<'_>) -> Result<Self, LabError> {
        let failed = |e: io::Error| {
            LabError::system(format!("start an endpoint for lane {}", spec.lane.name), e)
        };
        let (marks, pipes) = needed_marks(spec)?;
        let (reports, reports_there) = pipe2(OFlag::O_CLOEXEC).map_err(|e| failed(e.into()))?;
        let (keyboard_there, keyboard) = pipe2(OFlag::O_CLOEXEC).map_err(|e| failed(e.into()))?;
        // Our ends only: the runner never waits for an endpoint, which may be frozen.
        for ours in [&reports, &keyboard] {
            fcntl(ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| failed(e.into()))?;
        }
        let plan = Plan {
            lane: spec.lane.clone(),
            addresses: spec.addresses.clone(),
            default_peer: spec.default_peer.map(str::to_owned),
            own_address: spec.own_address,
            descriptor_limit: descriptors::original_limit(),
            marks,
            start: spec.start.to_owned(),
        };
        let plan = serde_json::to_vec(&plan).map_err(|e| failed(e.into()))?;
        let own;
        let namespace = match spec.namespace {
            Some(namespace) => namespace.as_fd(),
            None => {
                own = File::open("/proc/thread-self/ns/net").map_err(failed)?;
                own.as_fd()
            }
        };
        let mut given = vec![
            namespace.as_raw_fd(),
            reports_there.as_raw_fd(),
            keyboard_there.as_raw_fd(),
        ];
        given.extend(pipes);
        if given.len() > passing::MOST {
            return Err(LabError::Plan(format!(
                "lane {} waits for {} marks; it can wait for {}",
                spec.lane.name,
                given.len() - FIXED,
                passing::MOST - FIXED
            )));
        }
        // Of what a lane that forks has in memory, its children get copies.
        let alone = !forks(&spec.lane.steps);
        let shared = alone.then(|| shared::start(&plan, &given)).flatten();
        let pid = shared
            .unwrap_or_else(|| template::copy(spec.program, &plan, &given))
            .map_err(failed)?;
        // It does the same; whoever is first, its group is there from now on.
        let group = Pid::from_raw(pid);
        let _ = setpgid(group, group);
        // It is neither ended nor reaped by anybody else: that is ours to do.
        let pidfd = match pidfd_open(pid) {
            Ok(pidfd) => pidfd,
            Err(e) => {
                end_group(pid);
                return Err(failed(e));
            }
        };
        Ok(Endpoint {
            pid,
            pidfd,
            reports: reports.into(),
            keyboard: keyboard.into(),
            partial: Vec::new(),
            filled: 0,
        })
    }

    /// Readable when [`Self::read_reports`] has something to do.
    pub fn reports(&self) -> BorrowedFd<'_> {
        self.reports.as_fd()
    }

    /// Readable once the endpoint's own process has ended: [`Self::try_wait`] says how.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Appends what has been reported since the last time, without waiting.
    /// True when nothing more will come: the endpoint and its children are gone.
    ///
    /// # Errors
    /// InvalidData when something else than a report was written.
    pub fn read_reports(&mut self, out: &mut Vec<Report>) -> io::Result<bool> {
        loop {
            // What is beyond `filled` is zeroed once, not at each look.
            if self.partial.len() < self.filled + CHUNK {
                self.partial.resize(self.filled + CHUNK, 0);
            }
            let bytes = match self.reports.read(&mut self.partial[self.filled..]) {
                Ok(0) => return Ok(true),
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.filled += bytes;
            let mut used = 0;
            while let Some((report, length)) = report::read(&self.partial[used..self.filled])? {
                out.push(report);
                used += length;
            }
            self.partial.copy_within(used..self.filled, 0);
            self.filled -= used;
            // A pipe gives all it has: a look more would only say so.
            if bytes < CHUNK {
                return Ok(false);
            }
        }
    }

    /// Sends a signal to the endpoint's own process. A dead one takes no notice.
    ///
    /// # Errors
    /// EPERM when it runs as somebody else by now.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.pid), signal)?)
    }

    /// Sends a signal to the endpoint and all its children.
    ///
    /// # Errors
    /// As [`Self::signal`].
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        Ok(killpg(Pid::from_raw(self.pid), signal)?)
    }

    /// Sends a signal to a forked child, by the pid of its [`Report::Forked`].
    ///
    /// # Errors
    /// ESRCH when it has been reaped.
    pub fn signal_child(&self, child: i32, signal: Signal) -> io::Result<()> {
        let child = Pid::from_raw(child);
        // Its number may have been given to a stranger.
        if getpgid(Some(child))? != Pid::from_raw(self.pid) {
            return Err(Errno::ESRCH.into());
        }
        Ok(kill(child, signal)?)
    }

    /// Types a line: `text` and a newline appear on the keyboard.
    ///
    /// # Errors
    /// EPIPE when the endpoint is gone, EAGAIN when it has left 64 KiB unread.
    pub fn type_text(&mut self, text: &str) -> io::Result<()> {
        self.keyboard.write_all(format!("{text}\n").as_bytes())
    }

    /// How the endpoint's own process ended, without waiting; None: it runs.
    /// Its children may run on.
    ///
    /// # Errors
    /// ECHILD when somebody else has reaped it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitKind>> {
        // Not reaped: until the drop no stranger gets its number.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        Ok(match waitid(Id::Pid(Pid::from_raw(self.pid)), flags)? {
            WaitStatus::Exited(_, status) => Some(ExitKind::Exited(status)),
            WaitStatus::Signaled(_, signal, _) => {
                Some(ExitKind::Killed(signal.as_str().to_owned()))
            }
            _ => None,
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        end_group(self.pid);
        // Its children have been sent the same signal, but init reaps them: what
        // tells that they are gone is that nobody holds the report pipe. The
        // limit is for a process that another one traces or that hangs in a driver.
        let mut on = [PollFd::new(self.reports.as_fd(), PollFlags::empty())];
        let _ = nix::poll::poll(&mut on, PollTimeout::from(1000u16));
    }
}

/// Whether any of these steps makes a process.
fn forks(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Serve { fork, each } => *fork || forks(each),
        Action::Repeat { steps, .. } => forks(steps),
        _ => false,
    })
}

/// Kills a process group and reaps its leader, which must not have been reaped yet.
fn end_group(pid: i32) {
    let pid = Pid::from_raw(pid);
    let _ = killpg(pid, Signal::SIGKILL);
    while let Err(Errno::EINTR) = waitid(Id::Pid(pid), WaitPidFlag::WEXITED) {}
}

/// Descriptors that every endpoint is given: namespace, reports, keyboard.
const FIXED: usize = 3;

/// The pipes of `start` and of every mark that the lane waits for, each once,
/// and which of them is whose. An endpoint gets no others: there can be hundreds
/// of both.
fn needed_marks(spec: &Spec<'_>) -> Result<(BTreeMap<String, usize>, Vec<RawFd>), LabError> {
    fn collect<'a>(steps: &'a [Step], into: &mut Vec<&'a str>) {
        for step in steps {
            match &step.action {
                Action::WaitFor { mark } => into.push(mark),
                Action::Repeat { steps, .. } | Action::Serve { each: steps, .. } => {
                    collect(steps, into);
                }
                _ => {}
            }
        }
    }
    let mut names = vec![spec.start];
    collect(&spec.lane.steps, &mut names);
    let mut pipes: Vec<RawFd> = Vec::new();
    let mut numbers = BTreeMap::new();
    for name in names {
        let Some(fd) = spec.marks.get(name) else {
            return Err(LabError::Unknown {
                kind: "mark",
                name: name.to_owned(),
                known: spec.marks.keys().cloned().collect(),
            });
        };
        let fd = fd.as_raw_fd();
        let known = pipes.iter().position(|pipe| *pipe == fd);
        let number = known.unwrap_or_else(|| {
            pipes.push(fd);
            pipes.len() - 1
        });
        numbers.insert(name.to_owned(), number);
    }
    Ok((numbers, pipes))
}
