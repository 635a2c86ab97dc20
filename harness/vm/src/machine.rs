//! One guest: QEMU started, heard and ended.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

use super::channel::{self, Kind, Listener};
use super::error::VmError;
use super::files::{Files, nameless};
pub use super::settings::{GuestTime, Settings};
use super::settings::{command_line, machine};
use halfopen_sys::child::spawn_with_pdeathsig;
use halfopen_sys::process::pidfd_open;

/// How often the guest's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much of the console an error shows.
const CONSOLE_LINES: usize = 25;

/// What is heard from a guest.
#[derive(Debug)]
pub enum Heard<'a> {
    /// It is up.
    Booted(&'a Booted),
    /// Its work has said something.
    Said(&'a [u8]),
    /// Its clock: CLOCK_MONOTONIC since its boot.
    Clock(Duration),
}

/// What a guest says of itself when it is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booted {
    /// `uname -r`, as it says.
    pub release: String,
    /// Its CLOCK_MONOTONIC, nanoseconds.
    pub at_ns: i64,
    /// Modules that it could not load, and why.
    pub refused: Vec<String>,
}

/// How a guest's life went.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Guest time from its boot to the end.
    pub guest: Duration,
    /// Guest time of it in which the processor was busy. In virtual time that is
    /// a nanosecond an instruction, whatever else this machine does. 0: the kernel did not tell.
    pub busy: Duration,
    /// When it was begun.
    pub began: Instant,
    /// Real time from nothing to the end.
    pub wall: Duration,
    /// Real time of it until the guest was up.
    pub boot: Duration,
}

impl Life {
    /// The same, with what came before it, from `earlier` on.
    pub(super) fn since(self, earlier: Instant) -> Self {
        let before = self.began.saturating_duration_since(earlier);
        Life {
            began: earlier,
            wall: self.wall + before,
            boot: self.boot + before,
            ..self
        }
    }
}

/// Starts the kernel of `files` with this program as its init, gives it `input` to
/// work on (see [`super::guest`]), and tells `heard` what it says, until it has ended.
///
/// Keep the calling thread: QEMU is killed when it ends, by the kernel, however
/// it ends. Nothing else is left behind: QEMU's files have no names.
///
/// # Errors
/// Without QEMU; when the guest fails,
/// dies, or is silent for too long; when `interrupt` becomes readable.
pub fn boot(
    files: &Files,
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    heard: &mut dyn FnMut(Heard<'_>),
) -> Result<Life, VmError> {
    let started = Instant::now();
    let mut listener = Listener::new().map_err(VmError::system("make the guest's channel"))?;
    let mut running = Running::start(files, input, settings, &listener)?;
    let mut up = None;
    let mut ending = None;
    let (mut last_sign, mut last_clock) = (Instant::now(), 0);
    loop {
        let ended = running.wait(interrupt)?;
        let lines = listener.hear().map_err(VmError::system("hear the guest"))?;
        let clock = listener
            .clock_ns()
            .map_err(VmError::system("read the guest's clock"))?;
        if !lines.is_empty() || clock != last_clock {
            last_sign = Instant::now();
        }
        for (kind, content) in lines {
            match kind {
                Kind::Booted => {
                    let booted = serde_json::from_slice(&content).map_err(|e| {
                        VmError::system("understand the guest")(std::io::Error::other(e))
                    })?;
                    up = Some(started.elapsed());
                    heard(Heard::Booted(&booted));
                }
                Kind::Said => heard(Heard::Said(&content)),
                Kind::Done => ending = Some(Ok(())),
                Kind::Failed => ending = Some(Err(String::from_utf8_lossy(&content).into_owned())),
            }
        }
        if clock != last_clock {
            last_clock = clock;
            heard(Heard::Clock(Duration::from_nanos(clock)));
        }
        if let Some(code) = ended {
            break running
                .verdict(&files.release, code, ending, up.is_some())
                .map(|()| Life {
                    guest: Duration::from_nanos(last_clock),
                    busy: Duration::from_nanos(listener.busy_ns().unwrap_or(0)),
                    began: started,
                    wall: started.elapsed(),
                    boot: up.unwrap_or_default(),
                });
        }
        if last_sign.elapsed() > settings.silence {
            return Err(VmError::Hung {
                release: files.release.clone(),
                silence: settings.silence,
                console: running.console_end(),
            });
        }
    }
}

/// QEMU, killed when dropped.
struct Running {
    child: Child,
    pidfd: OwnedFd,
    console: File,
    errors: File,
}

impl Running {
    fn start(
        files: &Files,
        input: &[u8],
        settings: &Settings,
        listener: &Listener,
    ) -> Result<Self, VmError> {
        let image = &files.image;
        let initrd = files.initramfs(input)?;
        let console = nameless("halfopen-console", b"")?;
        let errors = nameless("halfopen-qemu", b"")?;
        let path = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());

        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(machine(settings))
            .args(["-kernel", &path(image), "-initrd", &path(&initrd)])
            .args(["-append", &command_line(settings)])
            .args(["-serial", &format!("file:{}", path(&console))])
            .args([
                "-object",
                &format!(
                    "memory-backend-file,id=channel,share=on,mem-path={},size={}",
                    path(&listener.file),
                    channel::SIZE
                ),
            ])
            .args(["-device", "ivshmem-plain,memdev=channel"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.try_clone().map_err(VmError::system("start qemu"))?)
            // The terminal's Ctrl-C is this process's to act on.
            .process_group(0);
        let inherited = [image, &initrd, &console, &listener.file].map(|file| file.as_raw_fd());
        let child =
            spawn_with_pdeathsig(&mut command, inherited.to_vec()).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => VmError::NoQemu,
                _ => VmError::system("start qemu")(e),
            })?;
        let pid = i32::try_from(child.id()).expect("Linux's process ids fit into an i32");
        match pidfd_open(pid) {
            Ok(pidfd) => Ok(Running {
                child,
                pidfd,
                console,
                errors,
            }),
            Err(e) => {
                end(child);
                Err(VmError::system("watch qemu")(e))
            }
        }
    }

    /// Waits a moment; QEMU's exit code once it has ended (-1: killed).
    fn wait(&mut self, interrupt: Option<BorrowedFd<'_>>) -> Result<Option<i32>, VmError> {
        let mut fds = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        fds.extend(interrupt.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(LOOK_EVERY).expect("a few milliseconds");
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(VmError::system("wait for qemu")(e)),
        }
        if fds.get(1).and_then(PollFd::any).unwrap_or(false) {
            return Err(VmError::Interrupted);
        }
        let status = self
            .child
            .try_wait()
            .map_err(VmError::system("wait for qemu"))?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    fn verdict(
        &mut self,
        release: &str,
        code: i32,
        ending: Option<Result<(), String>>,
        was_up: bool,
    ) -> Result<(), VmError> {
        let release = release.to_owned();
        match ending {
            Some(Ok(())) if code == 0 => Ok(()),
            Some(Err(why)) => Err(VmError::Guest { release, why }),
            _ => {
                let (console, said) = (self.console_end(), text(&mut self.errors));
                if !was_up && console.is_empty() && !said.trim().is_empty() {
                    return Err(VmError::Qemu {
                        release,
                        said: said.trim().to_owned(),
                    });
                }
                Err(VmError::Died { release, console })
            }
        }
    }

    fn console_end(&mut self) -> String {
        let console = text(&mut self.console);
        let lines: Vec<&str> = console.lines().map(str::trim_end).collect();
        let last = lines.len().saturating_sub(CONSOLE_LINES);
        lines[last..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// What is in a file, read leniently: it is for an error's text.
fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}
