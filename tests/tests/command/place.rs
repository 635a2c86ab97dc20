//! A folder to run the program in, and what of its output may differ.

use std::path::Path;

use halfopen_tests::program::{Ran, halfopen, run};
use insta::Settings;
use tempfile::TempDir;

/// Two scenarios that take no time.
pub const QUICK: &str = "\
version: 1
scenarios:
  refused:
    about: Nobody listens on the port.
    source: [E1]
    book: { errno: ECONNREFUSED, call: connect, after: 0s }
    expect: { errno: ECONNREFUSED, call: connect, after: 0s }
    matrix: { network: [link, routed] }
    server: [listen, accept]
    client: [{ connect: { port: 7001 } }]
    give_up: 3s
  killed:
    about: The server's process is killed.
    expect: { eof: true, call: read, after: 0s }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    faults:
      - { at: 50ms, kill: server }
    give_up: 3s
";

/// A folder of its own, gone at the end.
pub struct Place(TempDir);

impl Place {
    /// With nothing in it.
    pub fn empty() -> Self {
        Place(TempDir::new().unwrap_or_else(|e| panic!("no temporary folder: {e}")))
    }

    /// With this as its scenarios.yaml.
    pub fn with(scenarios: &str) -> Self {
        let place = Place::empty();
        place.write("scenarios.yaml", scenarios);
        place
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.path().join(name);
        std::fs::write(&file, text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }

    /// Runs the program with these words, separated by blanks.
    pub fn halfopen(&self, words: &str) -> Ran {
        let words: Vec<_> = words.split_whitespace().collect();
        run(&halfopen(), self.path(), &words)
    }
}

/// Compares with a snapshot, but for times, the blanks that align them and
/// the version.
pub fn assert_said(name: &str, ran: &Ran) {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../snapshots/command");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(
        r"halfopen \d+\.\d+\.\d+\S*( \([0-9a-f]+( \d{4}-\d{2}-\d{2})?\))?",
        "halfopen [version]",
    );
    // Aligned to the right: a shorter time has more blanks before it.
    settings.add_filter(
        r"(client [a-z]+) +(start \+ )?-?\d+(\.\d+)? (ns|us|ms|s)\b",
        "$1  $2[time]",
    );
    settings.add_filter(r"\bby +after\b", "by  after");
    settings.add_filter(r"\bin \d+(\.\d+)? (ms|s)\b", "in [time]");
    settings.add_filter(
        r"(client's [a-z]+) after -?\d+(\.\d+)?( us| ms| s|ms|s)\b",
        "$1 after [time]",
    );
    settings.add_filter(r"\bkernel \S+, real time", "kernel [release], real time");
    settings.bind(|| insta::assert_snapshot!(name, ran));
}
