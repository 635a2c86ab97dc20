//! What an endpoint says, call by call.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::ForkResult;
use serde_json::to_writer;

use super::protocol::Report;
use crate::outcome::record::{CallResult, ExitKind};
use crate::sys::clock::monotonic_ns;
use crate::sys::processes::fork_single_threaded;

/// Longest report: a write() of up to PIPE_BUF bytes is atomic (pipe(7)), so
/// forked children can share the pipe.
const LONGEST: usize = nix::libc::PIPE_BUF;

/// Which connection and which step a call belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    /// The connection's name, if it has one.
    pub conn: Option<&'a str>,
    /// The step's line.
    pub line: u32,
}

/// Writes reports of this process.
#[derive(Debug)]
pub(super) struct Reporter {
    pipe: File,
    pid: i32,
    line: Vec<u8>,
}

impl Reporter {
    /// Reports into `pipe`, in the name of the calling process.
    pub fn new(pipe: OwnedFd) -> Self {
        Reporter {
            pipe: pipe.into(),
            pid: own_pid(),
            line: Vec::with_capacity(256),
        }
    }

    /// Makes a system call and reports it, before and after. The clock is read
    /// right before and right after it; nothing else happens in between.
    pub fn call<T>(
        &mut self,
        name: &'static str,
        site: Site<'_>,
        call: impl FnOnce() -> nix::Result<T>,
        show: impl FnOnce(&T) -> CallResult,
    ) -> nix::Result<T> {
        self.start(name, site, monotonic_ns());
        let began = monotonic_ns();
        let returned = call();
        let at = monotonic_ns();
        self.end(began, at, &returned, show);
        returned
    }

    /// As [`Self::call`], but says nothing when the call succeeds: for calls
    /// that only prepare what the story is about.
    pub fn call_if_it_fails<T>(
        &mut self,
        name: &'static str,
        site: Site<'_>,
        call: impl FnOnce() -> nix::Result<T>,
    ) -> nix::Result<T> {
        let began = monotonic_ns();
        let returned = call();
        let at = monotonic_ns();
        if returned.is_err() {
            self.start(name, site, began);
            self.end(began, at, &returned, |_| CallResult::Value(0));
        }
        returned
    }

    /// fork(), reported by the parent only; the child reports in its own name
    /// from then on.
    pub fn fork(&mut self, site: Site<'_>) -> nix::Result<ForkResult> {
        self.start("fork", site, monotonic_ns());
        let began = monotonic_ns();
        let forked = fork_single_threaded();
        let at = monotonic_ns();
        if let Ok(ForkResult::Child) = forked {
            self.pid = own_pid();
        } else {
            self.end(began, at, &forked, |forked| match forked {
                ForkResult::Parent { child } => CallResult::Value(child.as_raw().into()),
                ForkResult::Child => CallResult::Value(0),
            });
        }
        forked
    }

    /// There has been silence since `since`, and it is too long: reported as a
    /// call, although it is none, because it is what such a program notices by.
    pub fn heartbeat_lost(&mut self, site: Site<'_>, since: i64, now: i64) {
        self.start("heartbeat", site, since);
        self.end(since, now, &Ok(()), |()| CallResult::TimedOut);
    }

    fn start(&mut self, name: &'static str, site: Site<'_>, at: i64) {
        self.say(&Report::Start {
            pid: self.pid,
            call: name.to_owned(),
            conn: site.conn.map(str::to_owned),
            line: site.line,
            at,
        });
    }

    fn end<T>(
        &mut self,
        began: i64,
        at: i64,
        returned: &nix::Result<T>,
        show: impl FnOnce(&T) -> CallResult,
    ) {
        let result = match returned {
            Ok(value) => show(value),
            Err(errno) => errno_result(*errno),
        };
        self.say(&Report::End {
            pid: self.pid,
            began,
            at,
            result,
        });
    }

    /// The plan is read.
    pub fn ready(&mut self) {
        self.say(&Report::Ready { pid: self.pid });
    }

    /// A step with this mark is done.
    pub fn mark(&mut self, mark: &str) {
        self.say(&Report::Mark {
            pid: self.pid,
            mark: mark.to_owned(),
            at: monotonic_ns(),
        });
    }

    /// A child was forked.
    pub fn forked(&mut self, child: i32) {
        self.say(&Report::Forked {
            pid: self.pid,
            child,
            at: monotonic_ns(),
        });
    }

    /// A child was reaped.
    pub fn reaped(&mut self, child: i32, how: ExitKind) {
        self.say(&Report::Reaped {
            pid: self.pid,
            child,
            how,
            at: monotonic_ns(),
        });
    }

    /// The script is over.
    pub fn done(&mut self) {
        self.say(&Report::Done {
            pid: self.pid,
            at: monotonic_ns(),
        });
    }

    /// The endpoint itself failed.
    pub fn broken(&mut self, why: impl Into<String>) {
        self.say(&Report::Broken {
            pid: self.pid,
            why: why.into(),
        });
    }

    fn say(&mut self, report: &Report) {
        self.line.clear();
        if let Err(e) = to_writer(&mut self.line, report) {
            return self.say_broken(&format!("a report cannot be written as JSON: {e}"));
        }
        self.line.push(b'\n');
        if self.line.len() > LONGEST {
            return self.say_broken(
                "a report is longer than PIPE_BUF: shorten the names of marks and connections",
            );
        }
        self.send();
    }

    /// Of limited length, so that it cannot fail as the report it stands for.
    fn say_broken(&mut self, why: &str) {
        let why: String = why.chars().take(200).collect();
        self.line.clear();
        if to_writer(&mut self.line, &Report::Broken { pid: self.pid, why }).is_ok() {
            self.line.push(b'\n');
            self.send();
        }
    }

    /// One write(): atomic, so it is all or nothing, and only a signal handler
    /// (a fork server's) can make it nothing.
    fn send(&mut self) {
        loop {
            match self.pipe.write(&self.line) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) => return,
                // Nobody reads any more: the runner is gone.
                Err(_) => std::process::exit(1),
            }
        }
    }
}

/// -1 and an errno, by name.
pub(super) fn errno_result(errno: Errno) -> CallResult {
    CallResult::Errno(format!("{errno:?}"))
}

fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}
