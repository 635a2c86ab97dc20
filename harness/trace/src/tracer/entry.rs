//! The beginning of a call: what it is made on, and whether its end matters.
//!
//! The stop at the beginning costs 10 us, the one at the end as much again. So a
//! call on what is no socket is let go at once (PTRACE_CONT).

use super::calls::{Frame, Pending};
use super::{Tracer, unless_gone};
use crate::CallName;
use crate::decode::{Memory, address, int, message, wait};
use crate::error::TraceError;
use crate::event::{Detail, Entered, Ready, SocketId, Unseen, What};
use crate::name::{Bookkeeping, Known};
use crate::setting::Setting;
use crate::table::Object;
use halfopen_sys::ptrace::{self, SyscallInfo};

/// What is to be known of a reported call at its beginning.
struct Seen {
    fd: Option<i32>,
    socket: Option<SocketId>,
    detail: Detail,
}

/// What follows the stop.
enum Next {
    /// Nothing: the call is of no interest.
    Continue,
    /// Its end matters to the table only.
    UntilEnd,
    /// It is reported.
    Report(Seen),
}

impl Tracer<'_> {
    pub(super) fn call_entered(&mut self, tid: i32, at: i64) -> Result<(), TraceError> {
        let info = ptrace::syscall_info(tid);
        let (
            Ok(SyscallInfo::Seccomp {
                number,
                args,
                stack_pointer,
            }),
            true,
        ) = (info, self.began_ns.is_some())
        else {
            return unless_gone(ptrace::cont(tid, 0));
        };
        let frame = Frame {
            number,
            args,
            stack_pointer,
        };
        let Some(known) = self.numbers.get(number) else {
            return unless_gone(ptrace::cont(tid, 0));
        };
        if self.goes_on(tid, known, &frame) {
            return unless_gone(ptrace::syscall(tid, 0));
        }
        let next = match known {
            Known::Bookkeeping(Bookkeeping::IoUringSetup) => {
                self.refuse_io_uring(tid, at);
                Next::Continue
            }
            Known::Bookkeeping(call) => self.bookkeeping(tid, call, &args),
            Known::Reported(name) => self.reported(tid, name, &args),
        };
        let (call, seen) = match next {
            Next::Continue => return unless_gone(ptrace::cont(tid, 0)),
            Next::UntilEnd => (None, None),
            Next::Report(seen) => {
                self.calls += 1;
                (Some(self.calls), Some(seen))
            }
        };
        let (fd, socket, detail) = match seen {
            Some(seen) => (seen.fd, seen.socket, seen.detail),
            None => (None, None, Detail::None),
        };
        let socket = socket.and_then(|id| self.table.get(id));
        if let (Some(call), Known::Reported(name)) = (call, known) {
            let entered = Entered {
                call,
                name,
                fd,
                socket,
                detail: detail.clone(),
            };
            self.emit(at, tid, What::Entered(entered));
        }
        if let Some(task) = self.tasks.get_mut(&tid) {
            task.pending.push(Pending {
                frame,
                known,
                call,
                fd,
                socket,
                entered_ns: at,
                detail,
                restarts: 0,
                interrupted: false,
            });
        }
        if let (Known::Reported(CallName::Close), Some(fd)) = (known, fd) {
            self.table.closed(tid, fd);
        }
        unless_gone(ptrace::syscall(tid, 0))
    }

    /// Whether this is an interrupted call, made again, or the end of a handler
    /// that interrupted one.
    fn goes_on(&mut self, tid: i32, known: Known, frame: &Frame) -> bool {
        let Some(task) = self.tasks.get_mut(&tid) else {
            return false;
        };
        match known {
            Known::Bookkeeping(Bookkeeping::RestartSyscall) => task.resume(),
            Known::Bookkeeping(Bookkeeping::RtSigreturn) => {
                task.returning = task.interrupted();
                task.returning
            }
            _ => task.resume_same(frame),
        }
    }

    fn bookkeeping(&mut self, tid: i32, call: Bookkeeping, args: &[u64; 6]) -> Next {
        let fd = int(args[0]);
        let is_known = |fd| self.table.object(tid, fd).is_some();
        match call {
            Bookkeeping::Dup if !is_known(fd) => Next::Continue,
            Bookkeeping::Dup2 | Bookkeeping::Dup3 if !is_known(fd) && !is_known(int(args[1])) => {
                Next::Continue
            }
            Bookkeeping::Fcntl if !is_known(fd) => Next::Continue,
            Bookkeeping::Fcntl if int(args[1]) == libc::F_SETFD => {
                let on = int(args[2]) & libc::FD_CLOEXEC != 0;
                self.table.marked(tid, fd, on);
                Next::Continue
            }
            Bookkeeping::CloseRange => {
                self.close_range(tid, args);
                Next::Continue
            }
            Bookkeeping::EpollCtl if !is_known(int(args[2])) => Next::Continue,
            Bookkeeping::Unshare if int(args[0]) & libc::CLONE_FILES == 0 => Next::Continue,
            Bookkeeping::RestartSyscall | Bookkeeping::RtSigreturn => Next::Continue,
            _ => Next::UntilEnd,
        }
    }

    /// close_range(2) fails for nothing but nonsense, so it is taken as done.
    fn close_range(&mut self, tid: i32, args: &[u64; 6]) {
        let (first, last, flags) = (args[0] as u32, args[1] as u32, args[2] as u32);
        if first > last {
            return;
        }
        if flags & libc::CLOSE_RANGE_UNSHARE != 0 {
            self.table.files_unshared(tid);
        }
        match flags & libc::CLOSE_RANGE_CLOEXEC != 0 {
            true => self.table.marked_range(tid, first, last),
            false => self.table.closed_range(tid, first, last),
        }
    }

    fn reported(&mut self, tid: i32, name: CallName, args: &[u64; 6]) -> Next {
        let memory = Memory { tid };
        match name {
            CallName::Socket => Next::Report(Seen {
                fd: None,
                socket: None,
                detail: Detail::None,
            }),
            CallName::Poll | CallName::Ppoll => {
                self.waiting(tid, name, args, &wait::poll_requested(memory, args))
            }
            CallName::Select | CallName::Pselect6 => {
                self.waiting(tid, name, args, &wait::select_sets(memory, args))
            }
            CallName::EpollWait | CallName::EpollPwait | CallName::EpollPwait2 => {
                self.epoll_waiting(tid, name, args)
            }
            _ => self.on_descriptor(tid, name, args),
        }
    }

    fn on_descriptor(&mut self, tid: i32, name: CallName, args: &[u64; 6]) -> Next {
        let memory = Memory { tid };
        let fd = int(args[0]);
        let target = int(args[2]);
        let (fd, id) = match (self.table.object(tid, fd), name) {
            (Some(Object::Socket(id)), _) => (fd, id),
            (_, CallName::Splice) => match self.table.object(tid, target) {
                Some(Object::Socket(id)) => (target, id),
                _ => return Next::Continue,
            },
            (_, CallName::Recvmsg) if message::has_control(memory, args[1]) => {
                return Next::UntilEnd;
            }
            (_, CallName::Sendmsg) => {
                for fd in message::descriptors(memory, args[1]) {
                    self.passing(tid, fd);
                }
                return Next::Continue;
            }
            (Some(Object::Epoll(_)), CallName::Close) => {
                self.table.closed(tid, fd);
                return Next::Continue;
            }
            _ => return Next::Continue,
        };
        let Some(detail) = detail(memory, name, args) else {
            return Next::Continue;
        };
        Next::Report(Seen {
            fd: Some(fd),
            socket: Some(id),
            detail,
        })
    }

    fn waiting(&self, tid: i32, name: CallName, args: &[u64; 6], polled: &[wait::Polled]) -> Next {
        let sockets = self.sockets_of(tid, polled);
        if sockets.is_empty() {
            return Next::Continue;
        }
        Next::Report(Seen {
            fd: None,
            socket: None,
            detail: Detail::Wait {
                sockets,
                timeout: wait::timeout(Memory { tid }, name, args),
            },
        })
    }

    fn epoll_waiting(&self, tid: i32, name: CallName, args: &[u64; 6]) -> Next {
        let epfd = int(args[0]);
        if !self.table.epoll_has_sockets(tid, epfd) {
            return Next::Continue;
        }
        Next::Report(Seen {
            fd: Some(epfd),
            socket: None,
            detail: Detail::Wait {
                sockets: self.table.epoll_sockets(tid, epfd),
                timeout: wait::timeout(Memory { tid }, name, args),
            },
        })
    }

    /// Those that are sockets.
    pub(super) fn sockets_of(&self, tid: i32, polled: &[wait::Polled]) -> Vec<Ready> {
        let ready = |&(fd, events): &wait::Polled| {
            let socket = self.table.socket(tid, fd)?;
            Some(Ready { fd, socket, events })
        };
        polled.iter().filter_map(ready).collect()
    }

    /// Skips the call and answers ENOSYS, as a kernel without CONFIG_IO_URING.
    /// Number -1 makes seccomp skip it (__seccomp_filter(), SECCOMP_RET_TRACE).
    #[cfg(target_arch = "x86_64")]
    fn refuse_io_uring(&mut self, tid: i32, at: i64) {
        let pid = nix::unistd::Pid::from_raw(tid);
        if let Ok(mut registers) = nix::sys::ptrace::getregs(pid) {
            registers.orig_rax = u64::MAX;
            registers.rax = i64::from(-libc::ENOSYS).cast_unsigned();
            // It fails only when the task has been killed.
            let _ = nix::sys::ptrace::setregs(pid, registers);
        }
        self.say_io_uring(tid, at);
    }

    /// Elsewhere rings are let through; that they are not seen is said.
    #[cfg(not(target_arch = "x86_64"))]
    fn refuse_io_uring(&mut self, tid: i32, at: i64) {
        self.say_io_uring(tid, at);
    }

    fn say_io_uring(&mut self, tid: i32, at: i64) {
        let said = self
            .tasks
            .get(&tid)
            .and_then(|task| self.processes.get_mut(&task.pid))
            .map(|process| std::mem::replace(&mut process.io_uring_said, true));
        if said == Some(false) {
            self.emit(at, tid, What::Unseen(Unseen::IoUring));
        }
    }
}

/// The arguments that matter; None: this use of the call does not.
fn detail(memory: Memory, name: CallName, args: &[u64; 6]) -> Option<Detail> {
    Some(match name {
        CallName::Connect | CallName::Bind => {
            address::read(memory, args[1], args[2]).map_or(Detail::None, Detail::Address)
        }
        CallName::Listen => Detail::Backlog(int(args[1])),
        CallName::Shutdown => Detail::Shutdown(int(args[1])),
        CallName::Read | CallName::Write | CallName::Sendto | CallName::Recvfrom => {
            Detail::Bytes(args[2])
        }
        CallName::Sendfile => Detail::Bytes(args[3]),
        CallName::Splice => Detail::Bytes(args[4]),
        CallName::Setsockopt => {
            let length = usize::try_from(args[4] as u32).unwrap_or(0).min(16);
            let value = memory.bytes(args[3], length).unwrap_or_default();
            Detail::Set(Setting::decode(int(args[1]), int(args[2]), &value))
        }
        // The filter cannot see the level and the option as a pair.
        CallName::Getsockopt if int(args[1]) != libc::SOL_SOCKET => return None,
        CallName::Getsockopt => Detail::SocketError,
        _ => Detail::None,
    })
}
