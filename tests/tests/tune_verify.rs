//! `tune --verify` for ten pairs of promises at once, two of them impossible,
//! in one guest in virtual time.
//!
//! Needs QEMU and a kernel (ci/setup, ci/kernels); no root. It runs when asked
//! for: cargo test --test tune_verify -- --ignored

use std::process::ExitCode;
use std::time::Duration;

use halfopen_predict::{KernelFacts, Version};
use halfopen_scenario::case::Case;
use halfopen_tune::trials::{Question, Shown, Trial, trials};
use halfopen_tune::{Answer, Path, Promise, Promises, Tuned, While, tune};
use halfopen_vm::cases::{self, Options};
use halfopen_vm::{Kernel, kernels};
use libtest_mimic::{Arguments, Failed, Trial as Test};

/// The kernel, by the beginning of its release.
const KERNEL: &str = "6.12.";

/// Noticed within, ridden out (milliseconds), while, the longest round trip,
/// the path, and whether anything keeps both.
type Pair = (u64, u64, While, u64, Path, bool);

const PAIRS: [Pair; 10] = [
    (30_000, 10_000, While::Both, 100, Path::Neighbour, true),
    (10_000, 2_000, While::Both, 10, Path::Unreachable, true),
    (5_000, 1_000, While::Both, 20, Path::Silent, true),
    (3_500, 0, While::Idle, 5, Path::Neighbour, true),
    (60_000, 25_000, While::Idle, 100, Path::Silent, true),
    (1_800_000, 300_000, While::Idle, 100, Path::Neighbour, true),
    (600_000, 90_000, While::Both, 200, Path::Neighbour, true),
    (100_000, 30_000, While::Sending, 10, Path::Unreachable, true),
    (10_000, 10_000, While::Both, 1, Path::Silent, false),
    (12_000, 11_500, While::Idle, 1, Path::Neighbour, false),
];

fn main() -> ExitCode {
    halfopen_runner::endpoint::serve_if_asked();
    halfopen_vm::guest::serve_if_guest(cases::work);
    let args = Arguments::from_args();
    let test = Test::test("ten_pairs_of_promises_hold_or_break_as_proved", ten_pairs);
    libtest_mimic::run(&args, vec![test.with_ignored_flag(true)]).exit_code()
}

/// Whose settings they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Found,
    Patient,
    Quick,
}

struct Planned {
    pair: usize,
    role: Role,
    trial: Trial,
}

fn ten_pairs() -> Result<(), Failed> {
    let kernel = kernel()?;
    let pairs: Vec<Promises> = PAIRS.iter().map(|pair| promises(*pair)).collect();
    let mut planned = Vec::new();
    for (pair, promises) in pairs.iter().enumerate() {
        for (role, tuned) in candidates(pair, &tune(promises))? {
            let prefix = format!("pair-{pair}-{}", format!("{role:?}").to_lowercase());
            for trial in trials(promises, &tuned, &prefix)? {
                planned.push(Planned { pair, role, trial });
            }
        }
    }
    let all: Vec<Case> = planned.iter().map(|p| p.trial.case.clone()).collect();
    let runs = cases::run(&all, &[kernel], &Options::default(), &mut |_, _| ())?;
    let run = runs.into_iter().next().ok_or("there is one run a kernel")?;
    run.ended?;
    let mut broken = Vec::new();
    let mut breaches = Vec::new();
    for Planned { pair, role, trial } in &planned {
        let outcome = run.outcomes.iter().find(|o| o.id == trial.case.id);
        let outcome = outcome.ok_or_else(|| format!("{} did not end", trial.case.id))?;
        let shown = trial.shown(outcome);
        if shown.keeps(&pairs[*pair]) {
            continue;
        }
        match (role, trial.question, &shown) {
            (Role::Patient, Question::Crash, Shown::Noticed(_))
            | (Role::Quick, Question::Outage, Shown::Died(_)) => breaches.push((*pair, *role)),
            _ => broken.push(format!(
                "pair {pair}: {role:?}: {}: {shown:?}",
                trial.description
            )),
        }
    }
    if !broken.is_empty() {
        return Err(broken.join("\n").into());
    }
    for (pair, (.., possible)) in PAIRS.iter().enumerate() {
        for role in [Role::Patient, Role::Quick] {
            if !breaches.contains(&(pair, role)) && !possible {
                return Err(format!("pair {pair}: {role:?} broke no promise").into());
            }
        }
    }
    Ok(())
}

fn kernel() -> Result<Kernel, Failed> {
    let found = kernels::find().kernels;
    let named = found.into_iter().find(|k| k.release.starts_with(KERNEL));
    named.ok_or_else(|| format!("there is no kernel {KERNEL}x here\n  cure: ci/kernels").into())
}

fn promises((notice, ride_out, when, trip, path, _): Pair) -> Promises {
    Promises {
        notice_within: Duration::from_millis(notice),
        ride_out: Duration::from_millis(ride_out),
        when,
        round_trip: Duration::from_millis(trip),
        path,
        kernels: vec![KernelFacts::new(Version(6, 12), 250)],
        middlebox_forgets: None,
    }
}

/// The settings of a pair, or the two nearest.
fn candidates(pair: usize, answer: &Answer) -> Result<Vec<(Role, Tuned)>, Failed> {
    let (.., possible) = PAIRS[pair];
    match answer {
        Answer::Found { tuned, .. } if possible => Ok(vec![(Role::Found, *tuned)]),
        Answer::Impossible(none) if !possible => {
            assert_eq!(none.breaks, Promise::RideOut);
            let patient = none.patient.ok_or("something rides the outage out")?;
            let quick = none.quick.ok_or("something notices in time")?;
            Ok(vec![(Role::Patient, patient), (Role::Quick, quick)])
        }
        other => Err(format!("pair {pair}: {other:?}").into()),
    }
}
