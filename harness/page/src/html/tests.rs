use std::time::Duration;

use super::*;
use halfopen_outcome::record::{Outcome, Verdict};
use halfopen_outcome::testing;

fn page(outcomes: &[Outcome], cases: &[Case], file: Option<(&str, &str)>) -> String {
    page_of([outcomes, outcomes], cases, file)
}

/// With what each of two kernels showed.
fn page_of(kernels: [&[Outcome]; 2], cases: &[Case], file: Option<(&str, &str)>) -> String {
    let environment = testing::environment();
    let runs = kernels.map(|outcomes| Finished {
        environment: &environment,
        outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    });
    Page {
        command: "halfopen run <x>",
        runs: &runs,
        cases,
        file,
        command_of: &|id, _| format!("halfopen run '={id}'"),
        grids: &[],
        comparisons: &[],
        ignored: &[],
    }
    .render()
}

#[test]
fn every_case_has_a_row_and_its_details() {
    let outcomes = testing::all();
    let html = page(&outcomes, &testing::cases(), None);
    assert_eq!(html.matches("<tr class=\"case\"").count(), outcomes.len());
    assert_eq!(
        html.matches("<script type=\"text/plain\" id=\"d").count(),
        outcomes.len()
    );
    assert!(html.contains("halfopen run &lt;x&gt;"));
}

#[test]
fn nothing_of_it_is_elsewhere() {
    let html = page(
        &testing::all(),
        &testing::cases(),
        Some(("a.yaml", "scenarios:\n")),
    );
    for part in ["src=", "http://", "https://", "url(", "@import", "<link"] {
        // The namespace of SVG is a name, not an address; only files need it.
        assert!(!html.contains(part), "{part}");
    }
}

#[test]
fn what_needs_a_look_comes_first() {
    let html = page(&testing::all(), &testing::cases(), None);
    let look = html
        .split("What needs a look")
        .nth(1)
        .and_then(|rest| rest.split("</ul>").next());
    let look = look.expect("there is such a list");
    assert!(
        look.contains("DIFFERS") && look.contains("FAILED"),
        "{look}"
    );
    let fine = page(&[testing::unnoticed()], &[], None);
    assert!(fine.contains("Nothing: no case differs"));
}

/// For a reader who was not there: what was found, before the cases.
#[test]
fn the_overview_says_where_linux_and_kernels_differ() {
    let html = page(&[testing::not_the_book()], &[], None);
    let overview = html.split("id=\"cases\"").next().unwrap_or_default();
    for part in [
        "Nowhere: every case shows the same",
        "1 case of 1 kind",
        "the book says",
        "What the words mean",
    ] {
        assert!(overview.contains(part), "{part}: {overview}");
    }
    let fine = page(&[testing::unnoticed()], &[], None);
    assert!(fine.contains("Nowhere, or no book says"));
}

/// Another run may show the other sign where both were predicted alike.
#[test]
fn what_chance_decides_is_no_difference_of_kernels() {
    let mut seen = [
        testing::crash("none", "ETIMEDOUT", 3_000, Verdict::Observed),
        testing::crash("none", "EPIPE", 3_000, Verdict::Observed),
    ];
    let environment = testing::environment();
    for outcome in &mut seen {
        let outcomes = std::slice::from_mut(outcome);
        halfopen_outcome::compare_prediction::compare_all(
            &testing::cases(),
            outcomes,
            &environment,
        );
    }
    let [one, mut other] = seen;
    assert!(one.prediction.is_some());
    let says = |other: &Outcome| {
        let each = [&one, other].map(std::slice::from_ref);
        let html = page_of(each, &[], None);
        html.contains("another run may show either")
    };
    assert!(says(&other));
    other.prediction = None;
    assert!(!says(&other));
}

#[test]
fn a_name_that_is_html_stays_text() {
    let mut outcome = testing::unnoticed();
    outcome.id = "a/b=\"><script>".into();
    let html = page(&[outcome], &[], None);
    assert!(!html.contains("\"><script>"), "{html}");
}
