//! Bad lines are what they say, on this machine's kernel; in the guests' they
//! are measured by virtual_time.rs.

use halfopen_outcome::record::{Status, Verdict};
use halfopen_tests::line;

// A program of its own: two megabytes a case would make the claims' timers late.
halfopen_runner::sandboxed!();

#[test]
fn every_mechanism_does_what_it_says() {
    let results = halfopen_runner::run(
        &line::cases(),
        &halfopen_runner::Options::default(),
        &mut |_| (),
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let mut wrong = Vec::new();
    for outcome in &results.outcomes {
        match line::check(outcome) {
            Ok(words) => println!("{words}"),
            Err(words) => wrong.push(words),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
