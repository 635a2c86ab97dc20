//! Every fault that acts on a lane or its host acts on a program.

use super::*;

/// What signals did, in order: `stopped SIGSTOP`.
fn signals(program: &Value) -> Vec<String> {
    let signals = program["signals"].as_array().expect("signals");
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    let all = signals.iter().filter(|signal| signal["process"] == 0);
    let all = all.filter(|signal| signal["signal"] != "SIGCHLD");
    all.map(|signal| format!("{} {}", text(signal, "kind"), text(signal, "signal")))
        .collect()
}

#[test]
fn a_program_is_frozen_thawed_and_asked_to_end() {
    let case = case(
        "client: { run: [sh, -c, 'trap \"echo asked; exit 9\" TERM; echo up; while :; do sleep 0.05; done'], ready: { output: up } }
faults:
  - { at: 500ms, freeze: client }
  - { at: 1s, thaw: client }
  - { at: 1500ms, kill: { lane: client, signal: TERM } }
give_up: 1m",
    );
    let program = &case["programs"][0];
    let expected = ["stopped SIGSTOP", "continued SIGCONT", "delivered SIGTERM"];
    assert_eq!(signals(program), expected, "{program}");
    let asked = program["signals"].as_array().into_iter().flatten();
    let asked: Vec<&Value> = asked.filter(|of| of["signal"] == "SIGTERM").collect();
    assert_eq!(asked[0]["sender"], "outside", "{program}");
    assert_eq!(lines(program), ["up", "asked"]);
    let end = &case["endpoints"][0]["processes"][0]["end"]["how"];
    assert_eq!(end["exited"], 9);
}

/// The signal that its `stop:` says.
#[test]
fn the_shutdown_of_its_host_asks_a_program_to_end_in_its_way() {
    let case = case(
        "client: { run: [sh, -c, 'trap \"echo leaving; exit 4\" INT; echo up; while :; do sleep 0.05; done'], ready: { output: up }, stop: INT }
faults: [{ at: 100ms, shutdown: { host: client, grace: 15s } }]
give_up: 1m",
    );
    let program = &case["programs"][0];
    assert_eq!(signals(program), ["delivered SIGINT"], "{program}");
    assert_eq!(lines(program), ["up", "leaving"]);
}

/// A host that comes back starts its program again, in a new directory.
#[test]
fn the_reboot_of_its_host_starts_a_program_again() {
    let case = case(
        "server: { run: [sh, -c, 'ls; echo mine > kept; echo up; exec sleep 1000'], ready: { output: up } }
client: [{ wait_for: reboot }]
faults: [{ at: 500ms, reboot: server }]
give_up: 1m",
    );
    let programs = case["programs"].as_array().expect("programs");
    let boots: Vec<(u64, Vec<&str>)> = programs
        .iter()
        .map(|program| (program["boot"].as_u64().unwrap_or(9), lines(program)))
        .collect();
    assert_eq!(boots, [(0, vec!["up"]), (1, vec!["up"])], "{case}");
}

/// A lane that is restarted is the program from its beginning.
#[test]
fn a_restarted_program_connects_again() {
    if !installed(&[("python3", "python3")]) {
        return;
    }
    let case = case(
        "server: [listen, { accept: 1, mark: taken }, { write: first }, accept, { write: second }, { sleep: 60s }]
client: { run: [python3, -c, \"import socket; s=socket.create_connection(('server',7000)); print(s.recv(9), flush=True)\"] }
faults: [{ after: taken, restart: { lane: client, fin: true } }]
give_up: 30s",
    );
    let programs = case["programs"].as_array().expect("programs");
    assert_eq!(programs.len(), 2, "{case}");
    assert_eq!(lines(&programs[1]), ["b'second'"], "{case}");
}
