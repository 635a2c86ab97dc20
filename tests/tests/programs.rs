//! Unmodified programs as lanes, by the real command and real programs: redis, curl,
//! Python, sh. Where one is not installed its test says which package it is in, and
//! passes.
//!
//! Needs `cargo build -p halfopen`, and root or user namespaces.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

fn seconds(ns: &Value) -> f64 {
    ns.as_f64().unwrap_or_else(|| panic!("no time: {ns}")) / 1e9
}

const REDIS: [(&str, &str); 2] = [
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
];

/// redis-cli sets keepalive 15 s, 5 s, 3 itself (hiredis redisKeepAlive()); with the
/// server's host gone its recvfrom() ends by it, and the user sees an error and an
/// exit right afterwards.
#[test]
fn redis_subscriber_notices_a_crash_by_its_own_keepalive() {
    if !installed(&REDIS) {
        return;
    }
    let case = case(
        "server: { run: [redis-server, --port, \"7000\", --save, \"\", --protected-mode, \"no\"] }
client: { run: 'redis-cli -h ${server} -p 7000 SUBSCRIBE news' }
faults: [{ at: 3s, crash: server }]
give_up: 50s",
    );
    let sign = &case["first_sign"];
    assert_eq!(sign["errno"], "ETIMEDOUT", "{sign}");
    assert_eq!(sign["endpoint"], "client");
    let after = seconds(&sign["since_fault_ns"]);
    assert!(after > 28.0, "{after}");
    assert!(
        case["user_sees"]["what"]
            .as_str()
            .is_some_and(|s| s.contains("timeout")),
        "{case}"
    );
    let detectors = case["programs"][1]["detectors"].to_string();
    assert!(detectors.contains("keepalive 15 s/5 s/3"), "{detectors}");
    assert_eq!(
        case["unpredictable"],
        "the program's own logic is not modelled"
    );
}

/// curl's poll() with --max-time's rest times out, and curl closes the connection.
#[test]
fn curl_gives_up_on_a_frozen_server_by_its_own_limit() {
    if !installed(&[("curl", "curl"), ("python3", "python3")]) {
        return;
    }
    let case = case(
        "server: { run: 'python3 -u -m http.server 8000 --bind ${server}', ready: { listening: 8000 } }
client: { run: [sh, -c, 'sleep 1; exec curl -sS --max-time 2 http://server:8000/'] }
faults: [{ at: 500ms, freeze: server }]
give_up: 20s",
    );
    let sign = &case["first_sign"];
    assert_eq!(sign["outcome"], "timeout", "{sign}");
    let after = seconds(&sign["since_fault_ns"]);
    assert!(after > 2.2, "{after}");
    assert!(
        case["user_sees"]["what"]
            .as_str()
            .is_some_and(|s| s.contains("(28)")),
        "{case}"
    );
    assert_eq!(
        case["endpoints"][1]["processes"][0]["end"]["how"]["exited"],
        28
    );
}

