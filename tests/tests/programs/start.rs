//! How a program is started: input, directory, user, variables, files.

use super::*;

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
