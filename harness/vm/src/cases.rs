//! The cases of a run, in a guest on each of several kernels.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::VmError;
use super::files::Shared;
use super::kernels::Kernel;
use super::machine::state::restore_or_boot;
use super::machine::{Booted, GuestTime, GuestTimes, Heard, Settings};
use super::order::{Order, Said};
use super::size;
use halfopen_net::error::chain;
use halfopen_outcome::compare_prediction;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Outcome;
use halfopen_scenario::case::Case;

pub use super::work::work;

/// How cases are run in guests.
#[derive(Debug, Clone)]
pub struct Options {
    /// The guests' clock.
    pub time: GuestTime,
    /// How many guests are under way at once; None: one a processor.
    pub guests: Option<usize>,
    /// How many cases of a guest; None: as [`halfopen_runner::Options::jobs`].
    pub jobs: Option<usize>,
    /// A guest gets at most so many cases, and a kernel several guests; None:
    /// one guest gets all of them, or two share them where they are many.
    pub batch: Option<usize>,
    /// As [`halfopen_runner::Options::sysctls`].
    pub sysctls: BTreeMap<String, BTreeMap<String, String>>,
    /// As [`halfopen_runner::Options::interrupt`]: guests are ended at once.
    pub interrupt: Option<Arc<OwnedFd>>,
    /// As [`Settings::silence`].
    pub silence: Duration,
    /// As [`Settings::restore`].
    pub restore: bool,
    /// As [`Settings::append`].
    pub append: String,
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
        }
    }
}

