//! One guest: QEMU is started, what the guest says is read, and QEMU is stopped.

pub mod state;

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::state::file::{Check, State};
use crate::channel::{Kind, Listener};
use crate::error::VmError;
use crate::files::Files;
use crate::qemu::{Running, Start};
pub use crate::settings::{GuestTime, Settings};

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
pub struct GuestTimes {
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
    /// From where it was started.
    pub origin: Origin,
}

/// From where a guest was started; the quickest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// From a saved state.
    Restored,
    /// From a saved state, which had to be made first.
    SavedFirst,
    /// From nothing.
    Booted,
}

impl GuestTimes {
    /// The same, with what came before it, from `earlier` on.
    pub(super) fn since(self, earlier: Instant) -> Self {
        let before = self.began.saturating_duration_since(earlier);
        GuestTimes {
            began: earlier,
            wall: self.wall + before,
            boot: self.boot + before,
            ..self
        }
    }
}

/// Starts the kernel of `files` with this program as its init, gives it `input` to
/// work on (see [`crate::guest`]), and tells `heard` what it says, until it has ended.
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
) -> Result<GuestTimes, VmError> {
    let start = Start::Boot(files);
    run(&start, input, settings, interrupt, &mut || Ok(()), heard)
}

/// As [`boot`], from a saved state.
///
/// # Errors
/// As [`boot`]; [`VmError::State`], before anything was heard, when the state is
/// not as it was saved or QEMU does not take it.
pub(super) fn restore(
    state: &State,
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    heard: &mut dyn FnMut(Heard<'_>),
) -> Result<GuestTimes, VmError> {
    let devices = state.devices()?;
    let start = Start::Restore {
        release: state.release(),
        memory: state.file(),
        devices: &devices,
    };
    let mut check = Some(state.check_meanwhile()?);
    let mut check = || check.take().map_or(Ok(()), Check::wait);
    let mut up = false;
    let ended = run(
        &start,
        input,
        settings,
        interrupt,
        &mut check,
        &mut |what| {
            up = true;
            heard(what);
        },
    );
    match ended {
        Err(VmError::Died { console: why, .. } | VmError::Qemu { said: why, .. }) if !up => {
            Err(VmError::State {
                release: state.release().to_owned(),
                why,
            })
        }
        ended => ended,
    }
}

/// `check` is asked before anything is passed on to `heard`.
fn run(
    start: &Start<'_>,
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    check: &mut dyn FnMut() -> Result<(), VmError>,
    heard: &mut dyn FnMut(Heard<'_>),
) -> Result<GuestTimes, VmError> {
    let started = Instant::now();
    let mut listener = Listener::new().map_err(VmError::system("make the guest's channel"))?;
    listener
        .give(input)
        .map_err(VmError::system("give the guest its input"))?;
    let mut running = Running::start(start, settings, &listener)?;
    let mut up = None;
    let mut ending = None;
    let (mut last_sign, mut last_clock) = (Instant::now(), 0);
    loop {
        let ended = running.wait(interrupt, None)?;
        let lines = listener.hear().map_err(VmError::system("hear the guest"))?;
        let clock = listener
            .clock_ns()
            .map_err(VmError::system("read the guest's clock"))?;
        if !lines.is_empty() || clock != last_clock {
            check()?;
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
                .verdict(start.release(), code, ending, up.is_some())
                .map(|()| GuestTimes {
                    guest: Duration::from_nanos(last_clock),
                    busy: Duration::from_nanos(listener.busy_ns().unwrap_or(0)),
                    began: started,
                    wall: started.elapsed(),
                    boot: up.unwrap_or_default(),
                    origin: match start {
                        Start::Restore { .. } => Origin::Restored,
                        Start::Boot(_) | Start::Save { .. } => Origin::Booted,
                    },
                });
        }
        if last_sign.elapsed() > settings.silence {
            return Err(VmError::Hung {
                release: start.release().to_owned(),
                silence: settings.silence,
                console: running.console_end(),
            });
        }
    }
}