/// A scripted server beside a program: the kernel's FIN is an end of file.
#[test]
fn python_reads_the_end_of_file_of_a_killed_server() {
    if !installed(&[("python3", "python3")]) {
        return;
    }
    let case = case(
        "server: [listen, accept, read, { write: hello }, { sleep: 60s }]
client: { run: [python3, -c, \"import socket; s=socket.create_connection(('server',7000)); s.send(b'x'); s.recv(9); print(s.recv(9), flush=True)\"] }
faults: [{ at: 3s, kill: server }]
give_up: 20s",
    );
    assert_eq!(
        case["first_sign"]["outcome"], "eof",
        "{}",
        case["first_sign"]
    );
    assert_eq!(case["user_sees"]["what"], "\"b''\"");
}

#[test]
fn input_is_written_at_its_time_and_a_directory_is_its_own() {
    let case = case(
        "client: { run: [sh, -c, 'cat made; pwd; read line; echo \"got $line\"'], prepare: ['touch unused', [sh, -c, 'echo ready > made']], stdin: { after: 1s, text: \"hello\\n\" } }
give_up: 10s",
    );
    let lines = &case["programs"][0]["lines"];
    assert_eq!(lines[0]["text"], "ready", "{lines}");
    assert_eq!(lines[1]["text"], "/run/halfopen/client");
    assert_eq!(lines[2]["text"], "got hello");
    assert!(seconds(&lines[2]["at_ns"]) >= 1.0);
    assert!(
        !Path::new("/run/halfopen").exists(),
        "it is in a mount namespace only"
    );
}

#[test]
fn another_user_and_variables() {
    let case = case(
        "client: { run: [sh, -c, 'id -u; echo $WHO'], user: 1000, env: { WHO: '${client}' } }
give_up: 10s",
    );
    let lines = &case["programs"][0]["lines"];
    assert_eq!(lines[0]["text"], "1000", "{lines}");
    assert_eq!(lines[1]["text"], "10.77.1.1");
}

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
fn a_server_that_dies_at_once_or_is_never_ready_fails_the_case() {
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

#[test]
fn exec_ends_with_the_commands_exit_code_and_passes_its_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let exec = |words: &[&str]| {
        let all: Vec<&str> = ["exec"].iter().chain(words).copied().collect();
        program::run(&halfopen(), folder.path(), &all)
    };
    let ran = exec(&["--", "sh", "-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!(ran.code, Some(5), "{ran}");
    assert_eq!(ran.stdout, "out\n");
    assert!(
        ran.stderr.contains("err\n") && ran.stderr.contains("exited with 5"),
        "{ran}"
    );
    let ran = exec(&["--", "sh", "-c", "kill -ABRT $$"]);
    assert_eq!(ran.code, Some(128 + 6), "{ran}");
    let ran = exec(&["--give-up", "1s", "--", "sleep", "9"]);
    assert_eq!(ran.code, Some(124), "{ran}");
    let ran = exec(&["--fault", "crahs server @1s", "--", "true"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("did you mean `crash`?"), "{ran}");
    let ran = exec(&["--", "no-such-program"]);
    assert_eq!(ran.code, Some(3), "{ran}");
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
        assert!(began.elapsed() < Duration::from_secs(60), "left behind");
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

/// The directory of the file stands in a program's words; SIGKILL ends a program with
/// what it has forked, which held the connection.
#[test]
fn a_script_beside_the_file_is_killed_with_its_child() {
    if !installed(&[("python3", "python3")]) {
        return;
    }
    let folder = folder_with(
        "server: { run: [sh, '${folder}/serve.sh'], ready: { listening: 8000 } }
client: { run: [python3, -c, \"import socket; s=socket.create_connection(('server',8000)); s.recv(9); print('over', flush=True)\"] }
faults: [{ at: 4s, kill: server }]
give_up: 20s",
    );
    let script = "python3 -u -m http.server 8000 &\nwait\n";
    std::fs::write(folder.path().join("serve.sh"), script).expect("written");
    let words = ["run", "s.yaml", "--format", "json"];
    let ran = program::run(&halfopen(), folder.path(), &words);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"));
    let case = &json["cases"][0];
    assert_eq!(case["first_sign"]["outcome"], "eof", "{ran}");
    assert_eq!(case["user_sees"]["what"], "\"over\"");
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

/// Both ends of the wire, and what happened, as Wireshark reads them.
#[test]
fn packets_are_kept_with_faults_and_calls() {
    let folder = folder_with(
        "server: [listen, accept, echo]
client: [connect, { exchange: hello }, read]
detector: fast
faults: [{ at: 300ms, crash: server }]
give_up: 9s",
    );
    let file = folder.path().join("s.yaml");
    let text = std::fs::read_to_string(&file).expect("written");
    let detector = "detectors: { fast: { keepalive: { idle: 1s, interval: 1s, count: 1 } } }\n";
    std::fs::write(&file, format!("{detector}{text}")).expect("written");
    let words = ["run", "s.yaml", "--pcap", "kept/packets"];
    let ran = program::run(&halfopen(), folder.path(), &words);
    assert_eq!(ran.code, Some(0), "{ran}");
    let kept = folder.path().join("kept/packets/it.pcapng");
    let bytes = std::fs::read(&kept).expect("kept");
    assert_eq!(&bytes[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    if !installed(&[("tshark", "tshark")]) {
        return;
    }
    let tshark = |words: &[&str]| {
        let output = Command::new("tshark")
            .args(["-n", "-r"])
            .arg(&kept)
            .args(words)
            .output()
            .expect("tshark runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let syns = tshark(&[
        "-Y",
        "tcp.flags.syn == 1 && tcp.flags.ack == 0",
        "-T",
        "fields",
        "-e",
        "frame.interface_name",
    ]);
    let ends: Vec<&str> = syns.lines().collect();
    assert_eq!(ends, ["client", "server"]);
    let comments = tshark(&["-Y", "frame.comment", "-T", "fields", "-e", "frame.comment"]);
    for word in ["crash: crash server", "client read", "ETIMEDOUT after"] {
        assert!(comments.contains(word), "no `{word}`: {comments}");
    }
    let malformed = tshark(&["-Y", "_ws.malformed && frame.interface_name != \"events\""]);
    assert_eq!(malformed, "");
}

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
