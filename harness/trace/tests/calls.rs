//! Interruptions, restarts, resets and other rare situations, by a C program.

mod common;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::{As, Traced, installed, trace};
use halfopen_trace::event::{Gave, Unseen};
use halfopen_trace::{CallName, Errno, SignalNumber, What};

struct Compiled {
    _directory: tempfile::TempDir,
    program: PathBuf,
}

fn compiled() -> Compiled {
    let directory = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a directory");
    let source = directory.path().join("calls.c");
    let program = directory.path().join("calls");
    std::fs::write(&source, include_str!("calls.c")).expect("is written");
    let status = Command::new(installed("gcc", "gcc"))
        .args(["-Wall", "-pthread", "-o"])
        .args([&program, &source])
        .status()
        .expect("gcc can be started");
    assert!(status.success(), "gcc");
    Compiled {
        _directory: directory,
        program,
    }
}

fn run(what: &str) -> Traced {
    run_as(As::Caller, what)
}

fn run_as(who: As, what: &str) -> Traced {
    let compiled = compiled();
    let program = compiled.program.to_str().expect("a plain path");
    trace(who, &[], &[program, what])
}

#[test]
fn a_stopped_poll_goes_on_and_returns_once() {
    let mut everybody = vec![As::Caller, As::UserNamespace];
    if nix::unistd::geteuid().is_root() {
        everybody.push(As::Nobody);
    }
    for who in everybody {
        let traced = run_as(who, "stopped");
        traced.ends_with(0);
        assert_eq!(traced.lines(), ["poll 0"]);
        let polls = traced.returned(CallName::Poll);
        assert_eq!(polls.len(), 1, "{traced}");
        assert_eq!(polls[0].result, Ok(0));
        assert!(polls[0].restarts >= 1, "{traced}");
        let returned = |event: &&halfopen_trace::Event| matches!(&event.what, What::Returned(r) if r.name == CallName::Poll);
        let at = traced.events.iter().find(returned).map(|event| event.at_ns);
        let took = at.unwrap_or(0) - polls[0].entered_ns;
        assert!(took >= 1_500_000_000, "poll took {took} ns: {traced}");
        let stops = traced
            .events
            .iter()
            .filter(|event| matches!(event.what, What::Stopped { .. } | What::Continued));
        assert_eq!(stops.count(), 2, "{traced}");
    }
}

#[test]
fn a_handler_without_sa_restart_gives_eintr() {
    let traced = run("interrupted");
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["recv -1 Interrupted system call"]);
    let calls = traced.returned(CallName::Recvfrom);
    assert_eq!(calls.len(), 1, "{traced}");
    assert_eq!(calls[0].result, Err(Errno(libc::EINTR)));
    let signal = What::Signal {
        signal: SignalNumber(libc::SIGUSR1),
        sender: traced.events.iter().find_map(|event| match event.what {
            What::Created { child, .. } => Some(child),
            _ => None,
        }),
    };
    assert!(
        traced.events.iter().any(|event| event.what == signal),
        "{traced}"
    );
}

#[test]
fn a_handler_with_sa_restart_is_one_call() {
    let traced = run("restarted");
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["recv 1"]);
    let calls = traced.returned(CallName::Recvfrom);
    assert_eq!(calls.len(), 1, "{traced}");
    assert_eq!(calls[0].result, Ok(1));
    // SIGCHLD, which is ignored, interrupts under ptrace, too.
    assert!(calls[0].restarts >= 1, "{traced}");
}

#[test]
fn a_handlers_own_call_does_not_disturb_the_interrupted_one() {
    let traced = run("nested");
    traced.ends_with(0);
    let receives = traced.returned(CallName::Recvfrom);
    assert_eq!(receives.len(), 1, "{traced}");
    assert_eq!(receives[0].result, Ok(1));
    assert!(receives[0].restarts >= 1, "{traced}");
    assert_eq!(traced.returned(CallName::Sendto).len(), 1);
}

#[test]
fn a_call_left_by_longjmp_never_returns() {
    let traced = run("jumped");
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["recv 1"]);
    assert_eq!(traced.entered(CallName::Recvfrom).len(), 2, "{traced}");
    assert_eq!(traced.returned(CallName::Recvfrom).len(), 1, "{traced}");
}

#[test]
fn exec_from_a_thread() {
    let traced = run("exec_thread");
    traced.ends_with(4);
    assert_eq!(traced.threads(), 1);
    let executed = |event: &&halfopen_trace::Event| matches!(event.what, What::Executed { .. });
    let executed: Vec<_> = traced.events.iter().filter(executed).collect();
    assert_eq!(executed.len(), 2, "{traced}");
    assert_eq!(executed[1].tid, executed[0].pid, "takes its number");
}

