//! How programs begin and end, what they write, and that nothing is left.

mod common;

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use common::{As, script, start, trace};
use halfopen_trace::event::{End, Stream};
use halfopen_trace::{Event, Program, SignalNumber, TraceError, What, run};

fn errors(options: &[&str], argv: &[&str]) -> String {
    let traced = trace(As::Caller, options, argv);
    assert_eq!(traced.code, Some(127), "{traced}");
    traced.stderr
}

#[test]
fn programs_that_cannot_be_started() {
    let missing = errors(&[], &["redis-sever"]);
    assert!(
        missing.contains("program not found: redis-sever (looked in /"),
        "{missing}"
    );

    let missing = errors(&[], &["/no/such/program"]);
    assert!(missing.contains("looked in /no/such/program"), "{missing}");

    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("is written");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).expect("is allowed");
        path.to_str().expect("a plain path").to_owned()
    };
    let refused = errors(&[], &[&file("data", "hello", 0o644)]);
    assert!(refused.contains("chmod +x"), "{refused}");

    let refused = errors(&[], &[&file("script", "#!/no/such/interpreter\n", 0o755)]);
    assert!(refused.contains("interpreter"), "{refused}");

    let refused = errors(&[], &[&file("garbage", "\u{1}\u{2}", 0o755)]);
    assert!(refused.contains("neither an ELF file"), "{refused}");
}

#[test]
fn streams_come_apart_with_input_given() {
    let traced = trace(
        As::Caller,
        &["--stdin", "one\ntwo"],
        &["sh", "-c", "cat; echo err >&2; printf end"],
    );
    traced.ends_with(0);
    let mut lines = traced.lines();
    // A line without an end is given when its stream ends.
    lines.sort_unstable();
    assert_eq!(lines, ["err", "one", "twoend"]);
    let incomplete = |event: &Event| matches!(&event.what, What::Line(line) if !line.complete);
    assert!(traced.events.iter().any(incomplete), "{traced}");
}

#[test]
fn a_terminal_is_one() {
    let traced = trace(
        As::Caller,
        &["--tty"],
        &["sh", "-c", "test -t 1 && echo yes"],
    );
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["yes"]);
}

#[test]
fn a_flood_of_output_is_cut_and_does_not_block() {
    let traced = script(
        &["--output-limit", "1000"],
        "head -c 30000000 /dev/zero | tr '\\0' '\\n'",
    );
    traced.ends_with(0);
    assert_eq!(traced.lines().len(), 1000);
    let limit = What::OutputLimit {
        stream: Stream::Stdout,
    };
    assert!(traced.events.iter().any(|event| event.what == limit));
}

#[test]
fn a_request_sends_a_signal() {
    let traced = script(
        &["--at", "ready", "15"],
        "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.1; done",
    );
    assert_eq!(traced.code, Some(3), "{traced}");
    assert!(traced.lines().contains(&"got it"), "{traced}");
}

#[test]
fn a_stopped_program_stays_stopped() {
    let traced = script(
        &[],
        "(sleep 0.2; kill -STOP $$; sleep 0.5; kill -CONT $$) & \
         for i in $(seq 30); do sleep 0.02; done; wait",
    );
    traced.ends_with(0);
    let main = traced.events[0].pid;
    let own = |event: &&Event| event.pid == main;
    let own: Vec<&Event> = traced.events.iter().filter(own).collect();
    let stop = own
        .iter()
        .position(|event| matches!(event.what, What::Stopped { .. }))
        .unwrap_or_else(|| panic!("no stop: {traced}"));
    // Nothing but the signals that wake it.
    let next = own[stop + 1..]
        .iter()
        .find(|event| !matches!(event.what, What::Signal { .. }));
    let next = next.unwrap_or_else(|| panic!("no end of the stop: {traced}"));
    assert_eq!(next.what, What::Continued, "{traced}");
}

#[test]
fn requests_write_to_the_program() {
    let traced = script(
        &["--answer", "name?", "me"],
        "echo 'name?'; read n; echo hello $n; cat; echo end",
    );
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["name?", "hello me", "end"]);
}

