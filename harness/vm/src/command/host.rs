//! The host's side: restores a guest for a command, and answers its requests.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::files::FileServer;
use super::streams;
use crate::error::VmError;
use crate::files::SharedFiles;
use crate::kernels::Kernel;
use crate::machine::state::restore_or_boot;
use crate::machine::{GuestEvent, Settings};
use crate::protocol::Input;
use crate::protocol::command::{Bytes, Ended, Request, kind};

/// A command for a guest.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program, which is searched for in the environment's PATH, and its arguments.
    pub words: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Directories below which what it writes reaches this machine, without symbolic
    /// links in their paths. What it writes elsewhere is gone when it has ended.
    pub writable: Vec<PathBuf>,
    /// When it is killed, by the guest's clock.
    pub give_up: Duration,
}

/// How a command is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// As [`Settings::memory_mib`].
    pub memory_mib: u32,
    /// As [`Settings::signals`].
    pub signals: Option<Arc<AtomicU64>>,
    /// The guest is killed when this becomes readable.
    pub interrupt: Option<Arc<OwnedFd>>,
    /// As [`Settings::restore`].
    pub restore: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            memory_mib: 1024,
            signals: None,
            interrupt: None,
            restore: true,
        }
    }
}

/// Runs the command in a guest on `kernel`, in virtual time, with this process's
/// standard streams. Passes to `remark` why the guest could not be restored, if so.
///
/// # Errors
/// As [`crate::machine::boot`], but for the command: see [`Ended`].
pub fn run(
    command: &Command,
    kernel: &Kernel,
    options: &Options,
    remark: &mut dyn FnMut(&VmError),
) -> Result<Ended, VmError> {
    let settings = Settings {
        memory_mib: options.memory_mib,
        restore: options.restore,
        signals: options.signals.clone(),
        ..Settings::default()
    };
    let (output, joined) = streams::outputs();
    let request = Request {
        words: command
            .words
            .iter()
            .map(|word| word.as_os_str().into())
            .collect(),
        environment: command
            .environment
            .iter()
            .map(|(name, value)| (name.as_os_str().into(), value.as_os_str().into()))
            .collect(),
        directory: Bytes::from(command.directory.as_os_str()),
        writable: command
            .writable
            .iter()
            .map(|path| path.as_os_str().into())
            .collect(),
        output,
        joined,
        no_input: streams::no_input(),
        give_up: command.give_up,
    };
    let input = postcard::to_stdvec(&Input::<()>::Command(request))
        .map_err(|e| VmError::system("send the command")(std::io::Error::other(e)))?;
    let mut files = FileServer::new(command.writable.clone());
    let (mut ended, mut failed) = (None, None);
    let mut on_event = |event: GuestEvent<'_>| match event {
        GuestEvent::Request { request, answer } => match request.split_first() {
            Some((&kind::FUSE, message)) => *answer = files.answer(message),
            Some((&kind::OUTPUT, [number, bytes @ ..])) => {
                let open = streams::write(*number, bytes).unwrap_or_else(|e| {
                    failed.get_or_insert(e);
                    false
                });
                answer.push(if open { kind::OPEN } else { kind::CLOSED });
            }
            _ => {}
        },
        GuestEvent::Message(message) => ended = postcard::from_bytes::<Ended>(message).ok(),
        GuestEvent::Booted(_) | GuestEvent::Clock(_) => {}
    };
    restore_or_boot(
        (kernel, &SharedFiles::default()),
        &input,
        &settings,
        options.interrupt.as_ref().map(|fd| fd.as_fd()),
        remark,
        &mut on_event,
    )?;
    if let Some(e) = failed {
        return Err(VmError::system("write what the command wrote")(e));
    }
    ended.ok_or_else(|| VmError::Guest {
        release: kernel.release.clone(),
        why: "it did not say how the command ended".into(),
    })
}
