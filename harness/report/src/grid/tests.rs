use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::grid_plan::{Selection, State};
use halfopen_outcome::record::{FirstSign, Status, Verdict};
use halfopen_outcome::testing;
use halfopen_predict::RuleId;
use halfopen_scenario::case::SignKind;

fn plan(detectors: &[&str], faults: &[&str]) -> Plan {
    let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let selection = Selection {
        detectors: &words(detectors),
        faults: &words(faults),
        states: &State::ALL,
        declared: None,
        limit: Duration::from_secs(45),
        virtual_time: false,
    };
    Plan::of(&selection).expect("names of the grid")
}

fn outcome(id: &str, kind: SignKind, after_ms: i64) -> Outcome {
    let mut outcome = testing::crash("none", "", 0, Verdict::Observed);
    outcome.id = id.into();
    outcome.first_sign = Some(FirstSign {
        endpoint: "client".into(),
        call: "read".into(),
        errno: None,
        since_fault_ns: (kind != SignKind::Unnoticed).then_some(after_ms * 1_000_000),
        outcome: kind,
        wire_evidence_ns: None,
    });
    outcome
}

/// Outcomes with every kind of content.
fn outcomes(plan: &Plan) -> (Vec<Outcome>, BTreeMap<&str, Prediction>) {
    let errno = |name: &str| SignKind::Errno(name.into());
    let mut later = BTreeMap::new();
    let mut all = Vec::new();
    for (index, case) in plan.cases.iter().enumerate() {
        let id = case.id.as_str();
        all.push(match index % 7 {
            0 => outcome(id, SignKind::Unnoticed, 0),
            1 => outcome(id, errno("ETIMEDOUT"), 29_470),
            2 => outcome(id, SignKind::HeartbeatLost, 28_999),
            3 => outcome(id, errno("EHOSTUNREACH"), 939_600),
            4 => {
                later.insert(
                    id,
                    Prediction {
                        sign: errno("ETIMEDOUT"),
                        call: Some("read".into()),
                        lane: Some("client".into()),
                        earliest: Duration::from_secs(7_875),
                        latest: Duration::from_secs(8_006),
                        branches: vec![],
                        because: "idle 2 h + 9 probes x 75 s".into(),
                        rules: vec![RuleId::Retransmission],
                        first_byte: None,
                        others: vec![],
                        share: None,
                    },
                );
                outcome(id, SignKind::Unnoticed, 0)
            }
            5 => {
                let mut one = outcome(id, SignKind::Eof, 0);
                one.outside = Some("ECONNRESET was predicted, end of file was seen".into());
                one
            }
            _ => {
                let mut one = outcome(id, SignKind::Unnoticed, 0);
                one.status = Status::NotRun("interrupted".into());
                one.first_sign = None;
                one
            }
        });
    }
    (all, later)
}

const SOME: [&str; 3] = ["host-crash", "path-silent", "reset"];

#[test]
fn whole_words_where_they_fit() {
    let plan = plan(&["none", "fast-pair"], &SOME);
    let environment = testing::environment();
    let (all, later) = outcomes(&plan);
    let grid = Grid::of(&plan, &environment, &all, later);
    let text = table::render(&grid, 100);
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn letters_and_bands_where_they_do_not() {
    let plan = plan(&[], &SOME);
    let environment = testing::environment();
    let (all, later) = outcomes(&plan);
    let grid = Grid::of(&plan, &environment, &all, later);
    let text = table::render(&grid, 100);
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn markdown() {
    let plan = plan(&["none", "fast-pair"], &SOME);
    let environment = testing::environment();
    let (mut all, later) = outcomes(&plan);
    all.truncate(5);
    let grid = Grid::of(&plan, &environment, &all, later);
    insta::assert_snapshot!(markdown::render(&grid, "halfopen grid --format markdown"));
}

#[test]
fn json_has_a_cell_for_every_case() {
    let plan = plan(&["none", "fast-pair"], &SOME);
    let environment = testing::environment();
    let (all, later) = outcomes(&plan);
    let grid = Grid::of(&plan, &environment, &all, later);
    let mut bytes = Vec::new();
    json::write(&[grid], false, crate::json::Layout::Indented, &mut bytes)
        .expect("memory takes everything");
    let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(json["detectors"][1]["name"], "fast-pair");
    assert_eq!(json["states"][0]["name"], "idle");
    let cells = json["kernels"][0]["cells"].as_array().expect("a list");
    assert_eq!(cells.len(), plan.cases.len());
    assert_eq!(cells[1]["first_sign"]["errno"], "ETIMEDOUT");
    assert_eq!(cells[1]["fault"], "host-crash");
    assert_eq!(
        cells[4]["prediction_beyond_limit"]["earliest_ns"],
        7_875_000_000_000u64
    );
    assert_eq!(cells[6]["status"], "not_run");
}

#[test]
fn another_kernel_is_told_by_its_differences() {
    let plan = plan(&["none", "fast-pair"], &["host-crash"]);
    let here = testing::environment();
    let mut there = here.clone();
    there.kernel = "5.10.0-32-cloud-amd64".into();
    let (all, later) = outcomes(&plan);
    let mut other = all.clone();
    other[1] = outcome(
        &plan.cases[1].id,
        SignKind::Errno("ETIMEDOUT".into()),
        34_500,
    );
    other[3] = outcome(
        &plan.cases[3].id,
        SignKind::Errno("EHOSTUNREACH".into()),
        938_000,
    );
    let first = Grid::of(&plan, &here, &all, later.clone());
    let second = Grid::of(&plan, &there, &other, later);
    assert_eq!(
        kernel_differences(&first, &[second]),
        "\n5.10.0-32-cloud-amd64: not the same\n  host-crash, fast-pair, idle: \
         ETIMEDOUT 29 s here, ETIMEDOUT 35 s there\n"
    );
}

#[test]
fn times_are_rounded_to_what_a_reader_compares() {
    let said = |ms: u64| cell::time(Duration::from_millis(ms));
    let cases = [
        (0, "0 s"),
        (40, "0 s"),
        (1_240, "1.2 s"),
        (9_960, "10 s"),
        (29_470, "29 s"),
        (102_600, "1 m 43 s"),
        (939_600, "16 m"),
        (7_923_200, "2 h 12 m"),
    ];
    for (ms, words) in cases {
        assert_eq!(said(ms), words, "{ms} ms");
    }
}
