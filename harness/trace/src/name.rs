//! The calls that are observed, by name and by number.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! calls {
    ($($(#[$cfg:meta])* $variant:ident $text:literal $number:ident,)*) => {
        /// A system call that is reported when it is made on a socket.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum CallName {
            $(#[doc = concat!("`", $text, "(2)`")] $variant,)*
        }

        impl CallName {
            /// The call's name as in its man page.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Every call that is reported on some architecture.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Every reported call of this architecture with its number.
            pub(crate) const NUMBERS: &[(Self, libc::c_long)] =
                &[$($(#[$cfg])* (Self::$variant, libc::$number),)*];
        }
    };
}

calls! {
    Socket "socket" SYS_socket,
    Connect "connect" SYS_connect,
    Bind "bind" SYS_bind,
    Listen "listen" SYS_listen,
    Accept "accept" SYS_accept,
    Accept4 "accept4" SYS_accept4,
    Read "read" SYS_read,
    Readv "readv" SYS_readv,
    Write "write" SYS_write,
    Writev "writev" SYS_writev,
    Sendto "sendto" SYS_sendto,
    Sendmsg "sendmsg" SYS_sendmsg,
    Sendmmsg "sendmmsg" SYS_sendmmsg,
    Sendfile "sendfile" SYS_sendfile,
    Splice "splice" SYS_splice,
    Recvfrom "recvfrom" SYS_recvfrom,
    Recvmsg "recvmsg" SYS_recvmsg,
    Recvmmsg "recvmmsg" SYS_recvmmsg,
    #[cfg(target_arch = "x86_64")]
    Poll "poll" SYS_poll,
    Ppoll "ppoll" SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    Select "select" SYS_select,
    Pselect6 "pselect6" SYS_pselect6,
    #[cfg(target_arch = "x86_64")]
    EpollWait "epoll_wait" SYS_epoll_wait,
    EpollPwait "epoll_pwait" SYS_epoll_pwait,
    EpollPwait2 "epoll_pwait2" SYS_epoll_pwait2,
    Shutdown "shutdown" SYS_shutdown,
    Close "close" SYS_close,
    Getsockopt "getsockopt" SYS_getsockopt,
    Setsockopt "setsockopt" SYS_setsockopt,
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that changes which descriptors are sockets, or how an earlier call
/// goes on; or one that asks for another user, which is reported when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bookkeeping {
    Dup,
    Dup2,
    Dup3,
    Fcntl,
    CloseRange,
    EpollCreate,
    EpollCreate1,
    EpollCtl,
    Unshare,
    PidfdGetfd,
    RestartSyscall,
    RtSigreturn,
    IoUringSetup,
    Setgroups,
    Setuid,
    Setgid,
    Setresuid,
    Setresgid,
    Chown,
    Fchown,
    Fchownat,
}

impl Bookkeeping {
    /// The name of a call that asks for another user, or gives one a file: where few
    /// users are mapped it is refused, which explains why a program ended.
    pub(crate) fn asks_for_a_user(self) -> Option<&'static str> {
        Some(match self {
            Self::Setgroups => "setgroups",
            Self::Setuid => "setuid",
            Self::Setgid => "setgid",
            Self::Setresuid => "setresuid",
            Self::Setresgid => "setresgid",
            Self::Chown => "chown",
            Self::Fchown => "fchown",
            Self::Fchownat => "fchownat",
            _ => return None,
        })
    }

    pub(crate) const NUMBERS: &[(Self, libc::c_long)] = &[
        (Self::Dup, libc::SYS_dup),
        #[cfg(target_arch = "x86_64")]
        (Self::Dup2, libc::SYS_dup2),
        (Self::Dup3, libc::SYS_dup3),
        (Self::Fcntl, libc::SYS_fcntl),
        (Self::CloseRange, libc::SYS_close_range),
        #[cfg(target_arch = "x86_64")]
        (Self::EpollCreate, libc::SYS_epoll_create),
        (Self::EpollCreate1, libc::SYS_epoll_create1),
        (Self::EpollCtl, libc::SYS_epoll_ctl),
        (Self::Unshare, libc::SYS_unshare),
        (Self::PidfdGetfd, libc::SYS_pidfd_getfd),
        (Self::RestartSyscall, libc::SYS_restart_syscall),
        (Self::RtSigreturn, libc::SYS_rt_sigreturn),
        (Self::IoUringSetup, libc::SYS_io_uring_setup),
        (Self::Setgroups, libc::SYS_setgroups),
        (Self::Setuid, libc::SYS_setuid),
        (Self::Setgid, libc::SYS_setgid),
        (Self::Setresuid, libc::SYS_setresuid),
        (Self::Setresgid, libc::SYS_setresgid),
        #[cfg(target_arch = "x86_64")]
        (Self::Chown, libc::SYS_chown),
        (Self::Fchown, libc::SYS_fchown),
        (Self::Fchownat, libc::SYS_fchownat),
    ];
}

/// What a system call number means to the tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Reported(CallName),
    Bookkeeping(Bookkeeping),
}

/// Numbers to meanings, as an array: a look-up happens at every stop.
#[derive(Debug)]
pub(crate) struct Numbers(Vec<Option<Known>>);

impl Numbers {
    pub(crate) fn new() -> Self {
        let reported = CallName::NUMBERS
            .iter()
            .map(|&(name, number)| (number, Known::Reported(name)));
        let others = Bookkeeping::NUMBERS
            .iter()
            .map(|&(call, number)| (number, Known::Bookkeeping(call)));
        let mut table = vec![None; 512];
        for (number, known) in reported.chain(others) {
            let index = usize::try_from(number).expect("call numbers are not negative");
            table[index] = Some(known);
        }
        Self(table)
    }

    pub(crate) fn get(&self, number: u64) -> Option<Known> {
        *self.0.get(usize::try_from(number).ok()?)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_agree() {
        let numbers = Numbers::new();
        for &(name, number) in CallName::NUMBERS {
            assert_eq!(
                numbers.get(number as u64),
                Some(Known::Reported(name)),
                "{name}"
            );
        }
        assert_eq!(numbers.get(libc::SYS_getpid as u64), None);
        assert_eq!(numbers.get(u64::MAX), None);
    }
}
