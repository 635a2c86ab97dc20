//! Runs many cases: one thread for each, as many at once as descriptors and
//! [`Options::jobs`] allow, as many under construction as there are processors.
//!
//! [`run`] is what the command calls; a guest calls [`run_each`] and sends the raw
//! records to its host, which evaluates them.

mod budget;
mod order;
mod overflow;
mod rerun;
mod resources;
mod slots;
mod start_times;

use std::sync::mpsc::channel;

use halfopen_lab::LabError;
use halfopen_outcome::compare_prediction;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_scenario::case::{Case, Clock};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::schedule;

use crate::evaluate::evaluate;
use crate::machine;
use crate::options::Options;
use crate::recorded::Ended;
pub use budget::describe as describe_budget;
pub use order::{connections, expected_length, has_many_connections};
use overflow::Counters;
use resources::{Resources, Turn};
use start_times::StartTimes;

/// What happens during a run.
#[derive(Debug)]
pub enum Progress<'a> {
    /// So many cases are about to be run.
    Total {
        /// How many.
        cases: usize,
    },
    /// Not all of them run at once.
    Limited {
        /// How many do, and what limits it.
        by: &'a str,
    },
    /// A case has started.
    Started {
        /// Its id.
        id: &'a str,
    },
    /// A case has ended.
    Finished {
        /// Its outcome.
        outcome: &'a Outcome,
    },
    /// All cases have ended, and this one is run again, alone: the machine was
    /// disturbed, and it came out wrong.
    Again {
        /// Its id.
        id: &'a str,
    },
}

/// The results of a run.
#[derive(Debug)]
pub struct Results {
    /// What the results depend on besides the cases.
    pub environment: Environment,
    /// The outcome of each case, in the order of the cases.
    pub outcomes: Vec<Outcome>,
    /// It was interrupted; cases that had not ended are marked as not run.
    pub interrupted: bool,
}

/// How many cases run at once at most, unless [`Options::jobs`] says otherwise:
/// each has a handful of processes.
pub const MOST_AT_ONCE: usize = 400;

