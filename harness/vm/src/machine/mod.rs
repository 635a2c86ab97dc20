//! Runs one guest: starts QEMU, reads the guest's messages, and stops QEMU. Needs the
//! files of a kernel, or a saved state ([`state`]); [`crate::cases`] uses it for every
//! guest.

pub mod state;

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::state::file::{IntegrityCheck, State};
use crate::channel::{HostChannel, MessageKind};
use crate::error::VmError;
use crate::files::Files;
use crate::qemu::{QemuProcess, Start};
pub use crate::settings::{GuestTime, Settings};

/// An event of a guest.
#[derive(Debug)]
pub enum GuestEvent<'a> {
    /// The guest is up.
    Booted(&'a BootReport),
    /// A message of its work.
    Message(&'a [u8]),
    /// The guest's clock: CLOCK_MONOTONIC since its boot.
    Clock(Duration),
    /// A request; the guest stands still until it is answered.
    Request {
        /// Its content.
        request: &'a [u8],
        /// Becomes the answer's content.
        answer: &'a mut Vec<u8>,
    },
}

/// What a guest reports once it is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootReport {
    /// `uname -r` in the guest.
    pub release: String,
    /// The guest's CLOCK_MONOTONIC, nanoseconds.
    pub at_ns: i64,
    /// Modules that the kernel refused to load, and why.
    pub refused: Vec<String>,
}

/// How long a guest took, in guest time and in real time.
#[derive(Debug, Clone, Copy)]
pub struct GuestTimes {
    /// Guest time from its boot to the end.
    pub guest: Duration,
    /// Guest time in which the processor was busy. In virtual time that is a nanosecond
    /// per instruction, whatever else this machine does. 0: the kernel did not report
    /// it.
    pub busy: Duration,
    /// When the start of the guest began.
    pub began: Instant,
    /// Real time from `began` to the end.
    pub wall: Duration,
    /// Real time from `began` until the guest was up.
    pub boot: Duration,
    /// How the guest was started.
    pub origin: Origin,
}

/// How a guest was started; the quickest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Restored from a saved state.
    Restored,
    /// Restored from a saved state that had to be made first.
    SavedFirst,
    /// Booted.
    Booted,
}

impl GuestTimes {
    /// The same times with the wait from `earlier` on included.
    pub(super) fn including_wait_from(self, earlier: Instant) -> Self {
        let before = self.began.saturating_duration_since(earlier);
        GuestTimes {
            began: earlier,
            wall: self.wall + before,
            boot: self.boot + before,
            ..self
        }
    }
}

