//! What the cases of a run share: places to run, descriptors, processors.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::MOST_AT_ONCE;
use super::budget::{self, Budgeted};
use super::slots::{Slot, Slots};
use super::start_times::{StartPosition, StartTimes};
use crate::case_run::{Grant, run_case};
use crate::options::Options;
use crate::recorded::Ended;
use halfopen_lab::LabError;
use halfopen_net::error::chain;
use halfopen_outcome::record::Status;
use halfopen_scenario::case::Case;
use halfopen_sys::clock::{monotonic_ns, sleep_until};

/// The turns that runs of this process have had so far.
static TURNS: AtomicUsize = AtomicUsize::new(0);

/// When it is a case's turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Of the cases that wait for a slot, the one with the lowest number is next.
    pub number: usize,
    /// In virtual time: which start time is the case's.
    pub start: Option<(StartTimes, StartPosition)>,
}

/// What the cases of a run share.
pub(super) struct Resources<'a> {
    options: &'a Options,
    /// Building a lab keeps a processor busy.
    processors: Slots,
    running: Slots,
    descriptors: Budgeted,
    /// None in a guest, which has its machine to itself.
    machine: &'static [Budgeted],
    /// The first turn of this run: the machine's slots serve all runs of the process.
    first_turn: usize,
    /// Labs are left standing: a guest ends with its cases. Not with so many cases
    /// that their labs do not fit into its memory together.
    leave_labs: bool,
    interrupted: AtomicBool,
}

impl<'a> Resources<'a> {
    /// For these cases.
    ///
    /// # Errors
    /// When one of the cases alone needs more descriptors than there are.
    pub fn new(cases: &[Case], options: &'a Options) -> Result<Self, LabError> {
        let descriptors = budget::descriptors()?;
        let machine = match options.virtual_time {
            true => &[],
            false => budget::of_machine(),
        };
        budget::check(cases, machine.iter().chain([&descriptors]))?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Resources {
            options,
            processors: Slots::new(processors),
            running: Slots::new(options.jobs.unwrap_or(MOST_AT_ONCE)),
            descriptors,
            machine,
            first_turn: TURNS.fetch_add(cases.len(), Ordering::Relaxed),
            leave_labs: options.virtual_time && cases.len() <= MOST_AT_ONCE,
            interrupted: AtomicBool::new(false),
        })
    }

    /// Waits until the case may run beside the others. It may as long as the result
    /// exists.
    pub fn admit(&self, case: &Case, number: usize) -> Vec<Slot<'_>> {
        let turn = self.first_turn + number;
        let mut slots = vec![self.running.take(turn)];
        // Always in the same order, so that no two cases wait for each other.
        for budgeted in self.machine.iter().chain([&self.descriptors]) {
            let needed = budgeted.needed(case);
            if needed > 0 {
                slots.push(budgeted.slots.take_many(turn, needed));
            }
        }
        slots
    }

    /// Whether a case was interrupted.
    pub fn was_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Waits for a processor, runs the case, and turns an error into a status.
    pub fn run(&self, case: &Case, turn: Turn) -> Ended {
        if self.options.is_interrupted() {
            self.interrupted.store(true, Ordering::Relaxed);
            return Ended::Not(Status::NotRun("interrupted".into()));
        }
        let (processor, start_at_ns) = self.take_processor(turn);
        let grant = Grant {
            processor,
            start_at_ns,
            leave_lab: self.leave_labs,
        };
        match run_case(case, self.options, grant) {
            Ok(ended) => {
                if matches!(ended, Ended::Not(Status::NotRun(_))) {
                    self.interrupted.store(true, Ordering::Relaxed);
                }
                ended
            }
            // Nothing went wrong: another machine could run it.
            Err(e @ LabError::Unsupported { .. }) => Ended::Not(Status::NotRun(chain(&e))),
            Err(e) => Ended::Not(Status::Failed(chain(&e))),
        }
    }

    /// Waits until the case may be built, and returns the processor for that and
    /// when the case is to start.
    fn take_processor(&self, turn: Turn) -> (Slot<'_>, Option<i64>) {
        loop {
            let start_at_ns = turn.start.map(|(times, position)| {
                let at_ns = times.next(position, monotonic_ns());
                sleep_until(StartTimes::build_at(at_ns));
                at_ns
            });
            let processor = self.processors.take(turn.number);
            match start_at_ns {
                // A case that was late itself had the processor: the next lap.
                Some(at_ns) if StartTimes::is_late(at_ns, monotonic_ns()) => drop(processor),
                _ => return (processor, start_at_ns),
            }
        }
    }
}
