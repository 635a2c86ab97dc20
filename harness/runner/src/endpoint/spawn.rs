//! The runner's handle of an endpoint: starts the process, reads its reports,
//! signals and ends it. `case_run` keeps one for each process of a lane.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpgid, pipe2, setpgid};

use super::protocol::{Plan, Report};
use super::spec::Spec;
use super::{report_codec, shared_memory, template};
use halfopen_lab::LabError;
use halfopen_outcome::record::ExitKind;
use halfopen_sys::process::pidfd_open;
use halfopen_sys::{descriptors, passing};
use halfopen_trace::Request;

/// How much of a report pipe is read at once.
const CHUNK: usize = 4096;

/// A running endpoint and its forked children. Dropping it kills them all and
/// waits until their descriptors are closed.
///
/// Its reports must be read as they arrive: an endpoint whose pipe is full (64 KiB,
/// some 900 calls) blocks at its next call until somebody reads.
#[derive(Debug)]
pub struct Endpoint {
    /// The id of its process and of its process group. It stays valid until the drop,
    /// because a dead endpoint is not reaped before.
    pub pid: i32,
    pidfd: OwnedFd,
    reports: File,
    keyboard: File,
    /// The keyboard takes requests to the tracer of a program.
    traces: bool,
    /// A buffer that begins with the part of a report that has arrived so far.
    partial: Vec<u8>,
    /// The length of that part.
    filled: usize,
}

impl Endpoint {
    /// Starts an endpoint. It reports [`Report::Ready`] and waits for `start`.
    ///
    /// # Errors
    /// When a mark is missing, when the namespace cannot be entered, or when
    /// there are not enough descriptors, processes or memory.
    pub fn spawn(spec: &Spec<'_>) -> Result<Self, LabError> {
        let failed = |e: io::Error| {
            LabError::system(format!("start an endpoint for lane {}", spec.lane.name), e)
        };
        let (marks, pipes) = spec.needed_marks()?;
        let (reports, reports_there) = pipe2(OFlag::O_CLOEXEC).map_err(|e| failed(e.into()))?;
        let (keyboard_there, keyboard) = pipe2(OFlag::O_CLOEXEC).map_err(|e| failed(e.into()))?;
        // Only the runner's ends: it never waits for an endpoint, which may be frozen.
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
        let plan = postcard::to_stdvec(&plan).map_err(|e| failed(io::Error::other(e)))?;
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
        let streams = match &spec.lane.program {
            Some(program) if program.echo => own_streams().map_err(failed)?,
            _ => Vec::new(),
        };
        given.extend(streams.iter().map(AsRawFd::as_raw_fd));
        given.extend(pipes);
        if given.len() > passing::MOST {
            return Err(LabError::Plan(format!(
                "lane {} waits for {} marks; it can wait for {}",
                spec.lane.name,
                given.len() - FIXED,
                passing::MOST - FIXED
            )));
        }
        // The children of a lane that forks get copies of its memory, so it cannot
        // share that with the runner.
        let alone = !spec.forks() && spec.lane.program.is_none();
        let shared = alone.then(|| shared_memory::start(&plan, &given)).flatten();
        let pid = shared
            .unwrap_or_else(|| template::copy(spec.program, &plan, &given))
            .map_err(failed)?;
        // The endpoint does the same; whoever is first, the group exists from now on.
        let group = Pid::from_raw(pid);
        let _ = setpgid(group, group);
        // Nobody else ends or reaps it, so its pid is valid.
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
            traces: spec.lane.program.is_some(),
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

    /// Appends what has been reported since the last time, without waiting. True when
    /// nothing more will come: the endpoint and its children have ended.
    ///
    /// # Errors
    /// InvalidData when something else than a report was written.
    pub fn read_reports(&mut self, out: &mut Vec<Report>) -> io::Result<bool> {
        loop {
            // What is beyond `filled` is zeroed once, not at each call.
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
            while let Some((report, length)) =
                report_codec::decode(&self.partial[used..self.filled])?
            {
                out.push(report);
                used += length;
            }
            self.partial.copy_within(used..self.filled, 0);
            self.filled -= used;
            // A pipe returns all it has: another read() would only give EAGAIN.
            if bytes < CHUNK {
                return Ok(false);
            }
        }
    }

    /// Sends a signal to the endpoint's own process. It has no effect on a dead one.
    ///
    /// # Errors
    /// EPERM when it runs as another user by now.
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
        // Its pid may have been given to another process.
        if getpgid(Some(child))? != Pid::from_raw(self.pid) {
            return Err(Errno::ESRCH.into());
        }
        Ok(kill(child, signal)?)
    }

    /// Types a line: `text` and a newline appear on the keyboard.
    ///
    /// # Errors
    /// EPIPE when the endpoint has ended, EAGAIN when it has left 64 KiB unread.
    pub fn type_text(&mut self, text: &str) -> io::Result<()> {
        let line = format!("{text}\n");
        match self.traces {
            true => self.write_to_program(&line),
            false => self.keyboard.write_all(line.as_bytes()),
        }
    }

    /// Writes to a program's standard input.
    ///
    /// # Errors
    /// As [`Self::type_text`].
    pub fn write_to_program(&mut self, text: &str) -> io::Result<()> {
        Request::Write(text.to_owned()).send(&mut self.keyboard)
    }

    /// How the endpoint's own process ended, without waiting; None: it runs.
    /// Its children may run on.
    ///
    /// # Errors
    /// ECHILD when somebody else has reaped it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitKind>> {
        // Not reaped: until the drop no other process gets its pid.
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
        // Its children have been sent the same signal, but init reaps them. That they
        // have ended shows in that nobody holds the report pipe any more. The limit is
        // for a process that is traced or that hangs in a driver.
        let mut on = [PollFd::new(self.reports.as_fd(), PollFlags::empty())];
        let _ = nix::poll::poll(&mut on, PollTimeout::from(1000u16));
    }
}

/// Copies of this process's standard streams; /dev/null for one that is closed.
fn own_streams() -> io::Result<Vec<OwnedFd>> {
    let null = || File::options().read(true).write(true).open("/dev/null");
    let copies = [
        io::stdin().as_fd().try_clone_to_owned(),
        io::stdout().as_fd().try_clone_to_owned(),
        io::stderr().as_fd().try_clone_to_owned(),
    ];
    let copies = copies.into_iter();
    copies
        .map(|copy| copy.or_else(|_| null().map(OwnedFd::from)))
        .collect()
}

/// Kills a process group and reaps its leader, which must not have been reaped yet.
fn end_group(pid: i32) {
    let pid = Pid::from_raw(pid);
    let _ = killpg(pid, Signal::SIGKILL);
    while let Err(Errno::EINTR) = waitid(Id::Pid(pid), WaitPidFlag::WEXITED) {}
}

/// Descriptors that every endpoint is given: namespace, reports, keyboard.
const FIXED: usize = 3;