/// What happens during a run in guests.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The guest is up.
    Booted(&'a Booted),
    /// It was booted where it should have been restored, and this is why.
    Notice(&'a str),
    /// Its clock, since its boot.
    Clock(Duration),
    /// A case has started.
    Started(&'a str),
    /// A case has ended.
    Finished(&'a Outcome),
}

/// What one kernel gave.
#[derive(Debug)]
pub struct KernelRun {
    /// What the results depend on; None when the guest did not come to its end.
    pub environment: Option<Environment>,
    /// The outcomes of the cases that ended, in the order of the cases: all of
    /// them, unless the guest failed.
    pub outcomes: Vec<Outcome>,
    /// How the guest's life went, or why it failed.
    pub ended: Result<GuestTimes, VmError>,
}

/// One guest's work: a kernel by its number, and its cases.
struct Job<'a> {
    kernel: usize,
    cases: Vec<&'a Case>,
    input: Vec<u8>,
    settings: Settings,
}

/// From so many cases on a second boot costs less than it saves.
const SHARED_FROM: usize = 32;

/// Runs `cases` on each of `kernels`, as many guests at once as told, and tells
/// `watch` by the kernel's number. All cases of a guest run at once.
///
/// The result has one entry a kernel, in their order; a guest that fails does
/// not touch the others.
///
/// # Errors
/// Only when the cases cannot be sent at all.
pub fn run(
    cases: &[Case],
    kernels: &[Kernel],
    options: &Options,
    watch: &mut dyn FnMut(usize, Progress<'_>),
) -> Result<Vec<KernelRun>, VmError> {
    let jobs = jobs(cases, kernels, options)?;
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
    let mut lives: Vec<Vec<Result<GuestTimes, VmError>>> =
        kernels.iter().map(|_| Vec::new()).collect();
    let mut told: Vec<Vec<Outcome>> = jobs.iter().map(|_| Vec::new()).collect();
    let first: Vec<usize> = (0..kernels.len())
        .map(|kernel| jobs.iter().take_while(|job| job.kernel != kernel).count())
        .collect();
    let next = Mutex::new(AtomicUsize::new(0));
    let files: Vec<Shared> = kernels.iter().map(|_| Shared::default()).collect();
    std::thread::scope(|scope| {
        let (send, events) = channel();
        for _ in 0..guests {
            let (send, jobs, next, files) = (send.clone(), &jobs, &next, &files);
            scope.spawn(move || {
                loop {
                    let turn = next.lock().unwrap_or_else(PoisonError::into_inner);
                    let index = turn.fetch_add(1, Ordering::Relaxed);
                    drop(turn);
                    let Some(job) = jobs.get(index) else {
                        break;
                    };
                    let of = (&kernels[job.kernel], &files[job.kernel]);
                    one(index, of, job, options, &send);
                }
            });
        }
        drop(send);
        for (job, event) in events {
            let index = jobs[job].kernel;
            match event {
                Event::Booted(booted) => watch(index, Progress::Booted(&booted)),
                Event::Notice(why) => watch(index, Progress::Notice(&why)),
                Event::Clock(clock) => watch(index, Progress::Clock(clock)),
                Event::Started(id) => watch(index, Progress::Started(&id)),
                Event::Finished(outcome) => {
                    watch(index, Progress::Finished(&outcome));
                    told[job].push(*outcome);
                }
                Event::Environment(e) => {
                    // Each guest has its own timer wheel.
                    compare_prediction::compare_all(cases, &mut told[job], &e);
                    // Of several guests that of the first, however fast it was.
                    if job == first[index] {
                        runs[index].environment = Some(*e);
                    }
                }
                Event::Ended(ended) => lives[index].push(ended),
            }
        }
    });
    let place: BTreeMap<&str, usize> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| (case.id.as_str(), i))
        .collect();
    for (job, outcomes) in jobs.iter().zip(told) {
        runs[job.kernel].outcomes.extend(outcomes);
    }
    for (run, lives) in runs.iter_mut().zip(lives) {
        run.ended = together(lives);
        run.outcomes
            .sort_by_key(|outcome| place.get(outcome.id.as_str()).copied());
    }
    Ok(runs)
}

/// The guests' work: each kernel gets all cases, in as many guests as told.
fn jobs<'a>(
    cases: &'a [Case],
    kernels: &[Kernel],
    options: &Options,
) -> Result<Vec<Job<'a>>, VmError> {
    let batches = batches(cases, options);
    let mut jobs = Vec::new();
    for kernel in 0..kernels.len() {
        for batch in &batches {
            let needed = size::needed_namespaces(batch.iter().copied());
            let order = Order {
                cases: batch.clone(),
                jobs: options.jobs,
                sysctls: options.sysctls.clone(),
                virtual_time: options.time == GuestTime::Virtual,
            };
            jobs.push(Job {
                kernel,
                cases: batch.clone(),
                input: serde_json::to_vec(&order)
                    .map_err(|e| VmError::system("send the cases")(std::io::Error::other(e)))?,
                settings: Settings {
                    time: options.time,
                    memory_mib: size::memory_mib(batch.len()),
                    namespaces: size::saved_namespaces(needed),
                    silence: options.silence,
                    restore: options.restore,
                    append: options.append.clone(),
                    ..Settings::default()
                },
            });
        }
    }
    Ok(jobs)
}

/// Which cases share a guest. Where there are many, two guests share them, so that
/// one kernel's run keeps two processors busy. From the cases alone, so that
/// results do not depend on the host.
fn batches<'a>(cases: &'a [Case], options: &Options) -> Vec<Vec<&'a Case>> {
    if let Some(most) = options.batch
        && !cases.is_empty()
    {
        let chunks = cases.chunks(most.max(1));
        return chunks.map(|chunk| chunk.iter().collect()).collect();
    }
    if cases.len() < SHARED_FROM || options.time == GuestTime::Real {
        return vec![cases.iter().collect()];
    }
    // Crowds and what is short go together: a crowd keeps the processor busy for
    // so long that others' timers are late, and comes when these have ended.
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|&i| {
        (
            !halfopen_runner::has_many_connections(&cases[i]),
            halfopen_runner::expected_length(&cases[i]),
        )
    });
    let half = order.iter().map(|&i| cost(&cases[i])).sum::<u64>() / 2;
    let mut so_far = 0;
    let shorter = order.iter().take_while(|&&i| {
        so_far += cost(&cases[i]);
        so_far <= half
    });
    let mut longer = order.split_off(shorter.count());
    order.sort_unstable();
    longer.sort_unstable();
    let cases_of = |half: Vec<usize>| half.into_iter().map(|i| &cases[i]).collect();
    vec![cases_of(order), cases_of(longer)]
}

