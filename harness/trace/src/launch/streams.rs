//! The program's standard streams: the tracer's ends and the child's.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;

use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use crate::error::TraceError;
use crate::program::{Output, Program, Stdin};

/// What the tracer holds.
pub(crate) struct Ends {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
}

/// What becomes the child's descriptors 0, 1 and 2; None: they stay as they are.
pub(super) type Inner = [Option<OwnedFd>; 3];

pub(super) fn open(program: &Program) -> Result<(Ends, Inner), TraceError> {
    let (stdin, inner_stdin) = input(&program.stdin)?;
    let (stdout, inner_stdout) = output(program.stdout)?;
    let (stderr, inner_stderr) = output(program.stderr)?;
    let ends = Ends {
        stdin,
        stdout,
        stderr,
    };
    Ok((ends, [inner_stdin, inner_stdout, inner_stderr]))
}

fn input(stdin: &Stdin) -> Result<(Option<OwnedFd>, Option<OwnedFd>), TraceError> {
    match stdin {
        Stdin::Inherit => Ok((None, None)),
        Stdin::Null => Ok((None, Some(null()?))),
        Stdin::File(path) => {
            let file = File::open(path).map_err(|source| TraceError::Stdin {
                path: path.clone(),
                source,
            })?;
            Ok((None, Some(file.into())))
        }
        Stdin::Text(_) | Stdin::Open(_) => {
            let (reader, writer) = io::pipe().map_err(TraceError::system("pipe()"))?;
            Ok((Some(writer.into()), Some(reader.into())))
        }
    }
}

fn output(output: Output) -> Result<(Option<OwnedFd>, Option<OwnedFd>), TraceError> {
    match output {
        Output::Inherit => Ok((None, None)),
        Output::Null => Ok((None, Some(null()?))),
        Output::Lines => {
            let (reader, writer) = io::pipe().map_err(TraceError::system("pipe()"))?;
            Ok((Some(reader.into()), Some(writer.into())))
        }
        Output::Terminal => terminal().map(|(master, slave)| (Some(master), Some(slave))),
    }
}

fn null() -> Result<OwnedFd, TraceError> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/null");
    Ok(file.map_err(TraceError::system("open /dev/null"))?.into())
}

/// A pseudo-terminal that changes nothing: no echo, and "\n" stays "\n".
fn terminal() -> Result<(OwnedFd, OwnedFd), TraceError> {
    let make = || -> nix::Result<(OwnedFd, OwnedFd)> {
        let pty = openpty(None, None)?;
        let mut settings = tcgetattr(&pty.slave)?;
        cfmakeraw(&mut settings);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &settings)?;
        close_on_exec(&pty.master)?;
        close_on_exec(&pty.slave)?;
        Ok((pty.master, pty.slave))
    };
    make().map_err(|e| TraceError::System {
        what: "a pseudo-terminal for the program's output",
        source: e.into(),
    })
}

fn close_on_exec(fd: &OwnedFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)
}
