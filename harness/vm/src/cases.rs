//! Runs cases in a guest on each of several kernels: shares the cases among guests,
//! starts them, and turns their messages into outcomes. Used by every command that
//! takes `--kernel`.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::VmError;
use super::files::SharedFiles;
use super::kernels::Kernel;
use super::machine::state::restore_or_boot;
use super::machine::{BootReport, GuestEvent, GuestTime, GuestTimes, Settings};
use super::programs;
use super::protocol::{GuestMessage, Input, Request};
use super::size;
use halfopen_net::error::chain;
use halfopen_outcome::compare_prediction;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{Outcome, Status};
use halfopen_runner::recorded::Ended;
use halfopen_scenario::case::Case;

pub use super::work::work;

/// How cases are run in guests.
#[derive(Debug, Clone)]
pub struct Options {
    /// The guests' clock.
    pub time: GuestTime,
    /// How many guests run at once; None: one per processor.
    pub guests: Option<usize>,
    /// How many cases of a guest run at once; None: as
    /// [`halfopen_runner::Options::jobs`].
    pub jobs: Option<usize>,
    /// The most cases of a guest, so that a kernel may get several guests; None: one
    /// guest gets all of them, or two share them where there are many.
    pub batch: Option<usize>,
    /// As [`halfopen_runner::Options::sysctls`].
    pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
    /// As [`halfopen_runner::Options::interrupt`]: guests are killed at once.
    pub interrupt: Option<Arc<OwnedFd>>,
    /// As [`Settings::silence`].
    pub silence: Duration,
    /// As [`Settings::restore`].
    pub restore: bool,
    /// As [`Settings::append`].
    pub append: String,
    /// As [`halfopen_runner::Options::explain`]: each case has a guest of its own.
    pub explain: bool,
    /// As [`halfopen_runner::Options::pcap`].
    pub pcap: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let Settings {
            time,
            silence,
            restore,
            append,
            ..
        } = Settings::default();
        Options {
            time,
            guests: None,
            jobs: None,
            batch: None,
            sysctls: BTreeMap::new(),
            interrupt: None,
            silence,
            restore,
            append,
            explain: false,
            pcap: None,
        }
    }
}

