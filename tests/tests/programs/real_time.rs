//! programs.yaml in real time beside docs/real-programs.md.

use super::*;

/// What programs.yaml shows here and now is what docs/real-programs.md has of virtual
/// time: the same signs. Times are compared there.
#[test]
#[ignore = "it takes minutes: ci/nightly"]
fn real_programs_show_the_same_signs_in_real_time() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect("it is there");
    let page = read("docs/real-programs.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let faults = rows.first().expect("a table").clone();
    let words = "run programs.yaml fault=killed fault=crash fault=reset --format json";
    let words: Vec<&str> = words.split(' ').collect();
    let ran = program::run(&halfopen(), &root(), &words);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"));
    let mut wrong = Vec::new();
    for case in json["cases"].as_array().expect("cases") {
        let (id, status) = (case["id"].as_str().unwrap_or(""), &case["status"]);
        if status == "not_run" {
            eprintln!("{id}: {}", case["reason"]);
            continue;
        }
        let (scenario, fault) = id.split_once("/fault=").expect("an axis");
        let row = rows.iter().find(|row| row.get(1) == Some(&scenario));
        let column = faults.iter().position(|name| *name == fault);
        let cell = row.zip(column).and_then(|(row, column)| row.get(column));
        let sign = &case["first_sign"];
        let kind = match sign["outcome"].as_str() {
            Some("errno") => sign["errno"].as_str().unwrap_or(""),
            Some("eof") => "EOF",
            Some("timeout") => "own time limit",
            Some("poll_hangup") => "poll hang-up",
            Some("unnoticed") => "**unnoticed**",
            other => other.unwrap_or("exit"),
        };
        if !cell.is_some_and(|cell| cell.starts_with(kind)) {
            wrong.push(format!("{id}: {kind}, and on the page {cell:?}: {sign}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
