use super::*;
use halfopen_outcome::record::Verdict;
use halfopen_outcome::testing;
use halfopen_outcome::tolerance::{REAL_TIME, VIRTUAL_TIME};

fn one(errno: &str, ms: i64) -> String {
    table(&[&testing::crash("none", errno, ms, Verdict::AsExpected)])
}

#[test]
fn one_table_a_scenario() {
    let text: Vec<_> = tables(&testing::all())
        .into_iter()
        .map(|(name, table)| format!("{name}\n{table}"))
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn times_agree_within_the_tolerance() {
    assert!(same_within(
        &one("ETIMEDOUT", 3_050),
        &one("ETIMEDOUT", 3_210),
        &REAL_TIME
    ));
    assert!(!same_within(
        &one("ETIMEDOUT", 3_000),
        &one("ETIMEDOUT", 6_000),
        &REAL_TIME
    ));
    assert!(!same_within(
        &one("ETIMEDOUT", 6_000),
        &one("ETIMEDOUT", 3_000),
        &REAL_TIME
    ));
}

#[test]
fn a_time_of_another_width_moves_no_column() {
    assert!(same_within(
        &one("ETIMEDOUT", 9_990),
        &one("ETIMEDOUT", 10_112),
        &REAL_TIME
    ));
    assert!(same_within(
        &one("ETIMEDOUT", 3_000),
        &one("ETIMEDOUT", 3_051),
        &REAL_TIME
    ));
}

#[test]
fn in_virtual_time_times_are_equal() {
    assert!(same_within(
        &one("ETIMEDOUT", 3_050),
        &one("ETIMEDOUT", 3_050),
        &VIRTUAL_TIME
    ));
    assert!(!same_within(
        &one("ETIMEDOUT", 3_050),
        &one("ETIMEDOUT", 3_060),
        &VIRTUAL_TIME
    ));
}

#[test]
fn another_errno_is_another_table() {
    assert!(!same_within(
        &one("ETIMEDOUT", 3_050),
        &one("ECONNRESET", 3_050),
        &REAL_TIME
    ));
}

#[test]
fn a_time_is_not_a_dash() {
    let none = "first sign  by  after\nunnoticed   -   -\n";
    let some = "first sign  by  after\nunnoticed   -   0 ms\n";
    assert!(same_within(none, none, &REAL_TIME));
    assert!(!same_within(none, some, &REAL_TIME));
    assert!(!same_within(some, none, &REAL_TIME));
}

#[test]
fn times_of_an_axis_are_names() {
    let at = |delay: &str| {
        format!(
            "delay  |  first sign  by           after\n{delay}    |  EOF         client read  3 s\n"
        )
    };
    assert!(same_within(&at("3 s"), &at("3 s"), &REAL_TIME));
    assert!(!same_within(&at("3 s"), &at("3.1 s"), &REAL_TIME));
}

#[test]
fn a_row_too_many_or_few_is_seen() {
    let (a, b) = (testing::unnoticed(), testing::unnoticed());
    assert!(!same_within(&table(&[&a]), &table(&[&a, &b]), &REAL_TIME));
    assert!(!same_within(&table(&[&a, &b]), &table(&[&a]), &REAL_TIME));
    assert!(!same_within("", &table(&[&a]), &REAL_TIME));
    assert!(same_within("", "", &REAL_TIME));
}

#[test]
fn a_row_is_put_in_its_place_and_compared_alone() {
    let case = |detector: &str, ms| testing::crash(detector, "ETIMEDOUT", ms, Verdict::AsExpected);
    let (a, b) = (case("none", 3_000), case("user-timeout-3s", 5_000));
    let order = [a.id.clone(), b.id.clone()];
    let only_b = with_row("", &b, &order);
    let both = with_row(&only_b, &a, &order);
    assert_eq!(both, table(&[&a, &b]));
    let later = with_row(&both, &case("none", 6_000), &order);
    assert!(same_row_within(&both, &later, &b.id, &REAL_TIME));
    assert!(!same_row_within(&both, &later, &a.id, &REAL_TIME));
    assert!(!same_row_within(&only_b, &both, &a.id, &REAL_TIME));
}

#[test]
fn text_without_the_column_has_no_tolerance() {
    assert!(!same_within("took  3 s\n", "took  3.1 s\n", &REAL_TIME));
}
