//! What a test that uses the library shows when it fails.

use std::path::Path;
use std::process::Command;

use halfopen_tests::program;

#[test]
fn a_failed_test_shows_its_ladder() {
    let output = Command::new(program::tests("library"))
        .args(["fails_with_a_recording", "--exact", "--include-ignored"])
        .output();
    let output = output.unwrap_or_else(|e| panic!("cannot be started: {e}"));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(101), "{shown}");
    for part in [
        "= crash server =",
        "`it.client.read(&mut [0])`: expected ECONNRESET, got EAGAIN after ",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let file = shown
        .lines()
        .find_map(|line| line.strip_prefix("packets: "));
    let file = Path::new(file.unwrap_or_else(|| panic!("no file: {shown}")));
    assert!(file.ends_with("halfopen/library-fails_with_a_recording.pcapng"));
    assert!(file.is_file(), "{}", file.display());
}
