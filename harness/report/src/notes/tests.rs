use std::time::Duration;

use super::*;
use crate::table;
use halfopen_outcome::testing;

#[test]
fn table_and_notes() {
    let environment = testing::environment();
    let outcomes = testing::all();
    let run = Finished {
        environment: &environment,
        outcomes: &outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    let text = table::render(&outcomes, table::LOG_WIDTH) + &render(&run, table::LOG_WIDTH);
    insta::assert_snapshot!(text);
}

#[test]
fn a_narrow_table_wraps_words_only() {
    let text = table::render(&testing::all(), 88);
    assert!(text.lines().all(|line| line.len() <= 88), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn totals_in_one_line() {
    let environment = testing::environment();
    let outcomes = [testing::unnoticed(), testing::not_run()];
    let mut run = Finished {
        environment: &environment,
        outcomes: &outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    assert_eq!(
        totals(&run),
        "1 as expected, 0 differ, 1 not run (virtual time) in 31 s"
    );
    run.interrupted = true;
    assert!(totals(&run).starts_with("interrupted: 1 as expected"));
}
