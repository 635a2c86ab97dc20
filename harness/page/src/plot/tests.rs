use std::time::Duration;

use halfopen_outcome::testing;
use halfopen_predict::OtherSign;
use halfopen_predict::span::Span;
use halfopen_scenario::case::SignKind;

use super::*;

/// A case that chance decides: ETIMEDOUT in most runs, EOF or nothing in some.
fn by_chance() -> Outcome {
    let mut outcome = testing::all()
        .into_iter()
        .find(|outcome| outcome.prediction.is_some())
        .expect("one is predicted");
    let prediction = outcome.prediction.as_mut().expect("it is predicted");
    prediction.sign = SignKind::Errno("ETIMEDOUT".into());
    prediction.share = Some(0.9);
    let other = |sign, at, share| OtherSign {
        sign,
        call: None,
        lane: None,
        at,
        share: Some(share),
    };
    let soon = Span::new(Duration::from_secs(1), Duration::from_secs(2));
    prediction.others = vec![
        other(SignKind::Eof, vec![soon], 0.096),
        other(SignKind::Unnoticed, Vec::new(), 0.004),
    ];
    outcome
}

#[test]
fn each_sign_that_may_come_has_its_bar_and_its_share() {
    let outcome = by_chance();
    let row = Row {
        on: vec![Some(&outcome)],
    };
    let (drawn, _) = strip(&row);
    assert_eq!(drawn.matches("class=\"p else\"").count(), 2, "{drawn}");
    for share in ["90 %", "10 %", "&lt;1 %"] {
        assert!(
            drawn.contains(&format!(">{share}</text>")),
            "{share}: {drawn}"
        );
    }
    let rows = [row];
    assert!(have_others(&rows) && have_shares(&rows));
}

#[test]
fn what_is_certain_has_no_share() {
    let outcomes = testing::all();
    let rows: Vec<Row<'_>> = outcomes
        .iter()
        .map(|outcome| Row {
            on: vec![Some(outcome)],
        })
        .collect();
    assert!(!have_shares(&rows));
    assert!(
        rows.iter()
            .all(|row| !strip(row).0.contains("class=\"l share\""))
    );
}