/// An event of a run in guests.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The guest is up.
    Booted(&'a BootReport),
    /// The guest could not be restored and is booted, for this reason.
    NotRestored(&'a str),
    /// The guest's clock, since its boot.
    Clock(Duration),
    /// A case has started.
    Started(&'a str),
    /// A case has ended.
    Finished(&'a Outcome),
}

/// The results of one kernel.
#[derive(Debug)]
pub struct KernelRun {
    /// What the results depend on; None when the guest did not finish.
    pub environment: Option<Environment>,
    /// The outcomes of the cases that ended, in the order of the cases: all of
    /// them, unless the guest failed.
    pub outcomes: Vec<Outcome>,
    /// The time that the guests took, or why one of them failed.
    pub ended: Result<GuestTimes, VmError>,
}

/// One guest's work: a kernel by its index, and the cases.
struct Job<'a> {
    kernel: usize,
    cases: Vec<&'a Case>,
    /// The request; what programs need follows it.
    input: Vec<u8>,
    settings: Settings,
}

/// From so many cases on, a second boot costs less than it saves.
const SPLIT_FROM_CASES: usize = 32;

/// Runs `cases` on each of `kernels`, in up to [`Options::guests`] guests at a time,
/// and reports to `on_progress` with the kernel's index. All cases of a guest run at
/// once.
///
/// The result has one entry per kernel, in their order; a guest that fails does not
/// affect other kernels.
///
/// # Errors
/// Only when the cases cannot be serialized.
pub fn run(
    cases: &[Case],
    kernels: &[Kernel],
    options: &Options,
    on_progress: &mut dyn FnMut(usize, Progress<'_>),
) -> Result<Vec<KernelRun>, VmError> {
    let jobs = plan_jobs(cases, kernels, options)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let guests = options
        .guests
        .unwrap_or(processors)
        .clamp(1, jobs.len().max(1));
    let mut runs: Vec<KernelRun> = kernels
        .iter()
        .map(|_| KernelRun {
            environment: None,
            outcomes: Vec::new(),
            ended: Err(VmError::Interrupted),
        })
        .collect();
    let mut times: Vec<Vec<Result<GuestTimes, VmError>>> =
        kernels.iter().map(|_| Vec::new()).collect();
    let mut outcomes_of_job: Vec<Vec<Outcome>> = jobs.iter().map(|_| Vec::new()).collect();
    let first_job: Vec<usize> = (0..kernels.len())
        .map(|kernel| jobs.iter().take_while(|job| job.kernel != kernel).count())
        .collect();
    let next = Mutex::new(AtomicUsize::new(0));
    let files: Vec<SharedFiles> = kernels.iter().map(|_| SharedFiles::default()).collect();
    std::thread::scope(|scope| {
        let (send, events) = channel();
        for _ in 0..guests {
            let (send, jobs, next, files) = (send.clone(), &jobs, &next, &files);
            scope.spawn(move || {
                loop {
                    let counter = next.lock().unwrap_or_else(PoisonError::into_inner);
                    let index = counter.fetch_add(1, Ordering::Relaxed);
                    drop(counter);
                    let Some(job) = jobs.get(index) else {
                        break;
                    };
                    let target = (&kernels[job.kernel], &files[job.kernel]);
                    run_job(index, target, job, options, &send);
                }
            });
        }
        drop(send);
        for (job, event) in events {
            let index = jobs[job].kernel;
            match event {
                Event::Booted(booted) => on_progress(index, Progress::Booted(&booted)),
                Event::NotRestored(why) => on_progress(index, Progress::NotRestored(&why)),
                Event::Clock(clock) => on_progress(index, Progress::Clock(clock)),
                Event::Started(id) => on_progress(index, Progress::Started(&id)),
                Event::Finished(outcome) => {
                    on_progress(index, Progress::Finished(&outcome));
                    outcomes_of_job[job].push(*outcome);
                }
                Event::Environment(e) => {
                    // Each guest has its own timer wheel.
                    compare_prediction::compare_all(cases, &mut outcomes_of_job[job], &e);
                    // Of several guests the first one's, whichever finished first.
                    if job == first_job[index] {
                        runs[index].environment = Some(*e);
                    }
                }
                Event::Ended(ended) => times[index].push(ended),
            }
        }
    });
    let position: BTreeMap<&str, usize> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| (case.id.as_str(), i))
        .collect();
    for (job, outcomes) in jobs.iter().zip(outcomes_of_job) {
        runs[job.kernel].outcomes.extend(outcomes);
    }
    for (run, times) in runs.iter_mut().zip(times) {
        run.ended = merge_times(times);
        run.outcomes
            .sort_by_key(|outcome| position.get(outcome.id.as_str()).copied());
    }
    Ok(runs)
}

/// Plans the guests: each kernel gets all cases, in one guest per batch.
fn plan_jobs<'a>(
    cases: &'a [Case],
    kernels: &[Kernel],
    options: &Options,
) -> Result<Vec<Job<'a>>, VmError> {
    let batches = batches(cases, options);
    let mut jobs = Vec::new();
    for kernel in 0..kernels.len() {
        for batch in &batches {
            let needed = size::needed_namespaces(batch.iter().copied());
            let request = Request {
                cases: batch.iter().map(|case| programs::with_path(case)).collect(),
                jobs: options.jobs,
                sysctls: options.sysctls.clone(),
                virtual_time: options.time == GuestTime::Virtual,
                explain: options.explain,
            };
            let input = postcard::to_stdvec(&Input::Cases(request))
                .map_err(|e| VmError::system("send the cases")(std::io::Error::other(e)))?;
            jobs.push(Job {
                kernel,
                cases: batch.clone(),
                input,
                settings: Settings {
                    time: options.time,
                    memory_mib: size::memory_mib(batch.len()),
                    namespaces: size::saved_namespaces(needed),
                    silence: options.silence,
                    restore: options.restore,
                    trace_events: options.explain,
                    append: options.append.clone(),
                    ..Settings::default()
                },
            });
        }
    }
    Ok(jobs)
}

/// Which cases share a guest. Many cases are shared by two guests, so that one kernel's
/// run keeps two processors busy. The cases of a scenario with programs have a guest of
/// their own: it holds these programs' files only, and what it shows does not depend on
/// which other scenarios are run. Computed from the cases alone, so that results do not
/// depend on the host.
fn batches<'a>(cases: &'a [Case], options: &Options) -> Vec<Vec<&'a Case>> {
    if options.explain {
        return cases.iter().map(|case| vec![case]).collect();
    }
    let has_programs = |case: &&Case| case.lanes.iter().any(|lane| lane.program.is_some());
    let (with_programs, cases): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(has_programs);
    let mut batches = match cases.is_empty() && !with_programs.is_empty() {
        true => Vec::new(),
        false => batches_of_scripts(&cases, options),
    };
    let of_scenarios = with_programs.chunk_by(|a, b| a.scenario == b.scenario);
    batches.extend(of_scenarios.map(<[&Case]>::to_vec));
    batches
}

fn batches_of_scripts<'a>(cases: &[&'a Case], options: &Options) -> Vec<Vec<&'a Case>> {
    if let Some(most) = options.batch {
        return cases.chunks(most.max(1)).map(<[_]>::to_vec).collect();
    }
    if cases.len() < SPLIT_FROM_CASES || options.time == GuestTime::Real {
        return vec![cases.to_vec()];
    }
    // Cases with many connections go with the short ones: such a case keeps the
    // processor busy for so long that the timers of others are late, and it starts when
    // the short ones have ended.
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|&i| {
        (
            !halfopen_runner::has_many_connections(cases[i]),
            halfopen_runner::expected_length(cases[i]),
        )
    });
    let half = order.iter().map(|&i| estimated_cost(cases[i])).sum::<u64>() / 2;
    let mut sum = 0;
    let shorter = order.iter().take_while(|&&i| {
        sum += estimated_cost(cases[i]);
        sum <= half
    });
    let mut longer = order.split_off(shorter.count());
    order.sort_unstable();
    longer.sort_unstable();
    let cases_of = |half: Vec<usize>| half.into_iter().map(|i| cases[i]).collect();
    vec![cases_of(order), cases_of(longer)]
}

