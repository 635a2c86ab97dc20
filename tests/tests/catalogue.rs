//! Every case of the catalogue is a test of its own name, and its row of the
//! scenario's table is under snapshot.
//!
//! Needs root, or user namespaces for ordinary users; nothing else.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use halfopen_outcome::record::{Outcome, Status, Verdict};
use halfopen_outcome::tolerance::REAL_TIME;
use halfopen_scenario::case::{Case, Clock};
use halfopen_tests::{catalogue, prediction, root, row};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// How long a case waits for a quiet moment before it is run again: the other tests
/// of a `cargo test` keep the machine busy for about as long.
const WAIT_FOR_QUIET: Duration = Duration::from_secs(60);
/// How often a case whose row differs is run again while the machine is disturbed.
const ROW_TRIES: usize = 3;

fn main() -> ExitCode {
    halfopen_runner::endpoint::serve_if_asked();
    let mut args = Arguments::from_args();
    let loaded = match halfopen_scenario::load(&catalogue()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    if !args.list
        && let Err(e) = halfopen_lab::sandbox::enter()
    {
        eprintln!("{e}");
        return ExitCode::from(3);
    }
    // What is left to a test is to look at its outcome; one that is run again waits.
    args.test_threads.get_or_insert(64);

    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in &loaded.cases {
        order
            .entry(case.scenario.clone())
            .or_default()
            .push(case.id.clone());
    }
    let outcomes: Arc<OnceLock<BTreeMap<String, Outcome>>> = Arc::default();
    let mut wanted: Vec<Case> = Vec::new();
    let mut trials = Vec::new();
    for case in loaded.cases {
        let order = order[&case.scenario].clone();
        let later = case.clock == Clock::Virtual;
        let (this, outcomes) = (case.clone(), Arc::clone(&outcomes));
        let trial = Trial::ignorable_test(case.id.clone(), move || {
            let first = outcomes.get().and_then(|all| all.get(&this.id));
            check(
                &this,
                &order,
                first.ok_or("it was not run with the others")?,
            )
        })
        .with_ignored_flag(later);
        let runs = !later || args.ignored || args.include_ignored;
        if runs && !args.is_filtered_out(&trial) {
            wanted.push(case);
        }
        trials.push(trial);
    }
    if !args.list {
        // One schedule for all of them, as in `halfopen run`: a hundred labs that are
        // built, or lose a host, at the same moment wait for each other's locks in the
        // kernel (rtnl_lock(), sock_diag's), and their events come late.
        eprintln!("running {} cases side by side", wanted.len());
        let run = halfopen_runner::run(&wanted, &options(), &mut |_| ());
        let all = match run {
            Ok(results) => results.outcomes,
            Err(e) => {
                eprintln!("{e}");
                return ExitCode::from(3);
            }
        };
        let by_id = all.into_iter().map(|outcome| (outcome.id.clone(), outcome));
        let _ = outcomes.set(by_id.collect());
    }
    libtest_mimic::run(&args, trials).exit_code()
}

fn options() -> halfopen_runner::Options {
    halfopen_runner::Options {
        wait_for_quiet: WAIT_FOR_QUIET,
        ..halfopen_runner::Options::default()
    }
}

/// What is right but cannot be told on a machine that was never quiet is ignored, with
/// the reason, as `run --junit` says that it was skipped.
fn check(case: &Case, order: &[String], first: &Outcome) -> Result<Completion, Failed> {
    let folder = root().join("tests/tests/snapshots/catalogue");
    let mut outcome = first.clone();
    let mut late: Vec<Duration> = Vec::new();
    // What a row shows besides the sign is not judged by run(). A loss probe leaves
    // two ticks and two round trips after the last segment
    // (tcp_schedule_loss_probe()), so any measured lag of a relay may show there.
    while !row::agrees(&folder, &outcome, order, REAL_TIME) {
        match outcome.lag_ns {
            Some(lag_ns) if lag_ns > 0 => late.push(Duration::from_nanos(lag_ns)),
            _ => break,
        }
        if late.len() > ROW_TRIES {
            break;
        }
        let again = halfopen_runner::run(std::slice::from_ref(case), &options(), &mut |_| ())?;
        outcome = again
            .outcomes
            .into_iter()
            .next()
            .ok_or("there is no outcome")?;
    }
    let outcome = &outcome;
    if let Status::Failed(why) | Status::NotRun(why) = &outcome.status {
        return Err(why.as_str().into());
    }
    if outcome.verdict == Verdict::Disturbed {
        let tries = outcome.disturbed_tries.iter();
        let tries: Vec<String> = tries.map(halfopen_report::text::disturbed_try).collect();
        let figures = tries.join("; ");
        let why = format!("this machine was never quiet: {figures}");
        return Ok(Completion::ignored_with(why));
    }
    if outcome.verdict != Verdict::AsExpected {
        return Err(format!(
            "{}\n{}",
            outcome.surprises.join("\n"),
            halfopen_report::ladder::render(outcome, &halfopen_report::ladder::EVIDENCE)
        )
        .into());
    }
    prediction::held(outcome)?;
    if late.len() > ROW_TRIES {
        let why = format!("its row differs, and this machine was never quiet: {late:?} late");
        return Ok(Completion::ignored_with(why));
    }
    row::assert_row(&folder, outcome, order, REAL_TIME);
    Ok(Completion::Completed)
}
