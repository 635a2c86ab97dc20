//! What is done at each kind of stop.

use super::status::Status;
use super::{Tracer, unless_gone};
use crate::errno::SignalNumber;
use crate::error::TraceError;
use crate::event::What;
use halfopen_sys::ptrace;

impl Tracer<'_> {
    pub(super) fn stopped(&mut self, tid: i32, status: Status, at: i64) -> Result<(), TraceError> {
        if !self.tasks.contains_key(&tid) {
            return self.stranger(tid, status, at);
        }
        match status {
            Status::Seccomp => self.call_entered(tid, at),
            Status::CallEnd => self.call_ended(tid, at),
            Status::Ended(end) => {
                self.task_ended(tid, end, at);
                Ok(())
            }
            Status::Created => self.task_created(tid, at),
            Status::Executed => self.executed(tid, at),
            Status::GroupStop(signal) => self.group_stopped(tid, signal, at),
            Status::Trap => self.trapped(tid, at),
            Status::Signal(signal) => self.signalled(tid, signal, at),
        }
    }

    /// A task that is not known: one whose parent's stop is still to come, or a
    /// thread that another's exec() has taken the number of.
    fn stranger(&mut self, tid: i32, status: Status, at: i64) -> Result<(), TraceError> {
        match status {
            Status::Ended(_) => {
                self.early.remove(&tid);
            }
            // Its first stop; it is let go when its parent's stop comes.
            Status::Trap | Status::GroupStop(_) => {
                self.early.insert(tid);
                if self.ending {
                    self.end_everything();
                }
                self.adopt_orphans(at)?;
            }
            _ => unless_gone(ptrace::cont(tid, 0))?,
        }
        Ok(())
    }

    /// A stop by SIGSTOP and its like: under PTRACE_SEIZE the task is left in
    /// it by PTRACE_LISTEN and goes on by SIGCONT as if it were not traced.
    fn group_stopped(&mut self, tid: i32, signal: i32, at: i64) -> Result<(), TraceError> {
        if let Some(task) = self.tasks.get_mut(&tid) {
            task.listening = true;
            if task.pid == tid {
                let signal = SignalNumber(signal);
                self.emit(at, tid, What::Stopped { signal });
            }
        }
        unless_gone(ptrace::listen(tid))
    }

    fn trapped(&mut self, tid: i32, at: i64) -> Result<(), TraceError> {
        if let Some(task) = self.tasks.get_mut(&tid)
            && std::mem::take(&mut task.listening)
            && task.pid == tid
        {
            self.emit(at, tid, What::Continued);
        }
        unless_gone(ptrace::cont(tid, 0))
    }

    fn signalled(&mut self, tid: i32, signal: i32, at: i64) -> Result<(), TraceError> {
        if self.began_ns.is_some() {
            let sender = ptrace::signal_sender(tid);
            let signal = SignalNumber(signal);
            self.emit(at, tid, What::Signal { signal, sender });
        }
        unless_gone(ptrace::cont(tid, signal))
    }
}
