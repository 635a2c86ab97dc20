//! `run --explain`: what the kernel itself says, beside calls and packets.
//!
//! Needs `cargo build -p halfopen`; the ignored test also QEMU and a kernel (ci/kernels).

use halfopen_tests::program::{self, Ran, halfopen};
use serde_json::Value;

const FILE: &str = "version: 1
detectors: { fast: { keepalive: { idle: 2s, interval: 1s, count: 2 } } }
scenarios:
  crash:
    about: x
    detector: fast
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, read]
    faults: [{ at: 500ms, crash: server }]
    give_up: 10s
  sends:
    about: x
    server: [listen, accept, read, { sleep: 60s }]
    client: [connect, { wait_for: cut }, { write: hello }, read]
    faults: [{ at: 500ms, cut: server }]
    give_up: 5s
";

fn run(words: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("s.yaml"), FILE).expect("written");
    let all: Vec<&str> = ["run", "s.yaml"].iter().chain(words).copied().collect();
    program::run(&halfopen(), folder.path(), &all)
}

/// This machine's trace events are everybody's.
#[test]
fn it_needs_a_guest() {
    let ran = run(&["--explain"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("add --time virtual"), "{ran}");
}

/// keepalive gives the connection up (tcp_keepalive_timer(), tcp_write_err()), and what is
/// not acknowledged is sent again (tcp_retransmit_timer()): in the kernel's words.
#[test]
#[ignore = "it boots guests: ci/test"]
fn errors_and_retransmissions_are_the_kernels_own() {
    let ran = run(&["--explain", "--time", "virtual", "--format", "json"]);
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"));
    let events = |id: &str| {
        let mut cases = json["cases"].as_array().into_iter().flatten();
        let case = cases.find(|case| case["id"] == id).expect("it ran");
        case["kernel_events"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let of_client = |event: &&Value| event["host"] == "client";
    let crash = events("crash");
    let error = crash
        .iter()
        .filter(of_client)
        .find(|event| event["event"] == "inet_sk_error_report");
    let error = error.unwrap_or_else(|| panic!("no error: {crash:?}"));
    assert_eq!(error["what"], "ETIMEDOUT");
    // 2 s, two probes a second apart, at most 100 ms by the timer wheel each.
    let at = error["at_ns"].as_i64().unwrap_or(0);
    assert!((4_000_000_000..4_500_000_000).contains(&at), "{error}");
    let sends = events("sends");
    let again = sends
        .iter()
        .filter(of_client)
        .filter(|event| event["event"] == "tcp_retransmit_skb");
    assert!(again.count() >= 3, "{sends:?}");
    let crashed = crash
        .iter()
        .filter(|event| event["event"] == "tcp_retransmit_skb");
    assert_eq!(
        crashed.count(),
        0,
        "probes are no retransmissions: {crash:?}"
    );
}
