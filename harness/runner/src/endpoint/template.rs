//! Starts the template, the process that endpoints are copies of, and has it fork
//! them. `process` is the other side.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::protocol::TEMPLATE_ARG;
use halfopen_sys::inherit::spawn_inheriting;
use halfopen_sys::passing;
use halfopen_sys::schedule::may_use_real_time;

/// The running template. It ends when this process does, by the end of file of its
/// socket; nobody reaps it before.
struct Template {
    program: PathBuf,
    /// The process whose child it is; its copies are that process's children, too.
    parent: u32,
    socket: UnixStream,
}

static TEMPLATE: Mutex<Option<Template>> = Mutex::new(None);

/// Has the template fork an endpoint, which gets copies of `descriptors`, and
/// returns its process id. The endpoint is a child of this process.
///
/// # Errors
/// When the template cannot be started, is gone, or cannot fork.
pub(super) fn copy(program: &Path, plan: &[u8], descriptors: &[RawFd]) -> io::Result<i32> {
    let mut template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |t: &&mut Template| t.program == program && t.parent == std::process::id();
    let started = match template.as_mut().filter(fits) {
        Some(template) => template.copy(plan, descriptors),
        None => template
            .insert(Template::start(program)?)
            .copy(plan, descriptors),
    };
    if started.is_err() {
        // The next endpoint gets a new one.
        *template = None;
    }
    started
}

impl Template {
    fn start(program: &Path) -> io::Result<Self> {
        let (socket, there) = UnixStream::pair()?;
        let lifeline = lifeline()?;
        let inherited = [there.as_raw_fd(), lifeline.as_raw_fd()];
        let arguments = [
            // Shown by `ps` until it is an endpoint.
            "halfopen-template".to_owned(),
            TEMPLATE_ARG.to_owned(),
            inherited[0].to_string(),
            inherited[1].to_string(),
            i32::from(may_use_real_time()).to_string(),
        ];
        let arguments = arguments
            .map(CString::new)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        spawn_inheriting(program, &arguments, &inherited)?;
        Ok(Template {
            program: program.to_owned(),
            parent: std::process::id(),
            socket,
        })
    }

    fn copy(&mut self, plan: &[u8], descriptors: &[RawFd]) -> io::Result<i32> {
        passing::send(&self.socket, plan, descriptors)?;
        read_answer(&self.socket)
    }
}

/// Reads the answer to a plan: a process id, or the errno with which fork failed.
pub(super) fn read_answer(mut socket: &UnixStream) -> io::Result<i32> {
    let mut answer = [0; 4];
    socket.read_exact(&mut answer)?;
    match i32::from_le_bytes(answer) {
        pid if pid > 0 => Ok(pid),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

/// The reading end of a pipe whose writing end only this process holds, until it
/// ends: see [`halfopen_sys::lifeline::kill_group_on_close`]. One for all endpoints.
fn lifeline() -> io::Result<BorrowedFd<'static>> {
    static PIPE: OnceLock<Result<(OwnedFd, OwnedFd), Errno>> = OnceLock::new();
    match PIPE.get_or_init(|| pipe2(OFlag::O_CLOEXEC)) {
        Ok((reader, _writer)) => Ok(reader.as_fd()),
        Err(errno) => Err((*errno).into()),
    }
}
