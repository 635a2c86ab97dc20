//! Takes cases to outcomes.

mod collect;
mod descriptors;
pub mod endpoint;
mod fault;
pub mod finish;
mod happen;
mod held;
mod life;
pub mod machine;
mod marks;
pub mod observe;
mod orphans;
mod phase;
pub mod recorded;
mod restart;
mod schedule;
mod sysctls;
mod wheel;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use halfopen_lab::LabError;
use halfopen_net::error::chain;
use halfopen_outcome::compare_prediction;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_scenario::case::{Action, Case, Clock, Step};
use halfopen_sys::clock::{monotonic_ns, sleep_until};
use phase::{Moments, Place};
use recorded::Ended;
use schedule::{Slot, Slots};

/// How cases are run.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// How many cases may be under way at once; None: as many as there are.
    pub jobs: Option<usize>,
    /// Sysctls on top of the scenario's, by host (`all`: every host).
    pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
    /// By what right the sandbox was made, for the record.
    pub privileges: String,
    /// The clock jumps over idle time: cases that last hours are run, too.
    pub virtual_time: bool,
    /// The reading end of a pipe: when its writing end is closed, cases end at
    /// once and the rest is not run.
    pub interrupt: Option<Arc<OwnedFd>>,
}

/// What happens during a run.
#[derive(Debug)]
pub enum Progress<'a> {
    /// So many cases are about to be run.
    Total {
        /// How many.
        cases: usize,
    },
    /// A case has started.
    Started {
        /// Its id.
        id: &'a str,
    },
    /// A case has ended.
    Finished {
        /// What it showed.
        outcome: &'a Outcome,
    },
}

/// What a run gave.
#[derive(Debug)]
pub struct Results {
    /// What the results depend on besides the cases.
    pub environment: Environment,
    /// One outcome a case, in the order of the cases.
    pub outcomes: Vec<Outcome>,
    /// It was interrupted; cases that had not ended are marked as not run.
    pub interrupted: bool,
}

/// How many cases are under way at once at most, unless told: each has a
/// handful of processes.
pub const MOST_AT_ONCE: usize = 400;

/// Runs `cases`, all together, and tells `watch` as they start and end.
///
/// Call it inside a [`halfopen_lab::sandbox`]: endpoints are processes.
///
/// # Errors
/// When the machine cannot run anything at all. A case that fails by itself
/// has a failed outcome instead.
pub fn run(
    cases: &[Case],
    options: &Options,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<Results, LabError> {
    watch(Progress::Total { cases: cases.len() });
    let mut outcomes: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
    let think = |index: usize, ended| finish::outcome(&cases[index], ended);
    let done = each(cases, options, &think, &mut |index, step| match step {
        Stage::Started => watch(Progress::Started {
            id: &cases[index].id,
        }),
        Stage::Ended(outcome) => {
            watch(Progress::Finished { outcome: &outcome });
            outcomes[index] = Some(outcome);
        }
    })?;
    let panicked = || Ended::Not(Status::Failed("its thread panicked".into()));
    let mut outcomes: Vec<Outcome> = outcomes
        .into_iter()
        .enumerate()
        .map(|(index, outcome)| outcome.unwrap_or_else(|| think(index, panicked())))
        .collect();
    compare_prediction::compare_all(cases, &mut outcomes, &done.environment);
    Ok(Results {
        environment: done.environment,
        outcomes,
        interrupted: done.interrupted,
    })
}

/// What happens to one case of [`each`].
pub enum Stage<T> {
    /// It has started.
    Started,
    /// It has ended, and this was made of that.
    Ended(T),
}

/// What [`each`] tells of the whole.
pub struct Done {
    /// What the results depend on besides the cases.
    pub environment: Environment,
    /// It was interrupted.
    pub interrupted: bool,
}

/// Runs `cases`, all together. What becomes of the end of each is `think`'s
/// business, on a thread of the case's own; `watch` is told by its number.
pub fn each<T: Send>(
    cases: &[Case],
    options: &Options,
    think: &(dyn Fn(usize, Ended) -> T + Sync),
    watch: &mut dyn FnMut(usize, Stage<T>),
) -> Result<Done, LabError> {
    let descriptors = descriptors::for_all(cases)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shared = Shared {
        options,
        busy: Slots::new(processors),
        leaves_labs: options.virtual_time && cases.len() <= MOST_AT_ONCE,
        alive: Slots::new(options.jobs.unwrap_or(MOST_AT_ONCE)),
        descriptors: Slots::new(descriptors),
        interrupted: AtomicBool::new(false),
    };
    let moments = options.virtual_time.then(machine::moments).flatten();
    let places = phase::places(cases, has_many_connections);
    let mut order: Vec<usize> = (0..cases.len()).collect();
    if let Some(moments) = moments {
        let now_ns = monotonic_ns();
        order.sort_by_key(|i| moments.next(places[*i], now_ns));
    } else {
        // The longest first, so that it is not the last to start.
        order.sort_by_key(|i| std::cmp::Reverse(expected_length(&cases[*i])));
    }

    std::thread::scope(|scope| {
        let (send, happened) = channel();
        let (shared, places) = (&shared, &places);
        for (turn, index) in order.into_iter().enumerate() {
            let case = &cases[index];
            let not = |status| Stage::Ended(think(index, Ended::Not(status)));
            if case.clock == Clock::Virtual && !options.virtual_time {
                let why = "its point is a time of hours: it needs virtual time".to_owned();
                watch(index, not(Status::NotRun(why)));
                continue;
            }
            let send = send.clone();
            let started = std::thread::Builder::new()
                .name(format!("case-{index}"))
                .stack_size(512 * 1024)
                .spawn_scoped(scope, move || {
                    let _alive = shared.alive.take(turn);
                    let _descriptors = shared.descriptors.take_many(turn, descriptors::of(case));
                    // The receiver lives until every sender is gone.
                    let _ = send.send((index, Stage::Started));
                    let turn = Turn {
                        number: turn,
                        moment: moments.map(|m| (m, places[index])),
                    };
                    let ended = think(index, shared.end_of(case, turn));
                    let _ = send.send((index, Stage::Ended(ended)));
                });
            if let Err(e) = started {
                watch(index, not(Status::Failed(format!("no thread for it: {e}"))));
            }
        }
        drop(send);
        for (index, step) in happened {
            watch(index, step);
        }
    });
    Ok(Done {
        environment: machine::environment(options),
        interrupted: shared.interrupted.load(Ordering::Relaxed),
    })
}

/// When it is a case's turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// Among those that wait, the lowest is next.
    number: usize,
    /// In virtual time, when it begins.
    moment: Option<(Moments, Place)>,
}