#[test]
fn io_uring_is_refused_and_said_once() {
    let traced = run("io_uring");
    traced.ends_with(0);
    assert_eq!(
        traced.lines(),
        ["io_uring_setup -1 Function not implemented"]
    );
    let said = |event: &&halfopen_trace::Event| event.what == What::Unseen(Unseen::IoUring);
    assert_eq!(traced.events.iter().filter(said).count(), 1);
}

#[test]
fn a_program_with_a_filter_of_its_own() {
    let traced = run("sandbox");
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["getppid -1", "recv 1"]);
    assert_eq!(traced.returned(CallName::Recvfrom).len(), 1, "{traced}");
}

#[test]
fn a_reset_by_every_way_to_wait() {
    let traced = run("reset");
    traced.ends_with(0);
    let client = traced.returned(CallName::Connect)[0].socket.expect("known");
    for (name, bits) in [
        (CallName::Poll, libc::POLLIN | libc::POLLERR | libc::POLLHUP),
        // glibc's select() makes it.
        (CallName::Pselect6, libc::POLLIN),
        (
            CallName::EpollWait,
            libc::POLLIN | libc::POLLERR | libc::POLLHUP,
        ),
    ] {
        let calls = traced.returned(name);
        let Gave::Ready(ready) = &calls[0].gave else {
            panic!("{name} gave nothing: {traced}");
        };
        assert_eq!(ready.len(), 1, "{name}");
        assert_eq!(ready[0].socket.id, client.id, "{name}");
        assert!(ready[0].events.has(bits), "{name}: {}", ready[0].events);
    }
    let errors = traced.returned(CallName::Getsockopt);
    assert_eq!(
        errors[0].gave,
        Gave::SocketError(Some(Errno(libc::ECONNRESET)))
    );
    let sent = traced.returned(CallName::Sendto);
    assert_eq!(sent[0].result, Err(Errno(libc::EPIPE)), "{traced}");
    let server = traced.returned(CallName::Accept)[0].gave.clone();
    let Gave::Socket(server) = server else {
        panic!("accept gave no socket");
    };
    assert_eq!((server.local, server.peer), (client.peer, client.local));
    let detectors = traced.detectors();
    let linger = detectors.get(server.id).and_then(|set| set.linger);
    assert_eq!(linger, Some(Duration::ZERO));
}

#[test]
fn a_socket_passed_by_a_message_is_the_same_socket() {
    let traced = run("pass");
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["recv y"]);
    let client = traced.returned(CallName::Connect)[0].socket.expect("known");
    let sent = traced.returned(CallName::Sendto);
    assert_eq!(sent.len(), 1, "{traced}");
    assert_eq!(sent[0].fd, Some(60));
    assert_eq!(sent[0].socket.map(|s| s.id), Some(client.id), "{traced}");
}

#[test]
fn a_32_bit_program_is_said_not_to_be_seen() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("exit.s");
    let program = directory.path().join("exit");
    // i386: exit(7), without a C library, which is seldom installed.
    let text = ".globl _start\n_start: mov $1, %eax\n mov $7, %ebx\n int $0x80\n";
    std::fs::write(&source, text).expect("is written");
    let status = Command::new(installed("gcc", "gcc"))
        .args(["-m32", "-nostdlib", "-static", "-o"])
        .args([&program, &source])
        .status()
        .expect("gcc can be started");
    assert!(status.success(), "gcc -m32");
    let traced = trace(As::Caller, &[], &[program.to_str().expect("a plain path")]);
    let executed = |event: &halfopen_trace::Event| matches!(event.what, What::Executed { .. });
    if !traced.events.iter().any(executed) {
        assert!(traced.stderr.contains("neither an ELF file"), "{traced}");
        eprintln!("not run: this kernel runs no 32-bit programs");
        return;
    }
    traced.ends_with(7);
    let said = What::Unseen(Unseen::ThirtyTwoBit);
    assert!(traced.events.iter().any(|event| event.what == said));
}

#[test]
fn no_new_privs_only_without_privilege() {
    let argv = ["grep", "NoNewPrivs", "/proc/self/status"];
    let rooted = trace(As::UserNamespace, &[], &argv);
    assert_eq!(rooted.ends_with(0).lines(), ["NoNewPrivs:\t0"]);
    if nix::unistd::geteuid().is_root() {
        let nobody = trace(As::Nobody, &[], &argv);
        assert_eq!(nobody.ends_with(0).lines(), ["NoNewPrivs:\t1"]);
    }
}
