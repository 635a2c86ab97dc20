//! The grid: what it shows, and how it refuses.

use serde_json::Value;

use crate::place::Place;

/// Three cells a state, none of which takes long.
const SMALL: &str = "grid --detector none,poll-limit,beats-answered --fault process-killed,reset";

#[test]
fn small_grid_in_real_time() {
    let ran = Place::empty().halfopen(&format!("{SMALL} --limit 2s"));
    // How long each took is judged by the program: 0 means that all are inside.
    assert_eq!(ran.code, Some(0), "{ran}");
    let sending = ran.stdout.split_once("\nsending\n");
    let (_, sending) = sending.unwrap_or_else(|| panic!("no such state: {ran}"));
    for (fault, signs) in [
        ("process-killed", ["EOF", "poll hang-up", "EOF"]),
        ("reset", ["ECONNRESET", "poll hang-up", "ECONNRESET"]),
    ] {
        assert_eq!(row(sending, fault), signs, "{fault}: {ran}");
    }
    assert!(
        ran.stdout
            .contains("unnoticed  nothing within 2 s of the fault"),
        "{ran}"
    );
    assert!(ran.stderr.contains("12 observed"), "{ran}");
}

/// The first signs in a fault's row, without their times.
fn row<'a>(table: &'a str, fault: &str) -> Vec<&'a str> {
    let row = table
        .lines()
        .find_map(|line| line.trim().strip_prefix(fault));
    let cells = row.into_iter().flat_map(|row| row.split("  "));
    cells
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.split_once(|c: char| c.is_ascii_digit()))
        .map(|parts| parts.map_or("no time", |(sign, _)| sign.trim()))
        .collect()
}

#[test]
fn foretold_is_never_shown_as_measured() {
    let words = "grid --detector keepalive-default --fault host-crash --while idle --limit 1s";
    let ran = Place::empty().halfopen(words);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout.contains("host-crash  (ETIMEDOUT 2 h 11 m)"),
        "{ran}"
    );
    assert!(
        ran.stdout.contains("( )  not measured: nothing within 1 s"),
        "{ran}"
    );
}

#[test]
fn json_keeps_its_keys() {
    let ran = Place::empty().halfopen(
        "grid --detector none --fault process-killed --while idle --limit 1s --format json",
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}\n{ran}"));
    for key in [
        "schema",
        "limit_ns",
        "detectors",
        "faults",
        "states",
        "kernels",
    ] {
        assert!(json.get(key).is_some(), "no `{key}` in {json}");
    }
    let cell = &json["kernels"][0]["cells"][0];
    for key in [
        "detector",
        "fault",
        "state",
        "id",
        "first_sign",
        "prediction",
        "status",
    ] {
        assert!(cell.get(key).is_some(), "no `{key}` in {cell}");
    }
    assert_eq!(cell["first_sign"]["outcome"], "eof", "{cell}");
    assert_eq!(cell["state"], "idle", "{cell}");
}

#[test]
fn detectors_of_a_file() {
    let place = Place::with(
        "
version: 1
detectors:
  ours: { read_timeout: 2s }
scenarios:
  any: { about: Nothing., server: [listen], client: [connect], give_up: 1s }
",
    );
    let words = "grid --file scenarios.yaml --fault process-frozen --while idle --limit 3s";
    let ran = place.halfopen(words);
    assert!(
        ran.stdout
            .contains("process-frozen  unnoticed  own time limit"),
        "{ran}"
    );
    assert!(
        ran.stdout.contains("ours            read_timeout: 2s"),
        "{ran}"
    );
}

#[test]
fn its_scenarios_are_a_file_that_run_takes() {
    let place = Place::empty();
    let text = place.halfopen("grid --format yaml").stdout;
    place.write("grid.yaml", &text);
    let ran = place.halfopen("check grid.yaml");
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("nothing wrong"), "{ran}");
}

#[test]
fn wrong_words() {
    let place = Place::empty();
    for (words, said) in [
        (
            "--detector keepalive-fats",
            "did you mean `keepalive-fast`?",
        ),
        ("--fault host-crush", "did you mean `host-crash`?"),
        ("--fault sunspots", "there are: process-killed,"),
        ("--limit 3", "has no unit"),
        ("--limit 2d", "write 23h or less"),
        ("--while asleep", "possible values: idle, sending"),
        ("--file missing.yaml", "there is no such file"),
    ] {
        let ran = place.halfopen(&format!("grid {words}"));
        assert_eq!(ran.code, Some(2), "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
        assert!(ran.stdout.is_empty(), "{ran}");
    }
}

#[test]
fn no_kernel_for_virtual_time() {
    let place = Place::empty();
    let ran = place.halfopen("grid --time virtual --kernel ./none --limit 1s");
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("./none"), "{ran}");
}
