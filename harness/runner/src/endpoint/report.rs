//! Writes the reports of an endpoint, call by call.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::ForkResult;

use super::protocol::Report;
use super::report_codec::{MAX_REPORT, encode};
use halfopen_outcome::record::{CallResult, ExitKind};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::process::exit_now;
use halfopen_sys::process::fork_single_threaded;

/// Which connection and which step a call belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site<'a> {
    /// The connection's name, if it has one.
    pub conn: Option<&'a str>,
    /// The step's line.
    pub line: u32,
}

/// Writes the reports of this process.
#[derive(Debug)]
pub(super) struct Reporter {
    pipe: File,
    pid: i32,
    /// The number of the step that is being executed.
    pub step: u32,
}

impl Reporter {
    /// Reports into `pipe`, in the name of the calling process.
    pub fn new(pipe: OwnedFd) -> Self {
        Reporter {
            pipe: pipe.into(),
            pid: own_pid(),
            step: 0,
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

    /// As [`Self::call`], but reports nothing when the call succeeds: for calls that
    /// only prepare those that a case is about.
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

    /// The peer has been silent since `since`, for too long. Reported as a call,
    /// although it is none, because it is what such a program notices first.
    pub fn heartbeat_lost(&mut self, site: Site<'_>, since: i64, now: i64) {
        self.start("heartbeat", site, since);
        self.end(since, now, &Ok(()), |()| CallResult::TimedOut);
    }

    /// As [`Self::heartbeat_lost`], by a program that does nothing about it: no sign,
    /// and reported as a call that returned 0.
    pub fn heartbeat_ignored(&mut self, site: Site<'_>, since: i64, now: i64) {
        self.start("heartbeat", site, since);
        self.end(since, now, &Ok(()), |()| CallResult::Value(0));
    }

    /// A request failed on this connection and is made once more. Reported as a call that
    /// returned 0: the failure is no sign then, because nobody sees it.
    pub fn retried(&mut self, site: Site<'_>) {
        let now = monotonic_ns();
        self.start(halfopen_outcome::first_sign::RETRY, site, now);
        self.end(now, now, &Ok(()), |()| CallResult::Value(0));
    }

    /// The process that reports.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn start(&mut self, name: &'static str, site: Site<'_>, at: i64) {
        self.write_report(&Report::Start {
            pid: self.pid,
            call: name.to_owned(),
            conn: site.conn.map(str::to_owned),
            line: site.line,
            step: self.step,
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
        self.write_report(&Report::End {
            pid: self.pid,
            began,
            at,
            result,
            limit_ns: None,
        });
    }

    /// The plan is read.
    pub fn ready(&mut self) {
        self.write_report(&Report::Ready { pid: self.pid });
    }

    /// A step with this mark is done.
    pub fn mark(&mut self, mark: &str) {
        self.write_report(&Report::Mark {
            pid: self.pid,
            mark: mark.to_owned(),
            at: monotonic_ns(),
        });
    }

    /// A child was forked.
    pub fn forked(&mut self, child: i32) {
        self.write_report(&Report::Forked {
            pid: self.pid,
            child,
            at: monotonic_ns(),
        });
    }

    /// A child was reaped.
    pub fn reaped(&mut self, child: i32, how: ExitKind) {
        self.write_report(&Report::Reaped {
            pid: self.pid,
            child,
            how,
            at: monotonic_ns(),
        });
    }

    /// The script is over.
    pub fn done(&mut self) {
        self.write_report(&Report::Done {
            pid: self.pid,
            at: monotonic_ns(),
        });
    }

    /// The endpoint itself failed.
    pub fn broken(&mut self, why: impl Into<String>) {
        self.write_report(&Report::Broken {
            pid: self.pid,
            why: why.into(),
        });
    }

    /// Any report.
    pub fn write_report(&mut self, report: &Report) {
        // Almost all are short, and clearing a page takes time.
        let mut short = [0; 256];
        if let Ok(length) = encode(report, &mut short) {
            return self.send(&short[..length]);
        }
        let mut buffer = [0; MAX_REPORT];
        match encode(report, &mut buffer) {
            Ok(length) => self.send(&buffer[..length]),
            // Limited in length, so that it cannot fail as the report it replaces.
            Err(e) => {
                let why: String = e.to_string().chars().take(200).collect();
                if let Ok(length) = encode(&Report::Broken { pid: self.pid, why }, &mut buffer) {
                    self.send(&buffer[..length]);
                }
            }
        }
    }

    /// One write(). It is atomic, so it writes all or nothing, and nothing only when a
    /// signal handler (a fork server's) interrupts it.
    fn send(&mut self, message: &[u8]) {
        loop {
            match self.pipe.write(message) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Ok(_) => return,
                // Nobody reads any more: the runner has ended.
                Err(_) => exit_now(1),
            }
        }
    }
}

/// The result of a call that failed: the errno's name.
pub(super) fn errno_result(errno: Errno) -> CallResult {
    CallResult::Errno(format!("{errno:?}"))
}

fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}
