//! Starts the program: a child that is seized before it does anything, sets
//! itself up, installs the filter and executes the program.
//!
//! The child waits for one byte until the tracer has seized it: a seccomp
//! filter that asks for a tracer answers ENOSYS when there is none. It reports
//! what failed over a pipe that exec() closes.

mod child;
mod streams;

use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::TraceError;
use crate::program::Program;
use nix::errno::Errno;
use nix::unistd::ForkResult;

use halfopen_sys::process::{exit_now, fork_single_threaded};
use halfopen_sys::ptrace;

pub(crate) use streams::Ends;

/// TRACESYSGOOD marks stops at a call's end; the next ones follow children and
/// exec(); EXITKILL ends the program when the tracer dies, however it does.
const OPTIONS: i32 = libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL;

/// What exec() is called with, made before fork().
struct Image {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: Option<CString>,
}

/// A seized child that goes on to become the program.
pub(crate) struct Launched {
    pub(crate) pid: i32,
    pub(crate) ends: Ends,
    /// Where the child says what failed.
    report: io::PipeReader,
}

/// Forks the child and seizes it.
pub(crate) fn launch(program: &Program) -> Result<Launched, TraceError> {
    let image = image(program)?;
    let (ends, inner) = streams::open(program)?;
    let pipe = || io::pipe().map_err(TraceError::system("pipe()"));
    let (mut go_reader, mut go_writer) = pipe()?;
    let (report, mut report_writer) = pipe()?;
    let forked = fork_single_threaded().map_err(|errno| match errno {
        Errno::EDEADLK => TraceError::Threads {
            source: errno.into(),
        },
        _ => TraceError::System {
            what: "fork()",
            source: errno.into(),
        },
    })?;
    let ForkResult::Parent { child } = forked else {
        // Else the child would hold its own starting signal open for ever.
        drop(go_writer);
        if go_reader.read_exact(&mut [0]).is_ok() {
            let failure = child::become_program(program, &image, inner);
            // Nobody to tell: the tracer has died, and this child with it.
            let _ = report_writer.write_all(&failure.encode());
        }
        exit_now(127);
    };
    let pid = child.as_raw();
    if let Err(source) = ptrace::seize(pid, OPTIONS) {
        // The child reads the end of its pipe and leaves.
        drop(go_writer);
        let _ = nix::sys::wait::waitpid(child, None);
        return Err(TraceError::not_allowed(program.name(), source));
    }
    go_writer
        .write_all(&[1])
        .map_err(TraceError::system("starting the child"))?;
    Ok(Launched { pid, ends, report })
}

impl Launched {
    /// Why the child never became the program; None: it did not say.
    pub(crate) fn failure(&mut self, program: &Program) -> Option<TraceError> {
        let mut bytes = Vec::new();
        self.report.read_to_end(&mut bytes).ok()?;
        Some(child::Failure::decode(&bytes)?.explain(program))
    }
}

fn image(program: &Program) -> Result<Image, TraceError> {
    if program.argv.is_empty() {
        return Err(TraceError::NoProgram);
    }
    let c_string = |text: Vec<u8>| {
        CString::new(text).map_err(|e| TraceError::ZeroByte {
            what: String::from_utf8_lossy(&e.into_vec()).into_owned(),
        })
    };
    let argv: Result<_, _> = program
        .argv
        .iter()
        .map(|argument| c_string(argument.clone().into_bytes()))
        .collect();
    let env: Result<_, _> = program
        .env
        .iter()
        .map(|(name, value)| c_string(format!("{name}={value}").into_bytes()))
        .collect();
    let candidates: Result<_, _> = candidates(program)
        .into_iter()
        .map(|path| c_string(path.into_bytes()))
        .collect();
    let cwd = program.cwd.as_deref().map(Path::as_os_str);
    Ok(Image {
        candidates: candidates?,
        argv: argv?,
        env: env?,
        cwd: cwd
            .map(|cwd| c_string(cwd.as_bytes().to_vec()))
            .transpose()?,
    })
}

/// The files that are tried, in order, as execvp(3) does.
fn candidates(program: &Program) -> Vec<String> {
    let name = program.name();
    if name.contains('/') {
        return vec![name.into()];
    }
    directories(program)
        .iter()
        .map(|directory| format!("{directory}/{name}"))
        .collect()
}

/// PATH of the program's environment, or the C library's default.
fn directories(program: &Program) -> Vec<String> {
    let path = program
        .env
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or("/bin:/usr/bin", |(_, value)| value);
    path.split(':')
        .map(|directory| match directory {
            "" => ".".into(),
            directory => directory.into(),
        })
        .collect()
}
