//! Events as lines for people.

use std::fmt;
use std::time::Duration;

use crate::event::{
    Detail, End, Entered, Event, Gave, Ready, Returned, Socket, Stream, Unseen, What,
};

impl fmt::Display for Event {
    /// One line, without the time: `12/14 recvfrom 7 10.0.0.1:5000>10.0.0.2:80 = ETIMEDOUT after 30.49s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid == self.tid {
            true => write!(f, "{} ", self.pid)?,
            false => write!(f, "{}/{} ", self.pid, self.tid)?,
        }
        match &self.what {
            What::Returned(returned) => {
                write!(f, "{returned}")?;
                let took = self.at_ns.saturating_sub(returned.entered_ns);
                let took = Duration::from_nanos(u64::try_from(took).unwrap_or(0));
                write!(f, " after {took:.2?}")?;
                match returned.restarts {
                    0 => Ok(()),
                    1 => f.write_str(" (restarted once)"),
                    n => write!(f, " (restarted {n} times)"),
                }
            }
            what => write!(f, "{what}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered(entered) => write!(f, "{entered}"),
            Self::Returned(returned) => write!(f, "{returned}"),
            Self::Line(line) => {
                let more = if line.complete { "" } else { " (no line end)" };
                write!(f, "{}: {}{more}", line.stream, line.text)
            }
            Self::OutputLimit { stream } => write!(f, "{stream}: further output is not kept"),
            Self::StreamClosed { stream } => write!(f, "{stream}: closed"),
            Self::Signal { signal, sender } => match sender {
                Some(pid) => write!(f, "{signal} from {pid}"),
                None => write!(f, "{signal}"),
            },
            Self::Stopped { signal } => write!(f, "stopped by {signal}"),
            Self::Continued => f.write_str("goes on"),
            Self::Created { child, thread } => match thread {
                true => write!(f, "new thread {child}"),
                false => write!(f, "new process {child}"),
            },
            Self::Executed { path, argv } => write!(f, "executes {path} {argv:?}"),
            Self::ThreadEnded => f.write_str("thread ended"),
            Self::Ended(end) => write!(f, "ended: {end}"),
            Self::Unseen(unseen) => write!(f, "{unseen}"),
            Self::Refused { call, errno } => write!(f, "{call} was refused: {errno}"),
            Self::Cost(cost) => {
                let held = Duration::from_nanos(cost.held_ns);
                write!(f, "{} stops so far, held for {held:.2?}", cost.stops)
            }
        }
    }
}

impl fmt::Display for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        on(f, self.fd, self.socket.as_ref())?;
        match &self.detail {
            Detail::None => {}
            Detail::Address(address) => write!(f, " {address}")?,
            Detail::Bytes(count) => write!(f, " {count} bytes")?,
            Detail::Wait { sockets, timeout } => {
                f.write_str(" for")?;
                list(f, sockets)?;
                match timeout {
                    Some(timeout) => write!(f, ", at most {timeout:?}")?,
                    None => f.write_str(", for ever")?,
                }
            }
            Detail::Set(setting) => write!(f, " {setting}")?,
            Detail::SocketError => f.write_str(" SO_ERROR")?,
            Detail::Shutdown(how) => {
                let names = ["SHUT_RD", "SHUT_WR", "SHUT_RDWR"];
                let name = usize::try_from(*how).ok().and_then(|n| names.get(n));
                write!(f, " {}", name.unwrap_or(&"?"))?;
            }
            Detail::Backlog(backlog) => write!(f, " backlog {backlog}")?,
        }
        f.write_str(" ...")
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        on(f, self.fd, self.socket.as_ref())?;
        match &self.result {
            Ok(value) => write!(f, " = {value}")?,
            Err(errno) => write!(f, " = {errno}")?,
        }
        match &self.gave {
            Gave::Nothing => Ok(()),
            Gave::Socket(socket) => write!(f, " {socket}"),
            Gave::Ready(ready) if ready.is_empty() => Ok(()),
            Gave::Ready(ready) => {
                f.write_str(":")?;
                list(f, ready)
            }
            Gave::SocketError(Some(errno)) => write!(f, " SO_ERROR={errno}"),
            Gave::SocketError(None) => f.write_str(" SO_ERROR=0"),
            Gave::Set(setting) => write!(f, " {setting}"),
        }
    }
}

fn on(f: &mut fmt::Formatter<'_>, fd: Option<i32>, socket: Option<&Socket>) -> fmt::Result {
    if let Some(fd) = fd {
        write!(f, " {fd}")?;
    }
    match socket {
        Some(socket) => write!(f, " {socket}"),
        None => Ok(()),
    }
}

fn list(f: &mut fmt::Formatter<'_>, ready: &[Ready]) -> fmt::Result {
    for (index, ready) in ready.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(f, "{comma} {} {} {}", ready.fd, ready.socket, ready.events)?;
    }
    Ok(())
}

impl fmt::Display for Socket {
    /// `local>peer`, `*` for what is not known; a listening socket has no peer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.local, self.peer) {
            (None, None) => write!(f, "#{}", self.id.0),
            (Some(local), None) if self.listening => write!(f, "{local} listening"),
            (Some(local), None) => write!(f, "{local}"),
            (None, Some(peer)) => write!(f, "*>{peer}"),
            (Some(local), Some(peer)) => write!(f, "{local}>{peer}"),
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Killed { signal, core } => {
                let core = if *core { ", core dumped" } else { "" };
                write!(f, "killed by {signal}{core}")
            }
        }
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThirtyTwoBit => "32-bit program: its calls are not seen",
            Self::IoUring => {
                "asked for an io_uring, whose operations would not be seen, and was told that there is none (ENOSYS)"
            }
            Self::LostParent => {
                "its parent was killed while making it: sockets that it inherited are not known"
            }
        })
    }
}
