//! The end of a call: its result, and what it did to the table.

use super::calls::{Pending, RESTART};
use super::{Tracer, unless_gone};
use crate::decode::{Memory, int, message, wait};
use crate::error::TraceError;
use crate::event::{Detail, Gave, Protocol, Returned, Socket, What};
use crate::name::{Bookkeeping, Known};
use crate::table::Object;
use crate::{CallName, Errno};
use halfopen_sys::ptrace::{self, SyscallInfo};

impl Tracer<'_> {
    pub(super) fn call_ended(&mut self, tid: i32, at: i64) -> Result<(), TraceError> {
        let Ok(SyscallInfo::Exit { result }) = ptrace::syscall_info(tid) else {
            return unless_gone(ptrace::cont(tid, 0));
        };
        let Some(task) = self.tasks.get_mut(&tid) else {
            return unless_gone(ptrace::cont(tid, 0));
        };
        if std::mem::take(&mut task.returning) {
            // rt_sigreturn() "returns" what the interrupted call will.
            if result == i64::from(-libc::EINTR)
                && let Some(pending) = task.finish_interrupted()
            {
                self.returned(tid, at, &pending, result);
            }
            return unless_gone(ptrace::cont(tid, 0));
        }
        if let Some(mut pending) = task.finish() {
            if RESTART.contains(&result) {
                pending.interrupted = true;
                task.pending.push(pending);
            } else {
                self.returned(tid, at, &pending, result);
            }
        }
        unless_gone(ptrace::cont(tid, 0))
    }

    fn returned(&mut self, tid: i32, at: i64, pending: &Pending, raw: i64) {
        match pending.known {
            Known::Bookkeeping(call) if raw >= 0 => {
                self.bookkept(tid, call, &pending.frame.args, raw);
            }
            Known::Bookkeeping(call) => self.refused(tid, at, call, raw),
            Known::Reported(CallName::Recvmsg) if pending.call.is_none() => {
                if raw >= 0 {
                    self.received(tid, &pending.frame.args);
                }
            }
            Known::Reported(name) => self.report(tid, at, pending, name, raw),
        }
    }

    /// A call that asks for another user failed because of who may be asked for.
    fn refused(&mut self, tid: i32, at: i64, call: Bookkeeping, raw: i64) {
        let errno = Errno(i32::try_from(-raw).unwrap_or(0));
        if let (Some(call), libc::EPERM | libc::EINVAL) = (call.asks_for_a_user(), errno.0) {
            let call = call.to_owned();
            self.emit(at, tid, What::Refused { call, errno });
        }
    }

    fn report(&mut self, tid: i32, at: i64, pending: &Pending, name: CallName, raw: i64) {
        let result = match raw {
            -4095..=-1 => Err(Errno(i32::try_from(-raw).unwrap_or(0))),
            value => Ok(value),
        };
        let gave = self.gave(tid, pending, name, result);
        let returned = Returned {
            call: pending.call.unwrap_or(0),
            name,
            fd: pending.fd,
            socket: pending
                .socket
                .map(|was| self.table.get(was.id).unwrap_or(was)),
            entered_ns: pending.entered_ns,
            result,
            restarts: pending.restarts,
            gave,
        };
        self.emit(at, tid, What::Returned(returned));
    }

    /// What the call gave, noted in the table.
    fn gave(
        &mut self,
        tid: i32,
        pending: &Pending,
        name: CallName,
        result: Result<i64, Errno>,
    ) -> Gave {
        let args = &pending.frame.args;
        let memory = Memory { tid };
        match (name, result) {
            (CallName::Connect, _) => self.connected(tid, pending, result),
            (_, Err(_)) => {}
            (CallName::Socket, Ok(fd)) => {
                let protocol = protocol(int(args[1]));
                let close_on_exec = int(args[1]) & libc::SOCK_CLOEXEC != 0;
                return self.made(tid, fd, protocol, close_on_exec);
            }
            (CallName::Accept, Ok(fd)) => return self.made(tid, fd, Protocol::Tcp, false),
            (CallName::Accept4, Ok(fd)) => {
                let close_on_exec = int(args[3]) & libc::SOCK_CLOEXEC != 0;
                return self.made(tid, fd, Protocol::Tcp, close_on_exec);
            }
            (CallName::Bind | CallName::Listen, Ok(_)) => {
                if let (Some(fd), Some(Socket { id, .. })) = (pending.fd, pending.socket) {
                    if let Detail::Address(address) = pending.detail {
                        self.table.set_addresses(id, Some(address), None);
                    }
                    self.resolve(tid, fd, id);
                    if name == CallName::Listen {
                        self.table.set_listening(id);
                    }
                }
            }
            (CallName::Setsockopt, Ok(_)) => {
                if let Some(setting) = pending.detail.setting() {
                    return Gave::Set(setting.clone());
                }
            }
            (CallName::Getsockopt, Ok(_)) => {
                if let Some(error) = memory.int(args[3]) {
                    return Gave::SocketError((error != 0).then_some(Errno(error)));
                }
            }
            (CallName::Poll | CallName::Ppoll, Ok(count)) => {
                let ready = match count {
                    0 => Vec::new(),
                    _ => self.sockets_of(tid, &wait::poll_ready(memory, args)),
                };
                return Gave::Ready(ready);
            }
            (CallName::Select | CallName::Pselect6, Ok(count)) => {
                let ready = match count {
                    0 => Vec::new(),
                    _ => self.sockets_of(tid, &wait::select_sets(memory, args)),
                };
                return Gave::Ready(ready);
            }
            (CallName::EpollWait | CallName::EpollPwait | CallName::EpollPwait2, Ok(count)) => {
                let epfd = int(args[0]);
                let ready = wait::epoll_ready(memory, args, count)
                    .into_iter()
                    .filter_map(|(events, data)| self.table.epoll_ready(tid, epfd, data, events))
                    .collect();
                return Gave::Ready(ready);
            }
            _ => {}
        }
        Gave::Nothing
    }

    /// connect() succeeded, goes on by itself (EINPROGRESS), or failed.
    fn connected(&mut self, tid: i32, pending: &Pending, result: Result<i64, Errno>) {
        let under_way = matches!(result, Ok(_) | Err(Errno(libc::EINPROGRESS)));
        let (Some(fd), Some(Socket { id, .. })) = (pending.fd, pending.socket) else {
            return;
        };
        // Also when it failed: it is the connection that the errno belongs to.
        if let Detail::Address(peer) = pending.detail {
            self.table.set_addresses(id, None, Some(peer));
        }
        if under_way {
            self.resolve(tid, fd, id);
        }
    }

    fn made(&mut self, tid: i32, fd: i64, protocol: Protocol, close_on_exec: bool) -> Gave {
        let Ok(fd) = i32::try_from(fd) else {
            return Gave::Nothing;
        };
        let id = self.table.new_socket(protocol);
        self.table
            .opened(tid, fd, Object::Socket(id), close_on_exec);
        self.resolve(tid, fd, id);
        let unknown = Socket {
            id,
            protocol,
            local: None,
            peer: None,
            listening: false,
        };
        Gave::Socket(self.table.get(id).unwrap_or(unknown))
    }

    /// A message arrived on a socket of another family; it may carry sockets.
    fn received(&mut self, tid: i32, args: &[u64; 6]) {
        let close_on_exec = int(args[2]) & libc::MSG_CMSG_CLOEXEC != 0;
        for fd in message::descriptors(Memory { tid }, args[1]) {
            self.adopt(tid, fd, close_on_exec);
        }
    }

    fn bookkept(&mut self, tid: i32, call: Bookkeeping, args: &[u64; 6], result: i64) {
        let Ok(result) = i32::try_from(result) else {
            return;
        };
        let old = int(args[0]);
        match call {
            Bookkeeping::Dup | Bookkeeping::Dup2 => {
                self.table.duplicated(tid, old, result, false);
            }
            Bookkeeping::Dup3 => {
                let close_on_exec = int(args[2]) & libc::O_CLOEXEC != 0;
                self.table.duplicated(tid, old, result, close_on_exec);
            }
            Bookkeeping::Fcntl => {
                let close_on_exec = int(args[1]) == libc::F_DUPFD_CLOEXEC;
                self.table.duplicated(tid, old, result, close_on_exec);
            }
            Bookkeeping::EpollCreate | Bookkeeping::EpollCreate1 => {
                let close_on_exec =
                    call == Bookkeeping::EpollCreate1 && old & libc::EPOLL_CLOEXEC != 0;
                let id = self.table.new_epoll();
                self.table
                    .opened(tid, result, Object::Epoll(id), close_on_exec);
            }
            Bookkeeping::EpollCtl => self.epoll_changed(tid, args),
            Bookkeeping::Unshare => self.table.files_unshared(tid),
            Bookkeeping::PidfdGetfd => self.adopt(tid, result, true),
            // Nothing that the table knows; some were done at the beginning of the call.
            _ => {}
        }
    }

    fn epoll_changed(&mut self, tid: i32, args: &[u64; 6]) {
        let (epfd, fd) = (int(args[0]), int(args[2]));
        match int(args[1]) {
            libc::EPOLL_CTL_DEL => self.table.epoll_removed(tid, epfd, fd),
            _ => {
                if let Some((events, data)) = wait::epoll_argument(Memory { tid }, args[3]) {
                    self.table.epoll_added(tid, epfd, fd, events, data);
                }
            }
        }
    }
}

fn protocol(kind: i32) -> Protocol {
    // SOCK_NONBLOCK and SOCK_CLOEXEC share the argument (socket(2)).
    match kind & 0xf {
        libc::SOCK_STREAM => Protocol::Tcp,
        libc::SOCK_DGRAM => Protocol::Udp,
        _ => Protocol::Other,
    }
}
