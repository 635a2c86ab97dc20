//! Every case of the catalogue is a test of its own name, and its row of the
//! scenario's table is under snapshot.
//!
//! Needs root, or user namespaces for ordinary users; nothing else.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use halfopen_outcome::record::{Status, Verdict};
use halfopen_outcome::tolerance::{QUIET, REAL_TIME};
use halfopen_scenario::case::{Case, Clock};
use halfopen_tests::{catalogue, prediction, root, row};
use libtest_mimic::{Arguments, Failed, Trial};

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
    // Cases mostly wait for timers; the busy part is limited by run itself.
    args.test_threads.get_or_insert(64);

    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in &loaded.cases {
        order
            .entry(case.scenario.clone())
            .or_default()
            .push(case.id.clone());
    }
    let trials = loaded
        .cases
        .into_iter()
        .map(|case| {
            let order = order[&case.scenario].clone();
            let later = case.clock == Clock::Virtual;
            Trial::test(case.id.clone(), move || check(&case, &order)).with_ignored_flag(later)
        })
        .collect();
    libtest_mimic::run(&args, trials).exit_code()
}

fn check(case: &Case, order: &[String]) -> Result<(), Failed> {
    let folder = root().join("tests/tests/snapshots/catalogue");
    let options = halfopen_runner::Options {
        wait_for_quiet: WAIT_FOR_QUIET,
        ..halfopen_runner::Options::default()
    };
    let mut tries = 0;
    let outcome = &loop {
        let results = halfopen_runner::run(std::slice::from_ref(case), &options, &mut |_| ())?;
        let Some(outcome) = results.outcomes.into_iter().next() else {
            return Err("there is no outcome".into());
        };
        tries += 1;
        // What a row shows besides the sign is not judged by run(): how many packets
        // were sent again depends on the machine, too.
        let disturbed = outcome.lag_ns.map(Duration::from_nanos) > Some(QUIET);
        let row_agrees = row::agrees(&folder, &outcome, order, REAL_TIME);
        if row_agrees || !disturbed || tries > ROW_TRIES {
            break outcome;
        }
    };
    if let Status::Failed(why) | Status::NotRun(why) = &outcome.status {
        return Err(why.as_str().into());
    }
    if outcome.verdict == Verdict::Disturbed {
        let tries = outcome.disturbed_tries.iter();
        let tries: Vec<String> = tries.map(halfopen_report::text::disturbed_try).collect();
        let figures = tries.join("\n  ");
        return Err(format!("this machine was never quiet:\n  {figures}").into());
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
    row::assert_row(&folder, outcome, order, REAL_TIME);
    Ok(())
}
