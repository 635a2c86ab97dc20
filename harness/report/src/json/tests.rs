use std::time::Duration;

use super::*;
use halfopen_outcome::testing;

fn text(outcomes: &[Outcome]) -> String {
    let environment = testing::environment();
    let run = Finished {
        environment: &environment,
        outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    let mut bytes = Vec::new();
    write(&run, &mut bytes).expect("memory takes everything");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[test]
fn one_case_in_full() {
    insta::assert_snapshot!(text(&[testing::not_the_book()]));
}

#[test]
fn a_disturbed_case_has_its_tries() {
    let document = text(&[testing::disturbed()]);
    let document: serde_json::Value =
        serde_json::from_str(&document).expect("what was written is JSON");
    let case = &document["cases"][0];
    assert_eq!(case["verdict"], "disturbed");
    assert_eq!(case["lag_ns"], 730_000_000);
    assert_eq!(case["disturbed_tries"][0]["lag_ns"], 412_000_000);
    assert_eq!(document["totals"]["disturbed"], 1);
    assert_eq!(document["totals"]["differ"], 0);
}

#[test]
fn every_kind_of_case_has_the_same_keys() {
    let document: serde_json::Value =
        serde_json::from_str(&text(&testing::all())).expect("what was written is JSON");
    let cases = document["cases"].as_array().expect("cases is a list");
    assert_eq!(cases.len(), testing::all().len());
    let keys = |case: &serde_json::Value| -> Vec<String> {
        case.as_object()
            .expect("a case is an object")
            .keys()
            .cloned()
            .collect()
    };
    for case in cases {
        assert_eq!(keys(case), keys(&cases[0]));
    }
    assert_eq!(document["totals"]["differ"], 1);
    assert_eq!(cases[5]["status"], "not_run");
    assert_eq!(cases[5]["reason"], "virtual time");
}