/// The estimated cost of a case, in millions of instructions: its lab, its connections,
/// and its hours, for whose idle wake-ups the host pays.
fn estimated_cost(case: &Case) -> u64 {
    let hours = halfopen_runner::expected_length(case).as_secs() / 3600;
    10 + halfopen_runner::connections(case) / 5 + 26 * hours
}

/// Merges the times of a kernel's guests: busy time adds up, elapsed time covers all of
/// them. The first failure is the kernel's.
fn merge_times(times: Vec<Result<GuestTimes, VmError>>) -> Result<GuestTimes, VmError> {
    let mut merged: Option<GuestTimes> = None;
    for guest in times {
        let guest = guest?;
        merged = Some(merged.map_or(guest, |sum| GuestTimes {
            guest: sum.guest.max(guest.guest),
            busy: sum.busy + guest.busy,
            began: sum.began.min(guest.began),
            wall: (sum.began + sum.wall).max(guest.began + guest.wall) - sum.began.min(guest.began),
            boot: sum.boot.max(guest.boot),
            origin: sum.origin.max(guest.origin),
        }));
    }
    merged.ok_or(VmError::Interrupted)
}

/// What a worker thread reports.
enum Event {
    Booted(BootReport),
    NotRestored(String),
    Clock(Duration),
    Started(String),
    Finished(Box<Outcome>),
    Environment(Box<Environment>),
    Ended(Result<GuestTimes, VmError>),
}

fn run_job(
    number: usize,
    (kernel, files): (&Kernel, &SharedFiles),
    job: &Job<'_>,
    options: &Options,
    send: &Sender<(usize, Event)>,
) {
    let mut decode_error = None;
    let report = |event| {
        // The receiver is dropped after all workers have ended.
        let _ = send.send((number, event));
    };
    let interrupt = options.interrupt.as_ref().map(|fd| fd.as_fd());
    let mut on_event = |event: GuestEvent<'_>| match event {
        GuestEvent::Booted(booted) => report(Event::Booted(booted.clone())),
        GuestEvent::Clock(clock) => report(Event::Clock(clock)),
        // Cases make no requests.
        GuestEvent::Request { .. } => {}
        GuestEvent::Message(message) => {
            match decode_message(message, &job.cases, options.pcap.as_deref()) {
                Ok(event) => report(event),
                Err(why) => decode_error = Some(why),
            }
        }
    };
    let started = Instant::now();
    let mut on_restore_error = |why: &VmError| report(Event::NotRestored(chain(why)));
    let target = (kernel, files);
    // The programs' files are read now: of all guests together they may be gigabytes.
    let ended = programs::pack(&job.cases).and_then(|packed| {
        let input = [job.input.as_slice(), &packed].concat();
        let memory_mib = size::memory_for_input(input.len());
        let settings = Settings {
            memory_mib: job.settings.memory_mib.max(memory_mib),
            ..job.settings.clone()
        };
        restore_or_boot(
            target,
            &input,
            &settings,
            interrupt,
            &mut on_restore_error,
            &mut on_event,
        )
    });
    let ended = ended.map(|guest| guest.including_wait_from(started));
    let ended = match decode_error {
        Some(why) if ended.is_ok() => Err(VmError::Guest {
            release: kernel.release.clone(),
            why: format!("it said: {why}"),
        }),
        _ => ended,
    };
    report(Event::Ended(ended));
}

/// Decodes a message of a guest that runs `cases`.
fn decode_message(message: &[u8], cases: &[&Case], pcap: Option<&Path>) -> Result<Event, String> {
    let case = |number: usize| {
        let case = cases.get(number).copied();
        case.ok_or_else(|| format!("a case {number}, of {}", cases.len()))
    };
    match postcard::from_bytes(message).map_err(|e| e.to_string())? {
        GuestMessage::Started(number) => Ok(Event::Started(case(number)?.id.clone())),
        GuestMessage::Ended(number, ended) => {
            let case = case(number)?;
            let ended = match programs::lacks(case) {
                Some(why) => Ended::Not(Status::NotRun(why)),
                None => ended,
            };
            let outcome = halfopen_runner::evaluate(case, ended, pcap);
            Ok(Event::Finished(Box::new(outcome)))
        }
        GuestMessage::Environment(text) => {
            let environment = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            Ok(Event::Environment(environment))
        }
    }
}
