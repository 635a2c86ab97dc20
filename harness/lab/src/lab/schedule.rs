//! Faults that are applied at their times while the test's thread does something else.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Lab;
use crate::error::LabError;

/// Applies a fault.
type Fault<'a> = Box<dyn FnOnce(&mut Lab) -> Result<(), LabError> + Send + 'a>;

/// Faults and their times: from [`Lab::at`].
#[must_use = "no fault is applied before `run`"]
pub struct Schedule<'a> {
    lab: &'a mut Lab,
    faults: Vec<(Duration, Fault<'a>)>,
}

/// What [`Schedule::run`] returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran<R> {
    /// What the closure returned.
    pub value: R,
    /// When each fault had taken effect, since the closure began, in the order of their
    /// times. Of faults that were not due when the closure returned there is none: they
    /// were not applied.
    pub applied: Vec<Duration>,
}

impl Lab {
    /// Applies a fault so much later than [`Schedule::run`] begins, from a thread of its
    /// own.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn ask() -> std::io::Result<()> { Ok(()) }
    /// # fn example(lab: &mut halfopen_lab::Lab) -> Result<(), Box<dyn std::error::Error>> {
    /// let client = lab.host("client")?;
    /// let ran = lab
    ///     .at(Duration::from_secs(2), |lab| lab.crash("server"))
    ///     .at(Duration::from_secs(5), |lab| lab.host_up("server", true))
    ///     .run(|| client.enter(ask))?;
    /// assert!(ran.value?.is_ok(), "it connects again");
    /// assert_eq!(ran.applied.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn at<'a, R>(
        &'a mut self,
        at: Duration,
        fault: impl FnOnce(&mut Lab) -> Result<R, LabError> + Send + 'a,
    ) -> Schedule<'a> {
        let empty = Schedule {
            lab: self,
            faults: Vec::new(),
        };
        empty.at(at, fault)
    }
}

impl<'a> Schedule<'a> {
    /// One more fault. Of several at one time the one that was named first is applied
    /// first.
    pub fn at<R>(
        mut self,
        at: Duration,
        fault: impl FnOnce(&mut Lab) -> Result<R, LabError> + Send + 'a,
    ) -> Self {
        let fault = Box::new(|lab: &mut Lab| fault(lab).map(drop));
        self.faults.push((at, fault));
        self
    }

    /// Runs `f` on the calling thread while the faults are applied at their times. It uses
    /// the lab by handles ([`Lab::host`]). Returns when `f` has returned.
    ///
    /// # Errors
    /// That of the first fault that could not be applied; those after it are not applied.
    ///
    /// # Panics
    /// When `f` or a fault does.
    pub fn run<R>(self, f: impl FnOnce() -> R) -> Result<Ran<R>, LabError> {
        let Schedule { lab, mut faults } = self;
        faults.sort_by_key(|(at, _)| *at);
        thread::scope(|scope| {
            // Dropped when `f` returns or panics: then nobody waits any more.
            let (ends, ended) = channel::<()>();
            let begun = Instant::now();
            let applying = scope.spawn(move || apply(lab, faults, begun, &ended));
            let value = f();
            drop(ends);
            match applying.join() {
                Ok(applied) => Ok(Ran {
                    value,
                    applied: applied?,
                }),
                Err(panic) => resume_unwind(panic),
            }
        })
    }
}

/// Applies the faults until `ended` has no sender any more.
fn apply(
    lab: &mut Lab,
    faults: Vec<(Duration, Fault<'_>)>,
    begun: Instant,
    ended: &Receiver<()>,
) -> Result<Vec<Duration>, LabError> {
    let mut applied = Vec::with_capacity(faults.len());
    for (at, fault) in faults {
        let wait = at.saturating_sub(begun.elapsed());
        if let Err(RecvTimeoutError::Disconnected) = ended.recv_timeout(wait) {
            break;
        }
        fault(lab)?;
        applied.push(begun.elapsed());
    }
    Ok(applied)
}
