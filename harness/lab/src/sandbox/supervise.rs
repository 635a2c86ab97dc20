//! The two processes around the program: supervisor outside, init inside.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use halfopen_sys::process::exit_now;
use halfopen_sys::signals::{Sender, wait_signal};

/// Shows a child whether its parent died before the child called PR_SET_PDEATHSIG: a
/// pipe whose writing end only the parent keeps.
#[derive(Debug)]
pub struct Guard {
    read: OwnedFd,
    write: OwnedFd,
}

impl Guard {
    pub fn new() -> nix::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Guard { read, write })
    }

    /// In the child, after PR_SET_PDEATHSIG.
    pub fn exit_if_supervisor_has_ended(self) {
        drop(self.write);
        let mut pipe = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
        let hung_up = poll(&mut pipe, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        if hung_up {
            exit_now(1);
        }
    }
}

/// Signals that end a program and that its parent should pass on.
fn passed_on() -> SigSet {
    [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ]
    .into_iter()
    .collect()
}

/// The outer process: passes signals in and exits with the inner exit code.
pub fn supervise(init: Pid, guard: Guard) -> ! {
    // Open until this process ends: the child sees the end as a hang-up.
    let Guard { read, write } = guard;
    drop(read);
    let status = watch(init, init);
    drop(File::from(write));
    exit_now(status)
}

/// PID 1 inside: reaps orphans and exits with the program's exit code. When it exits,
/// the kernel kills every process inside.
pub fn init(program: Pid) -> ! {
    exit_now(watch(program, Pid::from_raw(-1)))
}

fn watch(main: Pid, reap: Pid) -> i32 {
    let mut set = passed_on();
    set.add(Signal::SIGCHLD);
    if sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).is_err() {
        return 1;
    }
    loop {
        // First, because a child may have ended before SIGCHLD was blocked.
        if let Some(status) = reap_all(main, reap) {
            return status;
        }
        let Ok((signal, sender)) = wait_signal(&set) else {
            continue;
        };
        // The kernel sends Ctrl-C to every process of the terminal's foreground
        // group; passing it on would deliver it twice.
        if signal != Signal::SIGCHLD && sender == Sender::Process {
            // It may have ended already; the next turn finds that.
            let _ = kill(main, signal);
        }
    }
}

fn reap_all(main: Pid, reap: Pid) -> Option<i32> {
    loop {
        match waitpid(reap, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == main => return Some(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                return Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            // No child is left, so there is nothing to wait for.
            Err(_) => return Some(1),
        }
    }
}
