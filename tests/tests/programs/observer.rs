//! What the observer shows of a program besides its calls, what it costs, and how it is
//! left out.

use std::process::Command;

use super::*;

const PYTHON: [(&str, &str); 1] = [("python3", "python3")];

#[test]
fn threads_have_their_names() {
    if !installed(&PYTHON) {
        return;
    }
    let case = case(
        "server: [listen, accept, read, { write: hello }, { sleep: 60s }]
client:
  run:
    - python3
    - -c
    - |
      import ctypes, socket, threading
      def work():
          ctypes.CDLL(None).prctl(15, b'worker')
          s = socket.create_connection(('server', 7000))
          s.send(b'x')
          s.recv(9)
      t = threading.Thread(target=work)
      t.start()
      t.join()
give_up: 30s",
    );
    let processes = case["endpoints"][1]["processes"].as_array();
    let processes = processes.expect("processes");
    let calls = |process: &Value| process["calls"].as_array().map_or(0, Vec::len);
    let named: Vec<&Value> = processes
        .iter()
        .filter(|p| p["thread"] == "worker")
        .collect();
    assert_eq!(named.len(), 1, "{processes:?}");
    assert!(calls(named[0]) >= 3, "{processes:?}");
    assert!(processes[0].get("thread").is_none(), "{processes:?}");
}

/// A client that asks again and again, and a server whose calls are left alone.
const CHATTY: &str = "server: { run: [python3, -c, \"import socket, time; s=socket.create_server(('',7000)); c=s.accept()[0]; c.recv(9); time.sleep(60)\"], observe: wire, ready: { listening: 7000 } }
client:
  observe: HOW
  run:
    - python3
    - -c
    - |
      import socket
      s = socket.create_connection(('server', 7000))
      s.setblocking(False)
      for _ in range(50000):
          try: s.recv(9)
          except BlockingIOError: pass
      s.send(b'x')
give_up: 10m";

/// It makes 100 000 stops, of which 20 000 have to come at more than a thousand a second:
/// a tenth of what a busy machine does.
#[test]
fn a_chatty_program_is_warned_about_and_can_be_left_alone() {
    if !installed(&PYTHON) {
        return;
    }
    let cost = |case: &Value| case["programs"][1]["observer"]["stops"].as_u64();
    let observed = case(&CHATTY.replace("HOW", "calls"));
    let said = observed["surprises"].to_string();
    assert!(said.contains("observing them slows it"), "{said}");
    assert!(said.contains("`observe: wire`"), "{said}");
    assert!(cost(&observed) > Some(100_000), "{:?}", cost(&observed));
    let left_alone = case(&CHATTY.replace("HOW", "wire"));
    let said = left_alone["surprises"].to_string();
    assert!(!said.contains("observing"), "{said}");
    assert!(cost(&left_alone) < Some(1000), "{:?}", cost(&left_alone));
    let client = &left_alone["endpoints"][1]["processes"][0];
    assert_eq!(client["calls"].as_array().map(Vec::len), Some(0));
    assert_eq!(client["end"]["how"]["exited"], 0);
    let packets = left_alone["wire"]["packets"].as_array().map(Vec::len);
    assert!(packets > Some(3), "its packets are seen");
}

/// Nothing but its end can be its sign.
#[test]
fn the_end_of_a_program_whose_calls_are_left_alone_is_its_sign() {
    if !installed(&PYTHON) {
        return;
    }
    let case = case(
        "server: [listen, accept, read, { sleep: 60s }]
client: { observe: wire, run: [python3, -c, \"import socket, sys; s=socket.create_connection(('server',7000)); s.send(b'x'); s.recv(9); sys.exit(6)\"] }
faults: [{ at: 3s, kill: server }]
give_up: 1m",
    );
    let sign = &case["first_sign"];
    assert_eq!(sign["outcome"], "exit", "{sign}");
    assert_eq!(case["user_sees"]["what"], "exit 6");
}

/// A ring's operations are no system calls (io_uring_setup(2) is number 425).
#[test]
fn a_program_that_asks_for_io_uring_is_told_that_there_is_none() {
    if !installed(&PYTHON) {
        return;
    }
    let case = case(
        "client: { run: [python3, -c, \"import ctypes, os; c=ctypes.CDLL(None, use_errno=True); c.syscall(425, 1, 0); print(os.strerror(ctypes.get_errno()))\"] }
give_up: 10s",
    );
    let said = case["surprises"].to_string();
    assert!(
        said.contains("it asked for io_uring and was told that there is none"),
        "{said}"
    );
    assert_eq!(lines(&case["programs"][0]), ["Function not implemented"]);
}

/// i386: exit(7), without a C library, which is seldom installed.
#[test]
fn a_32_bit_program_is_said_not_to_be_seen() {
    if !installed(&[("gcc", "gcc")]) {
        return;
    }
    let folder = folder_with("client: { run: ['${folder}/exit'] }\ngive_up: 10s");
    let source = folder.path().join("exit.s");
    let text = ".globl _start\n_start: mov $1, %eax\n mov $7, %ebx\n int $0x80\n";
    std::fs::write(&source, text).expect("written");
    let built = Command::new("gcc")
        .args(["-m32", "-nostdlib", "-static", "-o"])
        .args([&folder.path().join("exit"), &source])
        .status()
        .expect("gcc starts");
    assert!(built.success(), "gcc -m32");
    let words = ["run", "s.yaml", "--format", "json"];
    let ran = program::run(&halfopen(), folder.path(), &words);
    let refused = ran.stdout.contains("neither an ELF file of this machine");
    let said = ran
        .stdout
        .contains("it is a 32-bit program, whose calls are not seen");
    assert!(refused || said, "{ran}");
}