/// Starts the kernel of `files` with this program as its init, gives it `input` (see
/// [`crate::guest`]), and passes its events to `on_event` until the guest has ended.
///
/// The calling thread must live until the guest has ended: the kernel kills QEMU when
/// the thread ends, however it ends (PR_SET_PDEATHSIG). Nothing else is left behind:
/// QEMU's files have no names.
///
/// # Errors
/// Without QEMU; when the guest fails, ends early, or is silent for too long; when
/// `interrupt` becomes readable.
pub fn boot(
    files: &Files,
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    on_event: &mut dyn FnMut(GuestEvent<'_>),
) -> Result<GuestTimes, VmError> {
    let start = Start::Boot(files);
    run(&start, input, settings, interrupt, &mut || Ok(()), on_event)
}

/// As [`boot`], but restores the guest from a saved state.
///
/// # Errors
/// As [`boot`]; [`VmError::State`], before the first event, when the state is damaged
/// or QEMU does not accept it.
pub(super) fn restore(
    state: &State,
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    on_event: &mut dyn FnMut(GuestEvent<'_>),
) -> Result<GuestTimes, VmError> {
    let devices = state.devices()?;
    let start = Start::Restore {
        release: state.release(),
        memory: state.file(),
        devices: &devices,
    };
    let mut check = Some(state.start_check()?);
    let mut check = || check.take().map_or(Ok(()), IntegrityCheck::wait);
    let mut booted = false;
    let ended = run(
        &start,
        input,
        settings,
        interrupt,
        &mut check,
        &mut |event| {
            booted = true;
            on_event(event);
        },
    );
    match ended {
        Err(VmError::Died { console: why, .. } | VmError::Qemu { output: why, .. }) if !booted => {
            Err(VmError::State {
                release: state.release().to_owned(),
                why,
            })
        }
        ended => ended,
    }
}

/// Runs a guest. `check` is called before anything is passed to `on_event`.
fn run(
    start: &Start<'_>,
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    check: &mut dyn FnMut() -> Result<(), VmError>,
    on_event: &mut dyn FnMut(GuestEvent<'_>),
) -> Result<GuestTimes, VmError> {
    let started = Instant::now();
    let mut channel = HostChannel::new().map_err(VmError::system("make the guest's channel"))?;
    channel
        .write_input(input)
        .map_err(VmError::system("give the guest its input"))?;
    let mut qemu = QemuProcess::start(start, settings, &channel)?;
    let mut boot_time = None;
    let mut work_result = None;
    let (mut last_change, mut last_clock) = (Instant::now(), 0);
    loop {
        let exit_code = qemu.wait(interrupt, Some(channel.gate.bell()))?;
        let rang = channel
            .gate
            .rang()
            .map_err(VmError::system("hear the guest"))?;
        let messages = channel
            .receive()
            .map_err(VmError::system("hear the guest"))?;
        let clock = channel
            .clock_ns()
            .map_err(VmError::system("read the guest's clock"))?;
        if !messages.is_empty() || clock != last_clock || rang {
            check()?;
            last_change = Instant::now();
        }
        for (kind, content) in messages {
            match kind {
                MessageKind::Booted => {
                    let report = serde_json::from_slice(&content).map_err(|e| {
                        VmError::system("understand the guest")(std::io::Error::other(e))
                    })?;
                    boot_time = Some(started.elapsed());
                    on_event(GuestEvent::Booted(&report));
                }
                MessageKind::Work => on_event(GuestEvent::Message(&content)),
                MessageKind::Done => work_result = Some(Ok(())),
                MessageKind::Failed => {
                    work_result = Some(Err(String::from_utf8_lossy(&content).into_owned()))
                }
            }
        }
        if clock != last_clock {
            last_clock = clock;
            on_event(GuestEvent::Clock(Duration::from_nanos(clock)));
        }
        if rang {
            let answered = channel.request().and_then(|request| {
                let mut answer = Vec::new();
                on_event(GuestEvent::Request {
                    request: &request,
                    answer: &mut answer,
                });
                channel.answer(&answer)?;
                channel.gate.open()
            });
            answered.map_err(VmError::system("answer the guest"))?;
            last_change = Instant::now();
        }
        let signals = settings.signals.as_ref();
        let signals = signals.map_or(0, |signals| signals.swap(0, Ordering::Relaxed));
        channel
            .add_signals(signals)
            .map_err(VmError::system("signal the guest"))?;
        if let Some(code) = exit_code {
            break qemu
                .exit_result(start.release(), code, work_result, boot_time.is_some())
                .map(|()| GuestTimes {
                    guest: Duration::from_nanos(last_clock),
                    busy: Duration::from_nanos(channel.busy_ns().unwrap_or(0)),
                    began: started,
                    wall: started.elapsed(),
                    boot: boot_time.unwrap_or_default(),
                    origin: match start {
                        Start::Restore { .. } => Origin::Restored,
                        Start::Boot(_) | Start::Save { .. } => Origin::Booted,
                    },
                });
        }
        if last_change.elapsed() > settings.silence {
            return Err(VmError::Hung {
                release: start.release().to_owned(),
                silence: settings.silence,
                console: qemu.console_tail(),
            });
        }
    }
}
