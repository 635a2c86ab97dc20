//! SIGINT and SIGTERM: the run ends at once, says what it has, leaves nothing.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use halfopen_tests::program::{Ran, halfopen};
use halfopen_tests::root;
use nix::sys::signal::Signal;

use crate::attempt::{Attempt, Who, nothing_left};
use crate::caller::{Caller, furnished};
use crate::random::Random;
use crate::witness;

/// Some cases have ended by then, and the longest has not; on a busy machine later.
const MID_RUN: [Duration; 3] = [
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// How long a run may take to end when it is told to: it takes down a
/// hundred labs on a machine that may be busy.
const ENDS_WITHIN: Duration = Duration::from_secs(600);

#[test]
#[ignore = "takes minutes: ci/test"]
fn interrupted_run_tells_what_was_run_and_what_was_not() {
    let _guard = furnished();
    let before = Caller::now();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let ran = in_the_middle(|moment| {
            let attempt = Attempt::start_with(&["run"], true);
            attempt.wait_until(moment);
            witness::place_some(12, &mut Random::seeded(signal.as_str()));
            let asked = Instant::now();
            assert!(
                attempt.signal(Who::Supervisor, signal),
                "it has ended already"
            );
            let ran = attempt.end();
            assert!(asked.elapsed() < ENDS_WITHIN, "{:?}", asked.elapsed());
            ran
        });
        assert_interrupted(&ran);
        nothing_left(&before, signal.as_str());
        witness::all_gone();
    }
}

#[test]
#[ignore = "takes minutes: ci/test"]
fn interrupted_twice_it_stops_at_once() {
    let _guard = furnished();
    let before = Caller::now();
    let attempt = Attempt::start_with(&["run"], true);
    attempt.wait_until(MID_RUN[0]);
    let asked = Instant::now();
    assert!(
        attempt.signal(Who::Supervisor, Signal::SIGINT),
        "it has ended already"
    );
    // Not yet another one: signals of one kind do not queue.
    std::thread::sleep(Duration::from_millis(20));
    attempt.signal(Who::Supervisor, Signal::SIGINT);
    let ran = attempt.end();
    assert!(asked.elapsed() < ENDS_WITHIN, "{:?}", asked.elapsed());
    assert_eq!(ran.code, Some(130), "{ran}");
    nothing_left(&before, "two SIGINTs");
}

/// The terminal sends SIGINT to supervisor, init and runner at the same time;
/// the runner must not take it for a second one.
#[test]
#[ignore = "takes minutes: ci/test"]
fn ctrl_c_on_a_terminal_is_one_interrupt() {
    let _guard = furnished();
    let before = Caller::now();
    let ran = in_the_middle(|moment| {
        let mut terminal = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command"])
            .arg(format!("{} run", halfopen().display()))
            .arg("/dev/null")
            .env("NO_COLOR", "1")
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start script: {e}: run ci/setup"));
        std::thread::sleep(moment);
        let mut keys = terminal.stdin.take().expect("is a pipe");
        keys.write_all(b"\x03")
            .unwrap_or_else(|e| panic!("cannot type: {e}"));
        // Kept until the end: `script` ends with its input.
        let output = terminal
            .wait_with_output()
            .unwrap_or_else(|e| panic!("{e}"));
        drop(keys);
        Ran::of(&output)
    });
    assert_interrupted(&ran);
    nothing_left(&before, "Ctrl-C");
}

/// Runs again, and longer, where no case had ended at the moment of the interrupt.
fn in_the_middle(run: impl Fn(Duration) -> Ran) -> Ran {
    let mut last = None;
    for moment in MID_RUN {
        let ran = run(moment);
        if ran.code != Some(130) || rows(&ran, "as expected") > 0 {
            return ran;
        }
        last = Some(ran);
    }
    last.expect("there are moments")
}

/// How many cases ended so.
fn rows(ran: &Ran, verdict: &str) -> usize {
    let said = ran.stdout.replace('\r', "");
    let lines = said.lines();
    lines
        .filter(|line| line.trim_end().ends_with(verdict))
        .count()
}

fn assert_interrupted(ran: &Ran) {
    assert_eq!(ran.code, Some(130), "{ran}");
    assert!(rows(ran, "as expected") > 0, "{ran}");
    assert!(rows(ran, "not run") > 0, "{ran}");
    assert!(ran.stdout.contains("interrupted"), "{ran}");
}
