//! Runs the example `trace --json` in a network namespace of its own and
//! reads its events.
//!
//! libtest has threads, and the tracer must be a process that has none, so the
//! example is the process. Commands need `unshare` (util-linux) and `ip`
//! (iproute2), and root or user namespaces.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use halfopen_trace::event::{Entered, Returned};
use halfopen_trace::{CallName, Detectors, Event, What};

/// Every test must be over by then, on a busy machine, too.
const LIMIT: Duration = Duration::from_secs(120);

/// Who runs the tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// The caller: root in CI, a user with a user namespace elsewhere.
    Caller,
    /// Root of a user namespace that maps the caller alone.
    UserNamespace,
    /// User 65534 with an empty bounding set: no capability at all. For root only.
    Nobody,
}

/// What a traced command showed.
pub struct Traced {
    pub events: Vec<Event>,
    pub code: Option<i32>,
    pub stderr: String,
}

/// A running tracer.
pub struct Started {
    pub child: std::process::Child,
    /// Holds its file.
    _directory: tempfile::TempDir,
}

/// Starts the tracer with `options` and `argv`.
pub fn start(who: As, options: &[&str], argv: &[&str]) -> Started {
    let mut command = Command::new(installed("unshare", "util-linux"));
    command.args(["--net", "--mount", "--ipc"]);
    if who == As::UserNamespace || !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    if who == As::Nobody {
        command.arg(installed("setpriv", "util-linux")).args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
        ]);
    }
    let copy = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a directory");
    // Nobody may not be able to reach the build's directory.
    let program = match who {
        As::Nobody => {
            let program = copy.path().join("trace");
            std::fs::copy(example(), &program).expect("is copied");
            program
        }
        _ => example(),
    };
    command
        .arg(program)
        .arg("--json")
        .args(options)
        .arg("--")
        .args(argv)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Started {
        child: command.spawn().expect("unshare can be started"),
        _directory: copy,
    }
}

/// Runs `argv` under the tracer to its end.
pub fn trace(who: As, options: &[&str], argv: &[&str]) -> Traced {
    let mut started = start(who, options, argv);
    let child = &mut started.child;
    let mut stdout = child.stdout.take().expect("is a pipe");
    let mut stderr = child.stderr.take().expect("is a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("is a child") {
            break status;
        }
        if began.elapsed() > LIMIT {
            // The tracer's death ends what it traces.
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = reader.join().expect("reads").expect("is text");
    let stderr = errors.join().expect("reads").expect("is text");
    let events = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event a line"))
        .collect();
    Traced {
        events,
        code: status.code(),
        stderr,
    }
}

/// A shell script under the tracer.
pub fn script(options: &[&str], script: &str) -> Traced {
    trace(As::Caller, options, &["bash", "-c", script])
}

impl Traced {
    /// The program ended with this code, and everything else says so, too.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        self.is_consistent();
        self
    }

    /// Every end belongs to a beginning, each call ends at most once, times
    /// never go back, and every process that was made ended.
    #[track_caller]
    fn is_consistent(&self) {
        let mut open = BTreeSet::new();
        let mut alive = BTreeSet::new();
        let mut last = 0;
        for event in &self.events {
            assert!(event.at_ns >= last, "time went back: {event}");
            last = event.at_ns;
            match &event.what {
                What::Entered(entered) => assert!(open.insert(entered.call), "{event}"),
                What::Returned(returned) => assert!(open.remove(&returned.call), "{event}"),
                What::Created { child, .. } => assert!(alive.insert(*child), "{event}"),
                What::Ended(_) | What::ThreadEnded => drop(alive.remove(&event.tid)),
                // The thread that executes takes its process's number; its
                // own has no end.
                What::Executed { .. } => alive
                    .retain(|tid| *tid == event.pid || { !self.was_thread_of(*tid, event.pid) }),
                _ => {}
            }
        }
        assert!(alive.is_empty(), "no end of {alive:?}: {self}");
    }

    fn was_thread_of(&self, tid: i32, pid: i32) -> bool {
        self.events.iter().any(|event| {
            event.pid == pid
                && matches!(event.what, What::Created { child, thread: true } if child == tid)
        })
    }

    pub fn returned(&self, name: CallName) -> Vec<&Returned> {
        let of = |event| match event {
            &Event {
                what: What::Returned(ref returned),
                ..
            } if returned.name == name => Some(returned),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    pub fn entered(&self, name: CallName) -> Vec<&Entered> {
        let of = |event| match event {
            &Event {
                what: What::Entered(ref entered),
                ..
            } if entered.name == name => Some(entered),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    pub fn lines(&self) -> Vec<&str> {
        let of = |event| match event {
            &Event {
                what: What::Line(ref line),
                ..
            } => Some(line.text.as_str()),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    pub fn detectors(&self) -> Detectors {
        let mut detectors = Detectors::default();
        for event in &self.events {
            detectors.observe(event);
        }
        detectors
    }

    pub fn threads(&self) -> usize {
        let made = |event: &&Event| matches!(event.what, What::Created { thread: true, .. });
        self.events.iter().filter(made).count()
    }

    pub fn processes(&self) -> usize {
        let made = |event: &&Event| matches!(event.what, What::Created { thread: false, .. });
        self.events.iter().filter(made).count()
    }
}

impl std::fmt::Display for Traced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.events.first().map_or(0, |event| event.at_ns);
        for event in &self.events {
            let time = Duration::from_nanos((event.at_ns - first).unsigned_abs());
            writeln!(f, "{time:>12.3?} {event}")?;
        }
        write!(f, "code {:?}, stderr: {}", self.code, self.stderr)
    }
}

/// The example, which `cargo test` builds beside the tests.
pub fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its file");
    let example = test
        .ancestors()
        .nth(2)
        .expect("tests are in target/PROFILE/deps")
        .join("examples/trace");
    assert!(
        example.exists(),
        "{} is missing: cargo build -p halfopen-trace --example trace",
        example.display()
    );
    example
}

/// The path of a program, looked for in the directories for administrators, too.
///
/// # Panics
/// With the package's name, when there is none.
pub fn installed(program: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path
        .split(':')
        .chain(["/usr/sbin", "/sbin"])
        .map(|directory| Path::new(directory).join(program))
        .find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{program} is not installed: apt-get install {package}"))
}

/// Python itself: what is first in PATH may be a script that starts it.
pub fn python() -> String {
    let output = Command::new(installed("python3", "python3"))
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .expect("python3 can be started");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
