//! Calls that are under way, and how a signal interrupts them.
//!
//! A call that a signal interrupts leaves the kernel with -ERESTARTSYS or one
//! of its relatives (include/linux/errno.h), which no program sees. What follows
//! depends on the signal (handle_signal(), arch_do_signal_or_restart()):
//! without a handler the call is made again, with the same arguments or as
//! restart_syscall(); with one, the handler runs first, and the state that
//! rt_sigreturn() restores holds either the call again or -EINTR.

use crate::event::{Detail, Socket};
use crate::name::Known;

/// -ERESTARTSYS to -ERESTART_RESTARTBLOCK.
pub(super) const RESTART: std::ops::RangeInclusive<i64> = -516..=-512;

/// A call and where it is made from; a restart has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) number: u64,
    pub(super) args: [u64; 6],
    pub(super) stack_pointer: u64,
}

/// A call that has begun.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) frame: Frame,
    pub(super) known: Known,
    /// None: not reported.
    pub(super) call: Option<u64>,
    pub(super) fd: Option<i32>,
    /// As it was at the beginning: close() takes it out of the table.
    pub(super) socket: Option<Socket>,
    pub(super) entered_ns: i64,
    pub(super) detail: Detail,
    pub(super) restarts: u32,
    /// It left the kernel with a restart code.
    pub(super) interrupted: bool,
}

/// A thread.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) pid: i32,
    /// Calls under way: more than one when a signal handler makes calls.
    pub(super) pending: Vec<Pending>,
    /// It is inside rt_sigreturn().
    pub(super) returning: bool,
    pub(super) listening: bool,
}

impl Task {
    pub(super) fn new(pid: i32) -> Self {
        Self {
            pid,
            pending: Vec::new(),
            returning: false,
            listening: false,
        }
    }

    pub(super) fn interrupted(&self) -> bool {
        self.pending.last().is_some_and(|call| call.interrupted)
    }

    /// restart_syscall(): the interrupted call goes on.
    pub(super) fn resume(&mut self) -> bool {
        match self.pending.last_mut() {
            Some(call) if call.interrupted => {
                call.interrupted = false;
                call.restarts += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether the call at `frame` is an interrupted one, made again. One that
    /// was left by longjmp() is forgotten: the stack has been unwound past it.
    pub(super) fn resume_same(&mut self, frame: &Frame) -> bool {
        while let Some(call) = self.pending.last() {
            if !call.interrupted {
                return false;
            }
            if call.frame == *frame {
                return self.resume();
            }
            if call.frame.stack_pointer > frame.stack_pointer {
                return false;
            }
            self.pending.pop();
        }
        false
    }

    /// The call that ends now.
    pub(super) fn finish(&mut self) -> Option<Pending> {
        self.pending.pop_if(|call| !call.interrupted)
    }

    /// The interrupted call that returns EINTR, since its signal's handler has
    /// returned.
    pub(super) fn finish_interrupted(&mut self) -> Option<Pending> {
        self.pending.pop_if(|call| call.interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallName;

    fn frame(number: u64, stack_pointer: u64) -> Frame {
        Frame {
            number,
            args: [3, 0, 0, 0, 0, 0],
            stack_pointer,
        }
    }

    fn task(interrupted: Frame) -> Task {
        let mut task = Task::new(1);
        task.pending.push(Pending {
            frame: interrupted,
            known: Known::Reported(CallName::Read),
            call: Some(0),
            fd: Some(3),
            socket: None,
            entered_ns: 0,
            detail: Detail::None,
            restarts: 0,
            interrupted: true,
        });
        task
    }

    #[test]
    fn the_same_call_from_the_same_place_is_a_restart() {
        let mut task = task(frame(0, 1000));
        assert!(task.resume_same(&frame(0, 1000)));
        assert!(!task.interrupted());
        assert!(!task.resume_same(&frame(0, 1000)), "only once");
        assert_eq!(task.finish().map(|call| call.restarts), Some(1));
    }

    #[test]
    fn a_handlers_calls_leave_the_interrupted_one_alone() {
        let mut task = task(frame(0, 1000));
        assert!(!task.resume_same(&frame(1, 500)));
        assert!(task.interrupted());
        assert!(task.finish_interrupted().is_some());
    }

    #[test]
    fn a_call_left_by_longjmp_is_forgotten() {
        let mut task = task(frame(0, 1000));
        assert!(!task.resume_same(&frame(1, 2000)));
        assert!(task.pending.is_empty());
    }
}
