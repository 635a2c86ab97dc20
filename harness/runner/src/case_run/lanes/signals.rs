//! Signals and typed text for the processes of lanes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{LaneProcess, Lanes};
use halfopen_lab::LabError;
use halfopen_sys::process::pidfd_open;

/// How long a killed process may take to be gone, in milliseconds. It takes well
/// below one; the limit keeps a stuck process from stopping the whole case.
const KILL_LIMIT_MS: u16 = 1000;

impl Lanes {
    /// Sends a signal to the processes of a lane, all of a program's, or to the newest
    /// child of each. SIGKILL is waited for.
    pub fn signal_process(
        &mut self,
        lane: &str,
        signal: Signal,
        child: bool,
    ) -> Result<(), LabError> {
        let mut pidfds = Vec::new();
        for p in self.running(lane) {
            let pids = match (child, p.state().children.last()) {
                (true, Some(pid)) => vec![*pid],
                (true, None) => return Err(LabError::Plan(format!("{lane} has no child"))),
                // A server that forks is killed as its service is; to end, its first
                // process is asked.
                (false, _) if p.is_program() && signal == Signal::SIGKILL => p.traced(),
                (false, _) if p.is_program() => p.state().program.into_iter().collect(),
                (false, _) => vec![p.endpoint.pid],
            };
            // Before the signal: afterwards the process may be gone already.
            pidfds.extend(pids.iter().filter_map(|pid| pidfd_open(*pid).ok()));
            for pid in pids {
                let sent = if p.is_program() {
                    send(pid, signal)
                } else if child {
                    p.endpoint.signal_child(pid, signal)
                } else {
                    p.endpoint.signal(signal)
                };
                sent.map_err(|e| LabError::system(format!("send {signal} to {lane}"), e))?;
            }
        }
        if signal == Signal::SIGKILL {
            wait_for_ends(&pidfds)?;
        }
        Ok(())
    }

    /// Sends a signal to the processes of a lane and to all their children.
    pub fn signal_lane(&mut self, lane: &str, signal: Signal) -> Result<(), LabError> {
        for p in self.running(lane) {
            let sent = match p.is_program() {
                // Not the tracer, which has to go on.
                true => p.traced().iter().try_for_each(|pid| send(*pid, signal)),
                false => p.endpoint.signal_group(signal),
            };
            sent.map_err(|e| LabError::system(format!("send {signal} to {lane}"), e))?;
        }
        Ok(())
    }

    /// SIGKILL to the processes of a lane and to all their children. On return the
    /// sockets are closed, and the kernel has sent FIN.
    pub fn kill_lane(&mut self, lane: &str) -> Result<(), LabError> {
        let mut pidfds = Vec::new();
        for p in self.running(lane) {
            pidfds.extend(pidfd_open(p.endpoint.pid).ok());
            // The tracer's end ends them (PTRACE_O_EXITKILL), a moment later.
            pidfds.extend(p.traced().iter().filter_map(|pid| pidfd_open(*pid).ok()));
            // An error: it has ended by itself.
            let _ = p.endpoint.signal_group(Signal::SIGKILL);
        }
        wait_for_ends(&pidfds)
    }

    /// Sends a signal to everything that lanes run on a host.
    pub fn signal_host(&mut self, host: &str, signal: Signal) {
        for p in self.processes.iter().filter(|p| p.host() == host) {
            let Some(program) = p
                .lane
                .program
                .as_ref()
                .filter(|_| signal != Signal::SIGKILL)
            else {
                // An error: it has ended by itself.
                let _ = p.endpoint.signal_group(signal);
                continue;
            };
            let stop = program.stop.as_deref().unwrap_or("TERM");
            let stop = format!("SIG{stop}").parse().unwrap_or(signal);
            if let Some(pid) = p.state().program {
                let _ = send(pid, stop);
            }
        }
    }

    /// Types a line into the processes of a lane.
    pub fn type_text(&mut self, lane: &str, text: &str) -> Result<(), LabError> {
        for p in self.running(lane) {
            p.endpoint
                .type_text(text)
                .map_err(|e| LabError::system(format!("type into {lane}"), e))?;
        }
        Ok(())
    }

    /// Writes to the standard input of a lane's program.
    pub fn write_to_program(&mut self, lane: &str, text: &str) -> Result<(), LabError> {
        for p in self.running(lane).filter(|p| p.state().program.is_some()) {
            p.endpoint
                .write_to_program(text)
                .map_err(|e| LabError::system(format!("write to {lane}"), e))?;
        }
        Ok(())
    }

    /// The processes of a lane that have not ended.
    fn running<'l>(&'l mut self, lane: &'l str) -> impl Iterator<Item = &'l mut LaneProcess> {
        self.processes
            .iter_mut()
            .filter(move |p| p.lane_name() == lane && !p.state().ended)
    }
}

/// Sends a signal to a process of a program. One that has ended meanwhile is no
/// error.
fn send(pid: i32, signal: Signal) -> io::Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// SIGKILL has taken effect once the processes are gone: do_exit() closes their
/// files before it notifies pidfds, so the FINs are out.
fn wait_for_ends(pidfds: &[OwnedFd]) -> Result<(), LabError> {
    for pidfd in pidfds {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(KILL_LIMIT_MS))
            .map_err(|e| LabError::system("wait for a killed process", e))?;
    }
    Ok(())
}
