//! What goes wrong with a program, and what is said.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_missing_program_is_a_case_not_run_with_the_package() {
    let ran = run("client: { run: [redis-sever-typo] }\ngive_up: 5s");
    assert_eq!(ran.code, Some(3), "{ran}");
    for word in [
        "program not found: redis-sever-typo",
        "looked in",
        "package",
    ] {
        assert!(ran.stdout.contains(word), "no `{word}`: {ran}");
    }
}

#[test]
fn a_server_that_dies_at_once_fails_the_case() {
    let client = "client: { run: [sh, -c, 'echo ${server}'] }\ngive_up: 5s";
    let ran = run(&format!(
        "server: {{ run: [sh, -c, 'echo no port >&2; exit 7'] }}\n{client}"
    ));
    assert_eq!(ran.code, Some(1), "{ran}");
    for word in [
        "does not listen on any TCP port",
        "status 7",
        "no port",
        "ready:",
    ] {
        assert!(ran.stdout.contains(word), "no `{word}`: {ran}");
    }
}

/// It is waited for for 20 s.
#[test]
fn a_server_that_is_never_ready_fails_the_case() {
    let ran = run("server: { run: [sh, -c, 'echo still starting; exec sleep 60'], ready: { listening: 7000 } }
client: { run: [sh, -c, 'echo ${server}'] }
give_up: 5s");
    assert_eq!(ran.code, Some(1), "{ran}");
    for word in [
        "does not listen on port 7000",
        "last words: still starting",
        "ready:",
    ] {
        assert!(ran.stdout.contains(word), "no `{word}`: {ran}");
    }
}

/// It is read and dropped, so that the program does not wait for its reader.
#[test]
fn a_gigabyte_of_output_is_said_and_does_not_block() {
    let case = case(
        "client: { run: 'dd if=/dev/zero bs=1M count=1000 status=none' }
give_up: 10m",
    );
    let said = case["surprises"].to_string();
    assert!(
        said.contains("more than 4 MiB to standard output"),
        "{said}"
    );
    let end = &case["endpoints"][0]["processes"][0]["end"]["how"];
    assert_eq!(end["exited"], 0, "{end}");
}

/// Without root one user is mapped, and no groups (user_namespaces(7)): sshd ends at its
/// setgroups(), as setpriv does here.
#[test]
fn a_user_that_cannot_be_had_is_said() {
    if !installed(&[("setpriv", "util-linux")]) {
        return;
    }
    let folder = folder_with("client: { run: [setpriv, --clear-groups, 'true'] }\ngive_up: 5s");
    let ran = exec::as_ordinary_user(&folder, &["run", "s.yaml", "--format", "json"]);
    for word in [
        "it called setgroups() and got EPERM",
        "run halfopen as root",
    ] {
        assert!(ran.stdout.contains(word), "no `{word}`: {ran}");
    }
}

#[test]
fn going_into_the_background_closing_streams_and_much_output_are_said() {
    let case = case(
        "client: { run: [sh, -c, '(sleep 2; true) & exit 0'] }
lanes:
  closer: { on: client, run: [sh, -c, 'exec >&- 2>&-; sleep 1; (true); true'] }
  writer: { on: client, run: [sh, -c, 'head -c 10000000 /dev/zero | tr \"\\\\0\" x'] }
watch: [client, closer, writer]
give_up: 10s",
    );
    let said = case["surprises"].to_string();
    for word in [
        "went into the background",
        "it closed standard output",
        "more than 4 MiB",
    ] {
        assert!(said.contains(word), "no `{word}`: {said}");
    }
}

/// A program that ends early is named, with its last words: what follows says nothing
/// about the fault.
#[test]
fn a_program_that_is_gone_before_the_fault_is_said() {
    let case = case(
        "server: [listen, accept, read]
client: { run: [sh, -c, 'echo no route >&2; exit 7'] }
faults: [{ at: 3s, crash: server }]
give_up: 4s",
    );
    let said = case["surprises"].to_string();
    assert!(
        said.contains("client ended with status 7 before the fault; its last words: no route"),
        "{said}"
    );
}

/// The program dies with its tracer (PTRACE_O_EXITKILL), the tracer by the lifeline.
#[test]
fn sigkill_of_halfopen_leaves_no_program_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    // A duration that nobody else sleeps, to be found by.
    let seconds = format!("98765.{}", std::process::id());
    let mut child = Command::new(halfopen())
        .current_dir(folder.path())
        .args(["exec", "--give-up", "1h", "--", "sh", "-c"])
        .arg(format!(
            "(setsid sleep {seconds} &) ; sleep {seconds} & echo up; wait"
        ))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("halfopen starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("its line");
    assert_eq!(line, "up\n");
    // The one in a session of its own may not have executed sleep yet.
    let began = Instant::now();
    while sleepers(&seconds) < 2 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(sleepers(&seconds), 2);
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    let began = Instant::now();
    while sleepers(&seconds) > 0 {
        assert!(began.elapsed() < Duration::from_secs(600), "left behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many processes `sleep SECONDS` there are on this machine.
fn sleepers(seconds: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let is_it = |entry: std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line == format!("sleep\0{seconds}\0").into_bytes()
    };
    processes.map(is_it).filter(|found| *found).count()
}
