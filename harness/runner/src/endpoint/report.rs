//! What an endpoint says, call by call.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::ForkResult;

use super::protocol::Report;
use halfopen_outcome::record::{CallResult, ExitKind};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::process::exit_now;
use halfopen_sys::process::fork_single_threaded;

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
}

impl Reporter {
    /// Reports into `pipe`, in the name of the calling process.
    pub fn new(pipe: OwnedFd) -> Self {
        Reporter {
            pipe: pipe.into(),
            pid: own_pid(),
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
        // Almost all are short, and a page takes its time to be cleared.
        let mut short = [0; 256];
        if let Ok(length) = write(report, &mut short) {
            return self.send(&short[..length]);
        }
        let mut buffer = [0; LONGEST];
        match write(report, &mut buffer) {
            Ok(length) => self.send(&buffer[..length]),
            // Of limited length, so that it cannot fail as the report it stands for.
            Err(e) => {
                let why: String = e.to_string().chars().take(200).collect();
                if let Ok(length) = write(&Report::Broken { pid: self.pid, why }, &mut buffer) {
                    self.send(&buffer[..length]);
                }
            }
        }
    }

    /// One write(): atomic, so it is all or nothing, and only a signal handler
    /// (a fork server's) can make it nothing.
    fn send(&mut self, message: &[u8]) {
        loop {
            match self.pipe.write(message) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) => return,
                // Nobody reads any more: the runner is gone.
                Err(_) => exit_now(1),
            }
        }
    }
}

/// A report's length, before its bytes.
type Head = [u8; 2];

/// Puts a report into `buffer`: how long it is there.
fn write(report: &Report, buffer: &mut [u8]) -> io::Result<usize> {
    let (head, body) = buffer.split_at_mut(size_of::<Head>());
    let length = match postcard::to_slice(report, body) {
        Ok(written) => written.len(),
        Err(postcard::Error::SerializeBufferFull) => {
            return Err(io::Error::other(
                "a report is longer than PIPE_BUF: shorten the names of marks and connections",
            ));
        }
        Err(e) => return Err(io::Error::other(format!("a report cannot be written: {e}"))),
    };
    let short = u16::try_from(length).map_err(io::Error::other)?;
    head.copy_from_slice(&short.to_le_bytes());
    Ok(head.len() + length)
}

/// The report that `bytes` begin with, and how many of them it is; None when it
/// has not arrived in full.
///
/// # Errors
/// InvalidData when it is none.
pub(super) fn read(bytes: &[u8]) -> io::Result<Option<(Report, usize)>> {
    let Some((head, rest)) = bytes.split_first_chunk::<{ size_of::<Head>() }>() else {
        return Ok(None);
    };
    let Some(body) = rest.get(..usize::from(u16::from_le_bytes(*head))) else {
        return Ok(None);
    };
    let report = postcard::from_bytes(body).map_err(|e| {
        let why = format!("a report cannot be read: {e}");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })?;
    Ok(Some((report, head.len() + body.len())))
}

/// -1 and an errno, by name.
pub(super) fn errno_result(errno: Errno) -> CallResult {
    CallResult::Errno(format!("{errno:?}"))
}

fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_arrives_as_it_was_said_and_only_in_full() {
        let report = Report::End {
            pid: 7,
            began: -1,
            at: i64::MAX,
            result: CallResult::Ready(vec!["socket:IN|RDHUP".into()]),
        };
        let mut buffer = [0; LONGEST];
        let length = write(&report, &mut buffer).expect("it is short");
        assert_eq!(
            read(&buffer[..length]).expect("it is one"),
            Some((report, length))
        );
        for part in 0..length {
            assert_eq!(read(&buffer[..part]).expect("a part of one"), None);
        }
        let stray = [2, 0, 0xff, 0xff];
        let e = read(&stray).expect_err("no report has this number");
        assert_eq!(e.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_report_that_is_too_long_is_told_with_the_cure() {
        let report = Report::Mark {
            pid: 7,
            mark: "m".repeat(LONGEST),
            at: 0,
        };
        let e = write(&report, &mut [0; LONGEST]).expect_err("it does not fit");
        assert!(e.to_string().contains("shorten"), "{e}");
    }
}
