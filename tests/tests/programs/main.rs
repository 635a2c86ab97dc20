//! Unmodified programs as lanes, by the real command and real programs: redis, curl,
//! Python, sh. Where one is not installed its test says which package it is in, and
//! passes.
//!
//! Needs `cargo build -p halfopen`, and root or user namespaces.

mod exec;
mod faults;
mod observer;
mod real_time;
mod signs;
mod start;
mod wrong;

use std::path::Path;

use halfopen_tests::program::{self, Ran, halfopen};
use halfopen_tests::root;
use serde_json::Value;
use tempfile::TempDir;

/// Whether these programs are installed: name and package.
fn installed(programs: &[(&str, &str)]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = |name: &str| path.split(':').any(|d| Path::new(d).join(name).exists());
    for (name, package) in programs {
        if !found(name) {
            eprintln!("not run: {name} is not installed (package {package})");
            return false;
        }
    }
    true
}

fn folder_with(scenario: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let lines: String = scenario
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let file = format!("version: 1\nscenarios:\n  it:\n    about: x\n{lines}");
    std::fs::write(folder.path().join("s.yaml"), file).expect("written");
    folder
}

fn run(scenario: &str) -> Ran {
    let folder = folder_with(scenario);
    program::run(
        &halfopen(),
        folder.path(),
        &["run", "s.yaml", "--format", "json"],
    )
}

/// The only case of a run that went to its end.
fn case(scenario: &str) -> Value {
    let ran = run(scenario);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"));
    let case = json["cases"][0].clone();
    assert_eq!(case["status"], "ran", "{ran}");
    case
}

/// A program's lines, in order.
fn lines(program: &Value) -> Vec<&str> {
    let lines = program["lines"].as_array().expect("lines");
    lines
        .iter()
        .filter_map(|line| line["text"].as_str())
        .collect()
}

fn seconds(ns: &Value) -> f64 {
    ns.as_f64().unwrap_or_else(|| panic!("no time: {ns}")) / 1e9
}
