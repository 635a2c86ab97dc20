use std::time::Duration;

use super::super::{Detail, schema};
use super::*;
use crate::finished::Finished;
use halfopen_outcome::record::Outcome;
use halfopen_outcome::testing;

fn written(environment: &Environment, outcomes: &[Outcome], seconds: u64) -> String {
    let run = Finished {
        environment,
        outcomes,
        interrupted: false,
        elapsed: Duration::from_secs(seconds),
    };
    let mut bytes = Vec::new();
    super::super::write(&run, Detail::Summed, Layout::Compact, &mut bytes)
        .expect("memory takes everything");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn merged(files: &[(&str, &str)]) -> Result<Vec<Merged>, String> {
    let mut parts = Vec::new();
    for (name, text) in files {
        parts.extend(read(name, text)?);
    }
    merge(parts)
}

fn text(runs: &[Merged]) -> String {
    let mut bytes = Vec::new();
    write(runs, Layout::Compact, &mut bytes).expect("memory takes everything");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[test]
fn parts_become_what_one_machine_would_have_written() {
    let (environment, all) = (testing::environment(), testing::all());
    for cut in 0..=all.len() {
        let (a, b) = all.split_at(cut);
        let (a, b) = (written(&environment, a, 31), written(&environment, b, 12));
        let runs = merged(&[("a.json", &a), ("b.json", &b)]).expect("parts of one run");
        assert_eq!(text(&runs), written(&environment, &all, 31));
    }
}

#[test]
fn the_summary_names_what_needs_a_look() {
    let (environment, all) = (testing::environment(), testing::all());
    let runs = merged(&[("a", &written(&environment, &all, 31))]).expect("one run");
    let run = Finished {
        environment: &environment,
        outcomes: &all,
        interrupted: false,
        elapsed: Duration::from_secs(31),
    };
    let summary = runs[0].summary();
    assert!(summary.ends_with(&notes::totals(&run)), "{summary}");
    let lines: Vec<&str> = summary.lines().collect();
    assert!(
        lines[0].contains(": DIFFERS; outside the prediction: "),
        "{summary}"
    );
    assert!(
        lines[1].starts_with("lab-broken: FAILED: failed to create namespace"),
        "{summary}"
    );
    assert_eq!(lines.len(), 3, "{summary}");
}

#[test]
fn other_kernels_are_other_runs() {
    let environment = testing::environment();
    let other = Environment {
        kernel: "7.3".into(),
        ..environment.clone()
    };
    let case = [testing::unnoticed()];
    let (a, b) = (written(&environment, &case, 1), written(&other, &case, 1));
    let both = text(&merged(&[("a", &a), ("b", &b)]).expect("two runs"));
    let document: serde_json::Value = serde_json::from_str(&both).expect("JSON");
    assert_eq!(document["kernels"][1]["environment"]["kernel"], "7.3");
    assert_eq!(
        schema::violations(&schema::schema(), &document),
        Vec::<String>::new()
    );
    // What was merged can be merged again.
    let third = written(&other, &[testing::failed()], 1);
    let again = merged(&[("both", &both), ("c", &third)]).expect("two runs");
    assert_eq!(again[1].totals().cases, 2);
}

#[test]
fn what_is_not_a_part_is_refused() {
    let environment = testing::environment();
    let part = written(&environment, &[testing::unnoticed()], 1);
    let newer = Environment {
        halfopen: "9.9.9".into(),
        ..environment.clone()
    };
    let newer = written(&newer, &[testing::failed()], 1);
    let refused = |a: &str, b: &str| match merged(&[("a.json", a), ("b.json", b)]) {
        Ok(runs) => panic!("merged: {}", text(&runs)),
        Err(why) => why,
    };
    for (b, words) in [
        (part.as_str(), ["both have the case", "--partition"]),
        (&newer, ["halfopen is", "9.9.9"]),
        ("{", ["b.json", "line 1"]),
        ("{}", ["b.json", "no `schema`"]),
        ("{\"schema\":1}", ["b.json", "no `cases`"]),
        ("{\"schema\":2}", ["b.json", "version 2"]),
    ] {
        let why = refused(&part, b);
        assert!(words.iter().all(|word| why.contains(word)), "{why}");
    }
    let no_verdict = part.replace("\"verdict\"", "\"verdicts\"");
    assert!(refused(&no_verdict, &part).contains("case 1: missing field `verdict`"));
}
