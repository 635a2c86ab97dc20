//! The script's step `serve`: a server that accepts again and again, and serves one
//! connection after the other, or each in a forked child, as the server of UNP 5.10
//! does.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, pipe2};

use super::report::Site;
use super::script::{Flow, Script};
use super::sockets::Kind;
use halfopen_outcome::record::{CallResult, ExitKind};
use halfopen_scenario::case::Step;
use halfopen_sys::process::exit_now;
use halfopen_sys::signals;

impl Script<'_> {
    /// accept() until it fails for good.
    pub(super) fn serve(&mut self, step: &Step, fork: bool, each: &[Step]) -> Flow {
        if fork && let Err(errno) = signals::interrupt_on_child_end() {
            self.reporter
                .broken(format!("SIGCHLD cannot be handled: {errno:?}"));
            return Flow::End;
        }
        loop {
            let Some(listener) = self.sockets.listener() else {
                return Flow::End;
            };
            if fork && signals::take_child_ended() {
                self.reap(step.line);
            }
            match self.accept(step, listener, 1) {
                Ok(()) if fork => self.fork(step, listener, each),
                Ok(()) => self.serve_here(step, each),
                // SIGCHLD, or a client that gave up before it was accepted (UNP 5.11).
                Err(Errno::EINTR | Errno::ECONNABORTED) => {}
                Err(_) => return Flow::Next,
            }
        }
    }

    /// Serves the newest connection in this process, and closes it.
    fn serve_here(&mut self, step: &Step, each: &[Step]) {
        let before = self.sockets.len() - 1;
        let _ = self.run(each);
        // The connections that `each` made are closed, too.
        while self.sockets.len() > before {
            self.close_socket(self.sockets.len() - 1, step.line);
        }
    }

    /// Serves the newest connection in a child.
    fn fork(&mut self, step: &Step, listener: usize, each: &[Step]) {
        // The child waits until its parent has reported it: who reads the reports
        // knows every process before its first report.
        let gate = pipe2(nix::fcntl::OFlag::O_CLOEXEC);
        let site = Site {
            conn: None,
            line: step.line,
        };
        let forked = self.reporter.fork(site);
        let newest = self.sockets.len() - 1;
        match forked {
            Ok(ForkResult::Parent { child }) => {
                self.reporter.forked(child.as_raw());
                drop(gate);
                self.close_socket(newest, step.line);
            }
            Ok(ForkResult::Child) => {
                if let Ok((reader, writer)) = gate {
                    drop(writer);
                    // 0 once the parent has dropped its end; interrupted by nothing.
                    let _ = nix::unistd::read(reader.as_fd(), &mut [0]);
                }
                self.serve_as_child(step, listener, each);
            }
            Err(_) => self.close_socket(newest, step.line),
        }
    }

    /// Executes `each` in the child, and ends it.
    fn serve_as_child(&mut self, step: &Step, listener: usize, each: &[Step]) -> ! {
        debug_assert_eq!(self.sockets.at(listener).kind, Kind::Listener);
        self.sockets.forked();
        self.close_socket(listener, step.line);
        let _ = self.run(each);
        // As by a return from main(): the connection is closed with the process.
        exit_now(0)
    }

    /// waitpid() until no ended child is left: SIGCHLDs do not queue, so one may stand
    /// for several (UNP 5.10).
    fn reap(&mut self, line: u32) {
        let site = Site { conn: None, line };
        loop {
            let waited = self.reporter.call(
                "waitpid",
                site,
                || waitpid(None, Some(WaitPidFlag::WNOHANG)),
                |status| CallResult::Value(status.pid().map_or(0, |child| child.as_raw().into())),
            );
            match waited {
                Ok(WaitStatus::Exited(child, status)) => {
                    self.reporter
                        .reaped(child.as_raw(), ExitKind::Exited(status));
                }
                Ok(WaitStatus::Signaled(child, signal, _)) => {
                    let name = signal.as_str().to_owned();
                    self.reporter.reaped(child.as_raw(), ExitKind::Killed(name));
                }
                // EINTR cannot happen with WNOHANG; ECHILD: there are no children.
                Ok(_) | Err(_) => return,
            }
        }
    }
}