/// Runs `cases` side by side and reports to `observer` as they start and end.
///
/// Call it inside a [`halfopen_lab::sandbox`]: endpoints are processes.
///
/// # Errors
/// When the machine cannot run anything at all. A case that fails by itself
/// has a failed outcome instead.
pub fn run(
    cases: &[Case],
    options: &Options,
    observer: &mut dyn FnMut(Progress<'_>),
) -> Result<Results, LabError> {
    observer(Progress::Total { cases: cases.len() });
    let limit = (!options.virtual_time).then(|| budget::limit(cases));
    if let Some(by) = limit.flatten() {
        observer(Progress::Limited { by: &by });
    }
    let mut outcomes: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
    let map = |index: usize, ended| evaluate(&cases[index], ended, options.pcap.as_deref());
    let timed = |index, ended, window| (map(index, ended), window);
    let mut windows: Vec<Window> = vec![None; cases.len()];
    if !options.virtual_time {
        schedule::allow_real_time(!options.no_real_time);
        schedule::limit_real_time();
    }
    let monitor = rerun::monitor(options)?;
    let done = run_each_timed(cases, options, &timed, &mut |index, stage| match stage {
        Stage::Started => observer(Progress::Started {
            id: &cases[index].id,
        }),
        Stage::Ended((outcome, window)) => {
            observer(Progress::Finished { outcome: &outcome });
            outcomes[index] = Some(outcome);
            windows[index] = window;
        }
    })?;
    let panicked = || Ended::Not(Status::Failed("its thread panicked".into()));
    let mut outcomes: Vec<Outcome> = outcomes
        .into_iter()
        .enumerate()
        .map(|(index, outcome)| outcome.unwrap_or_else(|| map(index, panicked())))
        .collect();
    compare_prediction::compare_all(cases, &mut outcomes, &done.environment);
    let mut interrupted = done.interrupted;
    if let Some(monitor) = monitor {
        rerun::measure(&mut outcomes, &windows, &monitor);
        let run_again = rerun::Rerun {
            cases,
            options,
            environment: &done.environment,
            monitor: &monitor,
        };
        interrupted |= run_again.disturbed_cases(&mut outcomes, observer)?;
    }
    Ok(Results {
        environment: done.environment,
        outcomes,
        interrupted,
    })
}

/// When a case ran, and what overflowed then; None: it did not run.
type Window = Option<Ran>;

/// What the schedule knows of a case that ran.
#[derive(Debug, Clone)]
struct Ran {
    /// CLOCK_MONOTONIC.
    began_ns: i64,
    ended_ns: i64,
    /// The machine's resources that overflowed meanwhile.
    overflows: Vec<String>,
}

/// What [`run_each`] reports of one case.
pub enum Stage<T> {
    /// It has started.
    Started,
    /// It has ended, with this result.
    Ended(T),
}

/// What [`run_each`] returns about the run as a whole.
pub struct Done {
    /// What the results depend on besides the cases.
    pub environment: Environment,
    /// It was interrupted.
    pub interrupted: bool,
}

/// Runs `cases` side by side. `map` converts each raw result on that case's
/// thread; `observer` receives the case's index.
///
/// # Errors
/// As [`run`].
pub fn run_each<T: Send>(
    cases: &[Case],
    options: &Options,
    map: &(dyn Fn(usize, Ended) -> T + Sync),
    observer: &mut dyn FnMut(usize, Stage<T>),
) -> Result<Done, LabError> {
    let map = |index, ended, _: Window| map(index, ended);
    run_each_timed(cases, options, &map, observer)
}

/// As [`run_each`]; `map` also gets to know when the case ran.
fn run_each_timed<T: Send>(
    cases: &[Case],
    options: &Options,
    map: &(dyn Fn(usize, Ended, Window) -> T + Sync),
    observer: &mut dyn FnMut(usize, Stage<T>),
) -> Result<Done, LabError> {
    let resources = Resources::new(cases, options)?;
    let start_times = options
        .virtual_time
        .then(StartTimes::of_this_machine)
        .flatten();
    let positions = start_times::positions(cases, has_many_connections);
    let mut order: Vec<usize> = (0..cases.len()).collect();
    if let Some(start_times) = start_times {
        let now_ns = monotonic_ns();
        order.sort_by_key(|i| start_times.next(positions[*i], now_ns));
    } else {
        // The longest first, so that it is not the last to start.
        order.sort_by_key(|i| std::cmp::Reverse(expected_length(&cases[*i])));
    }

    std::thread::scope(|scope| {
        let (send, stages) = channel();
        let (resources, positions) = (&resources, &positions);
        for (number, index) in order.into_iter().enumerate() {
            let case = &cases[index];
            let not_run = |status| Stage::Ended(map(index, Ended::Not(status), None));
            if case.clock == Clock::Virtual && !options.virtual_time {
                let why = "it takes hours, and needs --time virtual".to_owned();
                observer(index, not_run(Status::NotRun(why)));
                continue;
            }
            let send = send.clone();
            let started = std::thread::Builder::new()
                .name(format!("case-{index}"))
                .stack_size(512 * 1024)
                .spawn_scoped(scope, move || {
                    let _admitted = resources.admit(case, number);
                    // The receiver lives until every sender is gone.
                    let _ = send.send((index, Stage::Started));
                    let turn = Turn {
                        number,
                        start: start_times.map(|times| (times, positions[index])),
                    };
                    let (began_ns, before) = (monotonic_ns(), Counters::now());
                    let ended = resources.run(case, turn);
                    let ran = Ran {
                        began_ns,
                        ended_ns: monotonic_ns(),
                        overflows: before.since(),
                    };
                    let ended = map(index, ended, Some(ran));
                    let _ = send.send((index, Stage::Ended(ended)));
                });
            if let Err(e) = started {
                let why = format!("no thread for it: {e}");
                observer(index, not_run(Status::Failed(why)));
            }
        }
        drop(send);
        for (index, stage) in stages {
            observer(index, stage);
        }
    });
    Ok(Done {
        environment: machine::environment(options),
        interrupted: resources.was_interrupted(),
    })
}
