//! What real programs notice, and what their users see.

use std::process::Command;

use super::*;

pub(crate) const REDIS: [(&str, &str); 2] = [
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
];

/// redis-cli sets keepalive 15 s, 5 s, 3 itself (hiredis redisKeepAlive()); with the
/// server's host gone its recvfrom() ends by it, and the user sees an error and an
/// exit right afterwards. When it does is asserted in virtual time.
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
    assert!(
        case["user_sees"]["what"]
            .as_str()
            .is_some_and(|s| s.contains("timeout")),
        "{case}"
    );
    let detectors = case["programs"][1]["detectors"].to_string();
    assert!(detectors.contains("keepalive 15 s/5 s/3"), "{detectors}");
    assert_eq!(case["prediction"]["errno"], "ETIMEDOUT", "{case}");
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
    let open = case["unpredictable"].as_str().unwrap_or_default();
    assert!(open.contains("the program's own logic ("), "{case}");
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
