//! What a traced program does, as plain data.
//!
//! Nothing here does I/O. Every type serialises both to JSON and to formats
//! that do not describe themselves, such as postcard.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{CallName, Errno, Readiness, Setting, SignalNumber};

/// Something a traced process did, or that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// CLOCK_MONOTONIC, when the tracer saw it.
    pub at_ns: i64,
    /// The process. For lines of output: the program that was started, since a
    /// pipe does not say who wrote.
    pub pid: i32,
    /// The thread; the same number as `pid` for a process's first one.
    pub tid: i32,
    /// What it was.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// A call on a socket began.
    Entered(Entered),
    /// A call on a socket ended. A call that was under way when its thread
    /// ended has no such event.
    Returned(Returned),
    /// The program wrote a line.
    Line(Line),
    /// The program wrote more than [`crate::Program::output_limit`] to one stream; the rest
    /// is read and thrown away.
    OutputLimit {
        /// To which stream.
        stream: Stream,
    },
    /// Nobody can write to this stream any more.
    StreamClosed {
        /// Which.
        stream: Stream,
    },
    /// A signal is about to be delivered.
    Signal {
        /// Which.
        signal: SignalNumber,
        /// Who sent it by kill(2) or sigqueue(3); None: the kernel.
        sender: Option<i32>,
    },
    /// The process was stopped by a signal (SIGSTOP, SIGTSTP, ...).
    Stopped {
        /// By which.
        signal: SignalNumber,
    },
    /// The process goes on after a stop.
    Continued,
    /// A process or a thread was made by this one.
    Created {
        /// Its number.
        child: i32,
        /// A thread of the same process, not a process.
        thread: bool,
    },
    /// The process began another program, or the program asked for.
    Executed {
        /// The file, as /proc/PID/exe names it.
        path: String,
        /// Its arguments.
        argv: Vec<String>,
    },
    /// A thread ended, its process did not.
    ThreadEnded,
    /// The process ended.
    Ended(End),
    /// Something that this tracer does not see.
    Unseen(Unseen),
    /// A call that asks for another user, or gives one a file, failed.
    Refused {
        /// `setgroups`.
        call: String,
        /// EPERM or EINVAL: the user is not mapped in this user namespace
        /// (user_namespaces(7)), or the caller may not.
        errno: Errno,
    },
    /// What observing has cost so far: said after every thousand stops, and before the
    /// end of the program.
    Cost(Cost),
}

/// What observing has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// How often a task was stopped: twice a call on a socket, once a call of the same
    /// name on something else, and at signals and forks.
    pub stops: u64,
    /// How long the tracer had the stopped tasks, in nanoseconds: from when it saw the
    /// stop until it let the task go. Switching to it and back is not in it.
    pub held_ns: u64,
}

/// The beginning of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// Counts calls; [`Returned`] has the same number.
    pub call: u64,
    /// Which call.
    pub name: CallName,
    /// The descriptor it is made on; of epoll_wait() the epoll descriptor.
    pub fd: Option<i32>,
    /// The socket behind the descriptor.
    pub socket: Option<Socket>,
    /// The arguments that matter.
    pub detail: Detail,
}

/// Arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Detail {
    /// None that matter, or they could not be read.
    None,
    /// connect() and bind().
    Address(SocketAddr),
    /// How many bytes are to be sent or received at most.
    Bytes(u64),
    /// poll(), select() and epoll_wait().
    Wait {
        /// The sockets waited for; other descriptors are left out.
        sockets: Vec<Ready>,
        /// None: for ever.
        timeout: Option<Duration>,
    },
    /// setsockopt().
    Set(Setting),
    /// getsockopt(SO_ERROR).
    SocketError,
    /// shutdown(): SHUT_RD (0), SHUT_WR (1) or SHUT_RDWR (2).
    Shutdown(i32),
    /// listen().
    Backlog(i32),
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The number of its [`Entered`].
    pub call: u64,
    /// Which call.
    pub name: CallName,
    /// The descriptor it was made on.
    pub fd: Option<i32>,
    /// The socket behind the descriptor, with the addresses known now.
    pub socket: Option<Socket>,
    /// CLOCK_MONOTONIC, when it was entered. A restart does not change it.
    pub entered_ns: i64,
    /// What it returned.
    pub result: Result<i64, Errno>,
    /// How often a signal or a stop interrupted it and it went on unseen by
    /// the program (signal(7), "Interruption of system calls").
    pub restarts: u32,
    /// What else it gave.
    pub gave: Gave,
}

/// What a call gave besides its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gave {
    /// Nothing.
    Nothing,
    /// The socket that socket() or accept() made.
    Socket(Socket),
    /// The sockets that are ready; other descriptors are left out.
    Ready(Vec<Ready>),
    /// The value of SO_ERROR; None: no error.
    SocketError(Option<Errno>),
    /// What setsockopt() set.
    Set(Setting),
}

/// A socket among those waited for, or ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its descriptor; for epoll the one it was added by.
    pub fd: i32,
    /// The socket.
    pub socket: Socket,
    /// Waited for, or ready for.
    pub events: Readiness,
}

/// Counts the sockets that the tracer saw: the same number, the same socket,
/// in whichever process and under whichever descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SocketId(pub u32);

/// A TCP or UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Socket {
    /// Which.
    pub id: SocketId,
    /// TCP, UDP or something else.
    pub protocol: Protocol,
    /// Its own address, once it has one. IPv4 in IPv6 (::ffff:a.b.c.d) is shown as IPv4.
    pub local: Option<SocketAddr>,
    /// The other end's.
    pub peer: Option<SocketAddr>,
    /// listen() succeeded.
    pub listening: bool,
}

/// The protocol of an internet socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// SOCK_STREAM.
    Tcp,
    /// SOCK_DGRAM.
    Udp,
    /// Raw and others.
    Other,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Where it was written to.
    pub stream: Stream,
    /// Without its end; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// False: the stream ended, or the line was longer than 64 KiB and goes on.
    pub complete: bool,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It left with this code.
    Code(i32),
    /// A signal ended it.
    Killed {
        /// Which.
        signal: SignalNumber,
        /// With a core dump.
        core: bool,
    },
}

/// What the tracer does not see, said once a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unseen {
    /// A 32-bit program: its calls have other numbers and are not seen.
    ThirtyTwoBit,
    /// The program asked for an io_uring, whose operations are no system calls.
    /// It was told that there is none (ENOSYS) and uses something else, or ends.
    IoUring,
    /// A process that could not be told apart: its parent was killed while
    /// making it. Sockets that it inherited are not known.
    LostParent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_json_and_postcard() {
        let socket = Socket {
            id: SocketId(3),
            protocol: Protocol::Tcp,
            local: "10.0.0.1:80".parse().ok(),
            peer: None,
            listening: true,
        };
        let event = Event {
            at_ns: 5,
            pid: 7,
            tid: 8,
            what: What::Returned(Returned {
                call: 9,
                name: CallName::EpollWait,
                fd: Some(4),
                socket: None,
                entered_ns: 1,
                result: Err(Errno(libc::EINTR)),
                restarts: 1,
                gave: Gave::Ready(vec![Ready {
                    fd: 5,
                    socket,
                    events: Readiness(1),
                }]),
            }),
        };
        let json = serde_json::to_string(&event).expect("plain data");
        assert!(json.contains("\"Err\":\"EINTR\""), "{json}");
        assert_eq!(
            serde_json::from_str::<Event>(&json).ok(),
            Some(event.clone())
        );
        let bytes = postcard::to_stdvec(&event).expect("plain data");
        assert_eq!(postcard::from_bytes(&bytes), Ok(event));
    }
}
