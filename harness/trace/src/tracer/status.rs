//! The status words of waitpid() under ptrace (ptrace(2)).

use crate::errno::SignalNumber;
use crate::event::End;
use halfopen_sys::ptrace::RawStatus;

/// PTRACE_EVENT_STOP of linux/ptrace.h.
const EVENT_STOP: i32 = 128;

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ended(End),
    /// A call that the filter asked for begins.
    Seccomp,
    /// A call ends.
    CallEnd,
    /// A new process or thread was made.
    Created,
    /// Another program was executed.
    Executed,
    /// A stop by this signal, of the whole process.
    GroupStop(i32),
    /// A new task's first stop, or the end of a group stop.
    Trap,
    /// A signal is about to be delivered.
    Signal(i32),
}

impl Status {
    pub(super) fn decode(RawStatus(status): RawStatus) -> Self {
        if libc::WIFEXITED(status) {
            return Self::Ended(End::Code(libc::WEXITSTATUS(status)));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Ended(End::Killed {
                signal: SignalNumber(libc::WTERMSIG(status)),
                core: libc::WCOREDUMP(status),
            });
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 if signal == libc::SIGTRAP | 0x80 => Self::CallEnd,
            0 => Self::Signal(signal),
            libc::PTRACE_EVENT_SECCOMP => Self::Seccomp,
            libc::PTRACE_EVENT_EXEC => Self::Executed,
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                Self::Created
            }
            EVENT_STOP if signal != libc::SIGTRAP => Self::GroupStop(signal),
            _ => Self::Trap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(signal: i32, event: i32) -> Status {
        Status::decode(RawStatus(event << 16 | signal << 8 | 0x7f))
    }

    #[test]
    fn stops_and_ends() {
        assert_eq!(stopped(libc::SIGTRAP | 0x80, 0), Status::CallEnd);
        assert_eq!(stopped(34, 0), Status::Signal(34));
        assert_eq!(
            stopped(libc::SIGSTOP, EVENT_STOP),
            Status::GroupStop(libc::SIGSTOP)
        );
        assert_eq!(stopped(libc::SIGTRAP, EVENT_STOP), Status::Trap);
        assert_eq!(
            stopped(libc::SIGTRAP, libc::PTRACE_EVENT_SECCOMP),
            Status::Seccomp
        );
        assert_eq!(
            Status::decode(RawStatus(5 << 8)),
            Status::Ended(End::Code(5))
        );
        let killed = End::Killed {
            signal: SignalNumber(libc::SIGKILL),
            core: false,
        };
        assert_eq!(Status::decode(RawStatus(9)), Status::Ended(killed));
    }
}
