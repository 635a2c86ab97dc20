//! The standard streams of this process, for the command in the guest.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};

use crate::protocol::command::Stream;

/// What standard output and standard error are, and whether they are the same file.
pub(super) fn outputs() -> ([Stream; 2], bool) {
    let (out, err) = (io::stdout(), io::stderr());
    let kinds = [kind(&out, out.is_terminal()), kind(&err, err.is_terminal())];
    let both_terminals = out.is_terminal() && err.is_terminal();
    let same = match (fstat(&out), fstat(&err)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    };
    (kinds, both_terminals || same)
}

fn kind(fd: impl AsFd, terminal: bool) -> Stream {
    match terminal {
        true => {
            let (rows, columns) = halfopen_sys::terminal::size(fd).unwrap_or((24, 80));
            Stream::Terminal { rows, columns }
        }
        false => Stream::Pipe,
    }
}

/// Whether standard input has nothing: it is closed, or /dev/null.
pub(super) fn no_input() -> bool {
    let null = nix::sys::stat::stat("/dev/null").map(|stat| stat.st_rdev);
    match (fstat(io::stdin()), null) {
        (Ok(stat), Ok(null)) => {
            let device = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
            device && stat.st_rdev == null
        }
        _ => true,
    }
}

/// Writes to standard output (1) or standard error (2); false: nobody reads it any
/// more.
pub(super) fn write(number: u8, bytes: &[u8]) -> io::Result<bool> {
    let written = match number {
        2 => io::stderr().write_all(bytes),
        _ => {
            let mut out = io::stdout();
            out.write_all(bytes).and_then(|()| out.flush())
        }
    };
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(e),
    }
}

/// Reads from standard input, without a buffer: what the command does not read stays
/// there. None: nothing has come within `wait`.
pub(super) fn read(size: usize, wait: Duration) -> io::Result<Option<Vec<u8>>> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
    match poll(&mut fds, timeout) {
        Ok(0) | Err(nix::Error::EINTR) => return Ok(None),
        Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    let mut bytes = vec![0; size];
    let count = nix::unistd::read(&stdin, &mut bytes)?;
    bytes.truncate(count);
    Ok(Some(bytes))
}
