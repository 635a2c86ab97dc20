//! Feeds changed files to what reads files, and to the predictor: no panic, nothing that
//! takes longer than a second. See ci/fuzz.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use halfopen_tests::fuzz::{Corpus, Target};
use nix::time::{ClockId, clock_gettime};

const USAGE: &str = "\
usage: ci/fuzz [--seed N] [--inputs N | --seconds N | --only N]

Feeds the fixtures, changed by chance, to the readers of scenarios, baselines and
sysctl.conf, and cases to the predictor. Exit code 1 when one panics or takes longer
than a second of a processor; the input is printed, and its number.

  --seed N     which changes (1)
  --inputs N   how many (100000)
  --seconds N  as many as that takes, instead
  --only N     this one, printed";

/// What an input may take of a processor's time.
const LIMIT: Duration = Duration::from_secs(1);
/// One that still runs after so long is not waited for.
const ENDLESS: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Args {
    seed: u64,
    inputs: u64,
    until: Option<Instant>,
    only: Option<u64>,
}

fn args() -> Result<Args, String> {
    let mut args = Args {
        seed: 1,
        inputs: 100_000,
        until: None,
        only: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let number = words.next().and_then(|word| word.parse::<u64>().ok());
        let number = number.ok_or_else(|| format!("{word} has no number"))?;
        match word.as_str() {
            "--seed" => args.seed = number,
            "--inputs" => args.inputs = number,
            "--seconds" => {
                args.inputs = u64::MAX;
                args.until = Some(Instant::now() + Duration::from_secs(number));
            }
            "--only" => args.only = Some(number),
            other => return Err(format!("there is no {other}")),
        }
    }
    Ok(args)
}

/// What the threads share.
#[derive(Default)]
struct Shared {
    next: AtomicU64,
    stop: AtomicBool,
    findings: Mutex<Vec<(u64, String)>>,
    /// Which input each thread is at, and since when.
    at: Vec<Mutex<Option<(u64, Instant)>>>,
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let corpus = match Corpus::load() {
        Ok(corpus) => corpus,
        Err(e) => {
            eprintln!("cannot read the fixtures: {e}");
            return ExitCode::from(2);
        }
    };
    if let Some(number) = args.only {
        let (target, text) = corpus.input(args.seed, number);
        println!("{text}");
        let found = tried(target, &text);
        eprintln!(
            "{target:?}: {}",
            found.as_deref().unwrap_or("nothing wrong")
        );
        return ExitCode::from(u8::from(found.is_some()));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shared = Shared {
        at: (0..threads).map(|_| Mutex::default()).collect(),
        ..Shared::default()
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (shared, corpus) = (&shared, &corpus);
            scope.spawn(move || work(thread, args, corpus, shared));
        }
        watch(args.seed, &corpus, &shared);
    });
    let findings = shared.findings.into_inner().unwrap_or_default();
    for (number, why) in &findings {
        let (target, text) = corpus.input(args.seed, *number);
        println!(
            "{text}\n{target:?}, --seed {} --only {number}: {why}\n",
            args.seed
        );
    }
    let inputs = shared.next.into_inner().min(args.inputs);
    println!(
        "{inputs} inputs in {:.0} s, {} findings",
        began.elapsed().as_secs_f64(),
        findings.len()
    );
    ExitCode::from(u8::from(!findings.is_empty()))
}

/// Takes input after input.
fn work(thread: usize, args: Args, corpus: &Corpus, shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= args.inputs || args.until.is_some_and(|until| Instant::now() > until) {
            break;
        }
        let (target, text) = corpus.input(args.seed, number);
        set(&shared.at[thread], Some((number, Instant::now())));
        if let Some(why) = tried(target, &text)
            && let Ok(mut findings) = shared.findings.lock()
        {
            findings.push((number, why));
            // Enough to mend first.
            shared.stop.store(findings.len() >= 10, Ordering::Relaxed);
        }
        set(&shared.at[thread], None);
    }
    shared.stop.store(true, Ordering::Relaxed);
}

fn set(at: &Mutex<Option<(u64, Instant)>>, value: Option<(u64, Instant)>) {
    if let Ok(mut at) = at.lock() {
        *at = value;
    }
}

/// Ends the program when an input does not end.
fn watch(seed: u64, corpus: &Corpus, shared: &Shared) {
    let busy = || {
        shared
            .at
            .iter()
            .filter_map(|at| at.lock().ok().and_then(|at| *at))
    };
    while !shared.stop.load(Ordering::Relaxed) || busy().next().is_some() {
        std::thread::sleep(Duration::from_millis(200));
        if let Some((number, _)) = busy().find(|(_, since)| since.elapsed() > ENDLESS) {
            let (target, text) = corpus.input(seed, number);
            println!("{text}\n{target:?}, --seed {seed} --only {number}: it does not end");
            std::process::exit(1);
        }
    }
}

/// What is wrong with how an input is taken; None: nothing.
fn tried(target: Target, text: &str) -> Option<String> {
    let before = processor_time();
    let fed = catch_unwind(AssertUnwindSafe(|| target.feed(text)));
    let took = processor_time().saturating_sub(before);
    if fed.is_err() {
        return Some("it panics".into());
    }
    (took > LIMIT).then(|| format!("it takes {took:?}"))
}

/// Of this thread: what else runs on the machine does not count.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
