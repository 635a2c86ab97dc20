//! One run of the catalogue that is going to be ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use halfopen_tests::program::{Ran, command, halfopen};
use halfopen_tests::root;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::caller::Caller;

/// How long the processes of a killed run may take to go: they die at once, but there
/// are hundreds, and these tests run when processors are idle.
const GONE_WITHIN: Duration = Duration::from_secs(600);

/// A run.
pub struct Attempt {
    supervisor: Child,
    began: Instant,
}

/// Which process of the run is meant.
#[derive(Debug, Clone, Copy)]
pub enum Who {
    /// The one the caller started.
    Supervisor,
    /// PID 1 of the run's PID namespace.
    Init,
    /// The one that runs the cases.
    Runner,
}

impl Attempt {
    /// Runs the whole catalogue, unheard.
    pub fn start() -> Self {
        Self::start_with(&["run"], false)
    }

    /// Runs the program with these words.
    pub fn start_with(words: &[&str], heard: bool) -> Self {
        let pipe = || if heard { Stdio::piped() } else { Stdio::null() };
        let mut command = command(&halfopen(), &root());
        command.args(words).stdout(pipe()).stderr(pipe());
        Self::of(&mut command)
    }

    /// Runs a few cases in a guest, whose states are kept in this directory.
    pub fn start_virtual(states: &Path) -> Self {
        let mut command = command(&halfopen(), &root());
        command
            .args(["run", "host-crash", "--time", "virtual"])
            .env("HALFOPEN_STATES", states)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self::of(&mut command)
    }

    fn of(command: &mut Command) -> Self {
        let supervisor = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start it: {e}"));
        Attempt {
            supervisor,
            began: Instant::now(),
        }
    }

    /// Waits until so long after the start.
    pub fn wait_until(&self, moment: Duration) {
        std::thread::sleep(moment.saturating_sub(self.began.elapsed()));
    }

    /// Whether it is still under way.
    pub fn runs(&mut self) -> bool {
        self.supervisor
            .try_wait()
            .is_ok_and(|ended| ended.is_none())
    }

    /// Sends a signal; false: there is no such process, any more or yet.
    pub fn signal(&self, who: Who, signal: Signal) -> bool {
        let mut pid = Some(self.supervisor.id());
        let levels = match who {
            Who::Supervisor => 0,
            Who::Init => 1,
            Who::Runner => 2,
        };
        for _ in 0..levels {
            pid = pid.and_then(only_child);
        }
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        pid.is_some_and(|pid| kill(Pid::from_raw(pid), signal).is_ok())
    }

    /// Waits for the supervisor's end.
    pub fn end(self) -> Ran {
        let output = self.supervisor.wait_with_output();
        Ran::of(&output.unwrap_or_else(|e| panic!("cannot wait for it: {e}")))
    }
}

fn only_child(pid: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The processes there are in this PID namespace besides its init and this
/// one: all were started here.
pub fn others() -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("is mounted").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != 1 && *pid != std::process::id())
        .collect()
}

/// Waits until no process of a run is left, and gives how long that took. What
/// becomes of its namespaces tells [`crate::witness`].
///
/// # Panics
/// When one is left for too long, or the caller's network has changed.
pub fn nothing_left(before: &Caller, how: &str) -> Duration {
    let began = Instant::now();
    loop {
        let processes = others();
        if processes.is_empty() {
            break;
        }
        let waited = began.elapsed();
        assert!(
            waited < GONE_WITHIN,
            "{how}: processes are left after {waited:?}: {:?}",
            processes
                .iter()
                .map(|pid| describe(*pid))
                .collect::<Vec<_>>()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    let changes = before.changes(&Caller::now());
    assert!(
        changes.is_empty(),
        "{how}: the caller's network has changed:\n{}",
        changes.join("\n")
    );
    took
}

fn describe(pid: u32) -> String {
    let read = |name: &str| std::fs::read(PathBuf::from(format!("/proc/{pid}/{name}")));
    let words = read("cmdline").unwrap_or_default();
    let stack = read("stack").unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(['\0', '\n'], " ");
    format!("{pid}: {} {}", text(&words), text(&stack))
}