/// What all cases of a run share.
pub(crate) struct Shared<'a> {
    pub options: &'a Options,
    pub busy: Slots,
    /// In a guest, which ends with its cases: none is taken apart, unless there
    /// are more of them than fit into its memory.
    pub leaves_labs: bool,
    alive: Slots,
    descriptors: Slots,
    interrupted: AtomicBool,
}

impl Shared<'_> {
    fn end_of(&self, case: &Case, turn: Turn) -> Ended {
        if self.is_interrupted() {
            self.interrupted.store(true, Ordering::Relaxed);
            return Ended::Not(Status::NotRun("interrupted".into()));
        }
        match life::live(case, turn, self) {
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

    /// Waits until a case is to be built, which keeps a processor busy; and tells
    /// when it is to begin.
    fn take_busy(&self, turn: Turn) -> (Slot<'_>, Option<i64>) {
        loop {
            let moment_ns = turn.moment.map(|(moments, place)| {
                let at_ns = moments.next(place, monotonic_ns());
                sleep_until(Moments::build_at(at_ns));
                at_ns
            });
            let busy = self.busy.take(turn.number);
            match moment_ns {
                // Another one that was late itself has had it: next lap.
                Some(at_ns) if Moments::is_late(at_ns, monotonic_ns()) => drop(busy),
                _ => return (busy, moment_ns),
            }
        }
    }

    /// Whether the run is to end.
    fn is_interrupted(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        self.options.interrupt.as_ref().is_some_and(|fd| {
            let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
        })
    }
}

/// Whether a case opens connections by the hundred.
pub fn has_many_connections(case: &Case) -> bool {
    connections(case) >= 100
}

/// How many connections one of its programs makes or takes.
pub fn connections(case: &Case) -> u64 {
    let each = case.lanes.iter().map(|lane| opens(&lane.steps));
    each.max().unwrap_or_default()
}

/// How many connections steps make or take.
fn opens(steps: &[Step]) -> u64 {
    let one = |step: &Step| match &step.action {
        Action::Connect { count, .. } | Action::Accept { count } => u64::from(*count),
        Action::Repeat { times, steps } => u64::from(*times).saturating_mul(opens(steps)),
        _ => 0,
    };
    steps.iter().map(one).fold(0, u64::saturating_add)
}

/// How long a case is likely to take: as long as its expected sign, or until it gives up.
pub fn expected_length(case: &Case) -> std::time::Duration {
    case.expect
        .as_ref()
        .and_then(|e| e.after)
        .map_or(case.give_up, |(_, latest)| latest)
}

/// Puts the program into a [sandbox](halfopen_lab::sandbox) before its `main`
/// begins, as [`halfopen_lab::sandboxed!`] does, and makes it able to be its own
/// endpoint ([`endpoint::serve_if_asked`]), which [`run`] needs.
#[macro_export]
macro_rules! sandboxed {
    () => {
        #[allow(unsafe_code)]
        const _: () = {
            extern "C" fn enter() {
                $crate::endpoint::serve_if_asked();
                $crate::sandbox::enter_or_exit();
            }
            // SAFETY: what is in this section is called once, as a C function,
            // on the only thread there is.
            #[used]
            #[unsafe(link_section = ".init_array")]
            static ENTER: extern "C" fn() = enter;
        };
    };
}
pub use halfopen_lab::sandbox;

#[cfg(test)]
crate::sandboxed!();