#[test]
fn a_program_enters_a_namespace_and_begins_a_session() {
    let own = std::fs::read_link("/proc/self/ns/net").expect("is a link");
    let file = format!("/proc/{}/ns/net", std::process::id());
    let argv = [
        "sh",
        "-c",
        "readlink /proc/self/ns/net; ps -o sid= -p $$; echo $$",
    ];
    let options = ["--namespace", &file, "--session"];
    if nix::unistd::geteuid().is_root() {
        let traced = trace(As::Caller, &options, &argv);
        traced.ends_with(0);
        let lines = traced.lines();
        assert_eq!(lines[0], own.to_string_lossy());
        assert_eq!(lines[1].trim(), lines[2]);
    }
    let refused = errors(&["--namespace", "/dev/null"], &argv);
    assert!(
        refused.contains("sh: cannot enter a namespace"),
        "{refused}"
    );
}

#[test]
fn a_process_with_threads_is_refused() {
    // libtest has some.
    let refused = run(&Program::new(["true"]), None, &mut |_| {});
    assert!(
        matches!(refused, Err(TraceError::Threads { .. })),
        "{refused:?}"
    );
    let refused = run(&Program::new(Vec::<String>::new()), None, &mut |_| {});
    assert!(matches!(refused, Err(TraceError::NoProgram)), "{refused:?}");
    let refused = run(&Program::new(["a\0b"]), None, &mut |_| {});
    assert!(
        matches!(refused, Err(TraceError::ZeroByte { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_request_ends_every_process() {
    let traced = script(
        &["--at", "ready", "all:9"],
        "sleep 99 & sleep 98 & echo ready; wait",
    );
    assert_eq!(traced.code, Some(128 + 9), "{traced}");
    let killed = End::Killed {
        signal: SignalNumber(9),
        core: false,
    };
    let ends = traced.events.iter().filter_map(|event| match event.what {
        What::Ended(end) => Some(end),
        _ => None,
    });
    assert_eq!(ends.collect::<Vec<_>>(), [killed; 3], "{traced}");
}

#[test]
fn a_hang_up_ends_everything() {
    let traced = script(&["--hang-up-at", "ready"], "sleep 99 & echo ready; wait");
    assert_eq!(traced.code, Some(128 + 9), "{traced}");
}

#[test]
fn a_process_that_is_left_behind_is_followed_to_its_end() {
    let traced = script(&[], "(sleep 0.3; echo late) & exit 2");
    traced.ends_with(2);
    assert_eq!(traced.lines(), ["late"]);
}

#[test]
fn the_death_of_the_tracer_ends_the_program() {
    let argv = ["bash", "-c", "sleep 97 & echo $! $$; wait"];
    let mut tracer = start(As::Caller, &[], &argv);
    let tracer = &mut tracer.child;
    let stdout = BufReader::new(tracer.stdout.take().expect("is a pipe"));
    let line = stdout.lines().map_while(Result::ok).find_map(|line| {
        let event: Event = serde_json::from_str(&line).ok()?;
        match event.what {
            What::Line(line) => Some(line.text),
            _ => None,
        }
    });
    let line = line.expect("the program writes its numbers");
    let pids: Vec<i32> = line.split(' ').filter_map(|pid| pid.parse().ok()).collect();
    assert_eq!(pids.len(), 2, "{line}");
    // A program that is just being loaded ends without a tracer in any case: its
    // read() is answered ENOSYS. These two must have come to wait.
    std::thread::sleep(Duration::from_millis(500));
    assert!(pids.iter().all(|pid| running(*pid)), "{line}");
    // unshare(1) has become the tracer by exec.
    tracer.kill().expect("is running");
    tracer.wait().expect("is a child");
    let began = Instant::now();
    while pids.iter().any(|pid| running(*pid)) {
        assert!(began.elapsed() < Duration::from_secs(60), "{pids:?} live");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Exists and is no zombie.
fn running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !matches!(state.chars().next(), None | Some('Z' | 'X'))
}

#[test]
fn another_user() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: only root can become another user");
        return;
    }
    let traced = trace(
        As::Caller,
        &["--user", "65534:65534"],
        &["sh", "-c", "id -u; id -g; id -G"],
    );
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["65534", "65534", "65534"]);
    let refused = trace(As::UserNamespace, &["--user", "65534:65534"], &["true"]);
    assert!(
        refused.stderr.contains("nested user namespace"),
        "{refused}"
    );
    let nested = trace(
        As::UserNamespace,
        &["--nested", "1000:1001"],
        &["sh", "-c", "id -u; id -g"],
    );
    nested.ends_with(0);
    assert_eq!(nested.lines(), ["1000", "1001"]);
}
