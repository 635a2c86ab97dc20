//! Every case of the catalogue is a test of its own name, and its row of the
//! scenario's table is under snapshot.
//!
//! Needs root, or user namespaces for ordinary users; nothing else.

use std::collections::BTreeMap;
use std::process::ExitCode;

use halfopen_outcome::record::{Status, Verdict};
use halfopen_outcome::tolerance::REAL_TIME;
use halfopen_scenario::case::{Case, Clock};
use halfopen_tests::{catalogue, prediction, root, row};
use libtest_mimic::{Arguments, Failed, Trial};

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
    let results = halfopen_runner::run(
        std::slice::from_ref(case),
        &halfopen_runner::Options::default(),
        &mut |_| (),
    )?;
    let outcome = &results.outcomes[0];
    if let Status::Failed(why) | Status::NotRun(why) = &outcome.status {
        return Err(why.as_str().into());
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
    let folder = root().join("tests/tests/snapshots/catalogue");
    row::assert_row(&folder, outcome, order, REAL_TIME);
    Ok(())
}