/// What a case costs its guest, about, in millions of instructions: its lab, its
/// connections, and its hours, of which the host pays for the idle wake-ups.
fn cost(case: &Case) -> u64 {
    let hours = halfopen_runner::expected_length(case).as_secs() / 3600;
    10 + halfopen_runner::connections(case) / 5 + 26 * hours
}

/// The lives of a kernel's guests as one: what is spent adds up, what passed
/// meanwhile passed for all of them. The first failure is the kernel's.
fn together(lives: Vec<Result<GuestTimes, VmError>>) -> Result<GuestTimes, VmError> {
    let mut whole: Option<GuestTimes> = None;
    for life in lives {
        let life = life?;
        whole = Some(whole.map_or(life, |so_far| GuestTimes {
            guest: so_far.guest.max(life.guest),
            busy: so_far.busy + life.busy,
            began: so_far.began.min(life.began),
            wall: (so_far.began + so_far.wall).max(life.began + life.wall)
                - so_far.began.min(life.began),
            boot: so_far.boot.max(life.boot),
            origin: so_far.origin.max(life.origin),
        }));
    }
    whole.ok_or(VmError::Interrupted)
}

/// What a worker tells.
enum Event {
    Booted(Booted),
    Notice(String),
    Clock(Duration),
    Started(String),
    Finished(Box<Outcome>),
    Environment(Box<Environment>),
    Ended(Result<GuestTimes, VmError>),
}

fn one(
    number: usize,
    (kernel, files): (&Kernel, &Shared),
    job: &Job<'_>,
    options: &Options,
    send: &Sender<(usize, Event)>,
) {
    let mut misunderstood = None;
    let tell = |event| {
        // The receiver lives until every worker is gone.
        let _ = send.send((number, event));
    };
    let interrupt = options.interrupt.as_ref().map(|fd| fd.as_fd());
    let mut heard = |heard: Heard<'_>| match heard {
        Heard::Booted(booted) => tell(Event::Booted(booted.clone())),
        Heard::Clock(clock) => tell(Event::Clock(clock)),
        Heard::Said(said) => match understand(said, &job.cases) {
            Ok(event) => tell(event),
            Err(why) => misunderstood = Some(why),
        },
    };
    let started = Instant::now();
    let (input, settings) = (&job.input, &job.settings);
    let mut notice = |why: &VmError| tell(Event::Notice(chain(why)));
    let of = (kernel, files);
    let ended = restore_or_boot(of, input, settings, interrupt, &mut notice, &mut heard);
    let ended = ended.map(|life| life.since(started));
    let ended = match misunderstood {
        Some(why) if ended.is_ok() => Err(VmError::Guest {
            release: kernel.release.clone(),
            why: format!("it said: {why}"),
        }),
        _ => ended,
    };
    tell(Event::Ended(ended));
}

/// What a guest with these cases means.
fn understand(said: &[u8], cases: &[&Case]) -> Result<Event, String> {
    let case = |number: usize| {
        let case = cases.get(number).copied();
        case.ok_or_else(|| format!("a case {number}, of {}", cases.len()))
    };
    match postcard::from_bytes(said).map_err(|e| e.to_string())? {
        Said::Started(number) => Ok(Event::Started(case(number)?.id.clone())),
        Said::Ended(number, ended) => {
            let outcome = halfopen_runner::evaluate(case(number)?, ended);
            Ok(Event::Finished(Box::new(outcome)))
        }
        Said::Environment(text) => {
            let environment = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            Ok(Event::Environment(environment))
        }
    }
}
