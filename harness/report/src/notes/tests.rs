use std::time::Duration;

use super::*;
use crate::{json, table};
use halfopen_outcome::record::ComparedWith;
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

/// Long names of cases are broken at hyphens, and notes and drawings fit; only the totals
/// stay in one line.
#[test]
fn a_terminal_has_no_longer_lines() {
    let environment = testing::environment();
    let name = "heartbeat-every-500ms-answered";
    let mut outcomes = testing::all();
    outcomes.extend([
        testing::crash(name, "ETIMEDOUT", 3_052, Verdict::AsExpected),
        testing::crash(name, "EHOSTUNREACH", 3_052, Verdict::Differs),
    ]);
    let run = Finished {
        environment: &environment,
        outcomes: &outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    for width in [88, 100, 120] {
        let text = table::render(&outcomes, width) + &render(&run, width);
        let lines = text.lines().filter(|line| *line != totals(&run));
        let longest = lines.map(|line| line.chars().count()).max();
        assert!(longest <= Some(usize::from(width)), "{longest:?}: {text}");
    }
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

#[test]
fn a_fallback_to_the_wider_prediction_is_shown() {
    let environment = testing::environment();
    let mut outcomes = testing::all();
    outcomes[0].compared_with = Some(ComparedWith::Fallback("it is not decided".into()));
    let run = Finished {
        environment: &environment,
        outcomes: &outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    assert_eq!(Totals::of(&outcomes).fallback, 1);
    let text = render(&run, table::LOG_WIDTH);
    let id = &outcomes[0].id;
    let section = format!("Compared with the wider prediction\n  {id}: it is not decided\n");
    assert!(text.contains(&section), "{text}");
    let mut bytes = Vec::new();
    json::write(
        &run,
        json::Detail::Summed,
        json::Layout::Compact,
        &mut bytes,
    )
    .expect("memory takes everything");
    let document: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(document["totals"]["fallback"], 1);
    let prediction = |case: usize| &document["cases"][case]["prediction"];
    assert_eq!(prediction(0)["fallback"], "it is not decided");
    assert!(prediction(1).get("fallback").is_none());
}

#[test]
fn what_needs_a_look_is_said_in_few_lines_and_last() {
    let environment = testing::environment();
    let mut undecided = testing::unnoticed();
    undecided.prediction = None;
    undecided.unpredictable = Some("the rules do not say how a host sleeps".into());
    let mut outside = testing::unnoticed();
    outside.outside = Some("nothing was predicted, EOF was seen".into());
    let not_run = (0..38).map(|n| {
        let mut case = testing::not_run();
        case.id = format!("hours/{n}");
        case
    });
    let outcomes: Vec<_> = [undecided, outside].into_iter().chain(not_run).collect();
    let run = Finished {
        environment: &environment,
        outcomes: &outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    let text = render(&run, table::LOG_WIDTH);
    let at = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("no `{part}`: {text}"))
    };
    assert!(
        text.contains(": the rules do not say how a host sleeps\n"),
        "{text}"
    );
    assert!(text.contains("38 cases not run: virtual time\n  hours/0, hours/1 and 36 more\n"));
    assert!(at("38 cases not run") < at("1 case outside the prediction"));
    assert!(!text.contains("nothing is expected"), "{text}");
}

#[test]
fn nothing_expected_has_a_cure() {
    let environment = testing::environment();
    let mut observed = testing::unnoticed();
    observed.expect = None;
    observed.verdict = Verdict::Observed;
    let run = Finished {
        environment: &environment,
        outcomes: &[observed],
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    let text = render(&run, table::LOG_WIDTH);
    assert!(
        text.contains("`expect:`") && text.contains("--save"),
        "{text}"
    );
}

#[test]
fn disturbed_cases_are_apart_with_their_figures() {
    let mut disturbed = testing::disturbed();
    // How it lay outside says nothing.
    disturbed.outside = Some("too late".into());
    let outcomes = [disturbed];
    let environment = testing::environment();
    let run = Finished {
        environment: &environment,
        outcomes: &outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    let text = render(&run, table::LOG_WIDTH);
    assert!(text.contains("1 case disturbed"), "{text}");
    assert!(
        text.contains("try 2     730 ms late: expected after"),
        "{text}"
    );
    assert!(
        text.contains("0 as expected, 0 differ, 1 disturbed in 31 s"),
        "{text}"
    );
    assert!(
        !text.contains("not as expected") && !text.contains("outside"),
        "{text}"
    );
    assert!(table::render(&outcomes, table::LOG_WIDTH).contains("DISTURBED"));
}
