//! Bad lines are what they say, on this machine's kernel; in the guests' they
//! are measured by virtual_time.

use std::time::Duration;

use halfopen_outcome::record::{Status, Verdict};
use halfopen_tests::line;

/// How often a line is measured again that was wrong on a late machine: the relay's
/// own wake-ups are what is measured.
const TRIES: usize = 5;

// A program of its own: two megabytes a case would make the claims' timers late.
halfopen_runner::sandboxed!();

#[test]
fn every_mechanism_does_what_it_says() {
    let mut cases = line::cases();
    for round in 0..=TRIES {
        let options = halfopen_runner::Options::default();
        let results = halfopen_runner::run(&cases, &options, &mut |_| ());
        let results = results.unwrap_or_else(|e| panic!("{e}"));
        let mut wrong = Vec::new();
        let mut again = Vec::new();
        for (case, outcome) in cases.iter().zip(&results.outcomes) {
            let late = Duration::from_nanos(outcome.lag_ns.unwrap_or(0));
            match line::check(outcome) {
                Ok(words) => println!("{words}"),
                Err(words) if late.is_zero() || round == TRIES => {
                    wrong.push(format!("{words} ({late:?} late)"));
                }
                Err(words) => {
                    println!("{words} ({late:?} late): again");
                    again.push(case.clone());
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        if again.is_empty() {
            break;
        }
        cases = again;
    }
}

const BY_NETEM: &str = "
version: 1
scenarios:
  by-name:
    about: netem, and nothing else.
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }]
    faults:
      - { at: 0s, impair: { cable: client, delay: 30ms, by: netem } }
    give_up: 3s
";

/// What was asked for by name is not replaced by something else.
#[test]
fn a_kernel_without_netem_says_so_and_does_not_run_the_case() {
    let parsed =
        halfopen_scenario::parse("by-name.yaml", BY_NETEM).unwrap_or_else(|e| panic!("{e}"));
    let results = halfopen_runner::run(
        &parsed.cases,
        &halfopen_runner::Options::default(),
        &mut |_| (),
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let outcome = &results.outcomes[0];
    match &outcome.status {
        Status::NotRun(why) => {
            assert_eq!(outcome.verdict, Verdict::NotRun);
            for word in ["CONFIG_NET_SCH_NETEM", "by: relay", "--time virtual"] {
                assert!(why.contains(word), "{why}");
            }
        }
        Status::Ran => assert!(outcome.faults[0].what.ends_with("by netem")),
        Status::Failed(why) => panic!("{why}"),
    }
}
