//! The runner's side of the template that endpoints are copies of.

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

/// The template that runs. It ends when this process does, by the end of its
/// socket; nobody reaps it before that.
struct Template {
    program: PathBuf,
    /// Whose child it is: its copies are, too.
    parent: u32,
    socket: UnixStream,
}

static TEMPLATE: Mutex<Option<Template>> = Mutex::new(None);

/// Has an endpoint started, with copies of `descriptors`: its process id. It is
/// this process's child.
///
/// # Errors
/// When the template cannot be started, is gone, or cannot fork.
pub(super) fn copy(program: &Path, plan: &[u8], descriptors: &[RawFd]) -> io::Result<i32> {
    let mut template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |t: &&mut Template| t.program == program && t.parent == std::process::id();
    let asked = match template.as_mut().filter(fits) {
        Some(template) => template.copy(plan, descriptors),
        None => template
            .insert(Template::start(program)?)
            .copy(plan, descriptors),
    };
    if asked.is_err() {
        // The next endpoint gets a new one.
        *template = None;
    }
    asked
}

impl Template {
    fn start(program: &Path) -> io::Result<Self> {
        let (socket, there) = UnixStream::pair()?;
        let lifeline = lifeline()?;
        let inherited = [there.as_raw_fd(), lifeline.as_raw_fd()];
        let words = [
            // What `ps` shows until it is an endpoint.
            "halfopen-template".to_owned(),
            TEMPLATE_ARG.to_owned(),
            inherited[0].to_string(),
            inherited[1].to_string(),
        ];
        let words = words
            .map(CString::new)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        spawn_inheriting(program, &words, &inherited)?;
        Ok(Template {
            program: program.to_owned(),
            parent: std::process::id(),
            socket,
        })
    }

    fn copy(&mut self, plan: &[u8], descriptors: &[RawFd]) -> io::Result<i32> {
        passing::send(&self.socket, plan, descriptors)?;
        answer(&self.socket)
    }
}

/// What is said to a plan: a process id, or the errno that there is none for.
pub(super) fn answer(mut socket: &UnixStream) -> io::Result<i32> {
    let mut answer = [0; 4];
    socket.read_exact(&mut answer)?;
    match i32::from_le_bytes(answer) {
        pid if pid > 0 => Ok(pid),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

/// The reading end of the pipe whose writing end only this process holds, to
/// its end: see [`halfopen_sys::lifeline::kill_group_on_close`]. One for all endpoints.
fn lifeline() -> io::Result<BorrowedFd<'static>> {
    static PIPE: OnceLock<Result<(OwnedFd, OwnedFd), Errno>> = OnceLock::new();
    match PIPE.get_or_init(|| pipe2(OFlag::O_CLOEXEC)) {
        Ok((reader, _writer)) => Ok(reader.as_fd()),
        Err(errno) => Err((*errno).into()),
    }
}
