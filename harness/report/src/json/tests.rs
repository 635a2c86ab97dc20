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
    let (detail, layout) = (Detail::Summed, Layout::Indented);
    write(&run, detail, layout, &mut bytes).expect("memory takes everything");
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
fn outputs_hold_to_the_schema_and_the_schema_to_outputs() {
    let schema = schema::schema();
    let mut outcomes = testing::all();
    outcomes.push(testing::disturbed());
    let mut document: serde_json::Value =
        serde_json::from_str(&text(&outcomes)).expect("what was written is JSON");
    assert_eq!(schema::violations(&schema, &document), Vec::<String>::new());
    let case = document["cases"][0].as_object_mut().expect("a case");
    case.remove("verdict");
    case.insert("verdicts".to_owned(), "as_expected".into());
    document["elapsed_ns"] = "31 s".into();
    let wrong = schema::violations(&schema, &document).join("; ");
    for part in ["no `verdict`", "verdicts: not in the schema", "elapsed_ns"] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
}

#[test]
fn a_crowd_is_summed_unless_all_of_it_is_asked_for() {
    let mut crowd = testing::crash("none", "ETIMEDOUT", 3_052, Verdict::AsExpected);
    let packet = crowd.wire.packets[3].clone();
    crowd.wire.packets.extend(vec![packet; 1_000]);
    let environment = testing::environment();
    let run = Finished {
        environment: &environment,
        outcomes: &[crowd],
        interrupted: false,
        elapsed: Duration::from_secs(1),
    };
    let written = |detail| {
        let mut bytes = Vec::new();
        write(&run, detail, Layout::Compact, &mut bytes).expect("memory takes everything");
        let document: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert!(schema::violations(&schema::schema(), &document).is_empty());
        (bytes.len(), document["cases"][0].clone())
    };
    let (short, summed) = written(Detail::Summed);
    let (long, all) = written(Detail::All);
    assert!(short * 10 < long, "{short} of {long} bytes");
    let data = &summed["wire"]["packets_summed"][3];
    assert_eq!(
        (&data["kind"], &data["packets"]),
        (&"data".into(), &1_002.into())
    );
    assert_eq!(summed["wire"]["packets"].as_array().map(Vec::len), Some(0));
    assert_eq!(all["wire"]["packets"].as_array().map(Vec::len), Some(1_005));
    assert_eq!(
        summed["endpoints"][0]["processes"][0]["calls_summed"][0]["call"],
        "connect"
    );
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
