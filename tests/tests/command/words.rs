//! Words that build nothing: help, version, list, check, schema.

use std::process::Stdio;

use halfopen_tests::program::{Ran, command, halfopen};
use halfopen_tests::root;
use serde_json::Value;

use crate::place::{Place, QUICK, assert_said};

#[test]
fn help_of_each_command() {
    let place = Place::empty();
    assert_said("help", &place.halfopen("--help"));
    let said = place.halfopen("--help").stdout;
    let commands = said.lines().skip_while(|l| *l != "Commands:").skip(1);
    let commands = commands.map_while(|l| l.split_whitespace().next());
    for name in commands.filter(|name| *name != "help") {
        assert_said(
            &format!("help-{name}"),
            &place.halfopen(&format!("{name} --help")),
        );
    }
}

#[test]
fn without_words_it_says_what_there_is() {
    let ran = Place::empty().halfopen("");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("Usage: halfopen"), "{ran}");
}

#[test]
fn version() {
    assert_said("version", &Place::empty().halfopen("--version"));
}

#[test]
fn list_and_check_a_file() {
    let place = Place::with(QUICK);
    assert_said("list", &place.halfopen("list"));
    assert_said("list-filtered", &place.halfopen("list network=routed"));
    assert_said("check", &place.halfopen("check"));
    let json = place.halfopen("list --format json");
    let json: Value = serde_json::from_str(&json.stdout).unwrap_or_else(|e| panic!("{e}\n{json}"));
    let ids: Vec<_> = json["cases"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| &c["id"])
        .collect();
    assert_eq!(
        ids,
        ["refused/network=link", "refused/network=routed", "killed"]
    );
}

#[test]
fn without_a_file_there_is_the_built_in_catalogue() {
    let built_in = Place::empty().halfopen("list --format json");
    assert_eq!(built_in.code, Some(0), "{built_in}");
    assert!(
        built_in
            .stderr
            .contains("there is no ./scenarios.yaml here"),
        "{built_in}"
    );
    let place = Place::empty();
    let shipped = std::fs::read_to_string(root().join("scenarios.yaml"));
    place.write("copy.yaml", &shipped.unwrap_or_else(|e| panic!("{e}")));
    assert_eq!(
        built_in.stdout,
        place.halfopen("list copy.yaml --format json").stdout
    );
}

#[test]
fn schema_is_a_json_schema() {
    let ran = Place::empty().halfopen("schema");
    let schema: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    let dialect = schema["$schema"].as_str().unwrap_or_default();
    assert!(
        dialect.starts_with("https://json-schema.org/draft/"),
        "{dialect}"
    );
    assert_eq!(schema["type"], "object");
    for key in ["version", "detectors", "scenarios"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn reader_that_goes_away_is_no_error() {
    for words in ["list", "schema", "run refused"] {
        let place = Place::with(QUICK);
        let mut child = command(&halfopen(), place.path())
            .args(words.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{e}"));
        drop(child.stdout.take());
        let ran = Ran::of(&child.wait_with_output().unwrap_or_else(|e| panic!("{e}")));
        assert_eq!(ran.code, Some(0), "{words}: {ran}");
        assert!(!ran.stderr.contains("panicked"), "{words}: {ran}");
    }
}
