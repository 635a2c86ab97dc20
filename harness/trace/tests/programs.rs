//! Real programs, both ends traced: what they say and what they set is seen,
//! and they end as they would alone.

mod common;

use std::time::Duration;

use common::{As, Traced, installed, python, script, trace};
use halfopen_trace::event::{Gave, Protocol, Socket};
use halfopen_trace::{CallName, Detector, Errno};

/// Waits until a port of the namespace is listened on.
const LISTENING: &str = "listening() { \
    until grep -q \":$(printf %04X $1) 0*:0000 0A\" /proc/net/tcp /proc/net/tcp6; \
    do sleep 0.02; done; }; ";

fn accepted(traced: &Traced) -> Vec<Socket> {
    let calls = traced.returned(CallName::Accept);
    let calls = calls.into_iter().chain(traced.returned(CallName::Accept4));
    calls
        .filter_map(|call| match call.gave {
            Gave::Socket(socket) => Some(socket),
            _ => None,
        })
        .collect()
}

fn connected(traced: &Traced, port: u16) -> Vec<Socket> {
    traced
        .returned(CallName::Connect)
        .iter()
        .filter_map(|call| call.socket)
        .filter(|s| s.protocol == Protocol::Tcp && s.peer.is_some_and(|p| p.port() == port))
        .collect()
}

/// A detector that somebody set on a connection from or to this port.
fn detector(traced: &Traced, sockets: &[Socket]) -> Detector {
    let detectors = traced.detectors();
    let found = sockets.iter().find_map(|s| detectors.get(s.id).cloned());
    found.unwrap_or_else(|| panic!("nothing was set: {traced}"))
}

/// The directory of PostgreSQL's server, which Debian keeps out of PATH.
fn postgres() -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let found = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .find(|directory| directory.join("postgres").exists())
        .or_else(|| Some(installed("postgres", "postgresql").parent()?.to_owned()));
    let found = found.expect("a program is in a directory");
    found.to_str().expect("a plain path").to_owned()
}

const PYTHON: &str = r#"
import socket, subprocess, sys, threading
server = socket.create_server(("127.0.0.1", 7000))
def client():
    c = socket.create_connection(("127.0.0.1", 7000), timeout=5)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 7)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2500)
    c.sendall(b"hello")
    sys.stdout.write(c.recv(9).decode() + "\n"); sys.stdout.flush()
threads = [threading.Thread(target=client) for _ in range(3)]
for t in threads: t.start()
for _ in threads:
    s, _ = server.accept()
    s.recv(9)
    s.sendall(b"world")
for t in threads: t.join()
assert subprocess.run(["sh", "-c", "exit 3"]).returncode == 3
try: socket.create_connection(("127.0.0.1", 7001))
except ConnectionRefusedError as e: print(e, file=sys.stderr)
sys.exit(6)
"#;

#[test]
fn python_with_threads_and_a_subprocess() {
    for who in [As::Caller, As::UserNamespace] {
        let traced = trace(who, &[], &[&python(), "-c", PYTHON]);
        traced.ends_with(6);
        assert_eq!(traced.threads(), 3);
        assert_eq!(traced.processes(), 1);
        let greetings = traced
            .lines()
            .iter()
            .filter(|line| **line == "world")
            .count();
        assert_eq!(greetings, 3, "{traced}");
        assert_eq!(accepted(&traced).len(), 3);
        let clients = connected(&traced, 7000);
        let set = detector(&traced, &clients);
        assert!(set.keepalive);
        assert_eq!(set.idle, Some(Duration::from_secs(7)));
        assert_eq!(set.user_timeout, Some(Duration::from_millis(2500)));
        let calls = traced.returned(CallName::Connect);
        let refused = calls.last().expect("there are some");
        assert_eq!(refused.result, Err(Errno(libc::ECONNREFUSED)), "{traced}");
        // Each end's addresses are the other's, turned round.
        for server in accepted(&traced) {
            let other = |c: &&Socket| c.local == server.peer && c.peer == server.local;
            assert!(clients.iter().any(|c| other(&c)), "{server}: {traced}");
        }
    }
}

#[test]
fn redis() {
    installed("redis-server", "redis-server");
    installed("redis-cli", "redis-tools");
    let traced = script(
        &[],
        &format!(
            "{LISTENING} d=$(mktemp -d); trap 'rm -rf $d' EXIT; cd $d; \
             redis-server --port 7000 --save '' --tcp-keepalive 30 & listening 7000; \
             redis-cli -p 7000 SET a b; redis-cli -p 7000 GET a; \
             redis-cli -p 7000 SHUTDOWN NOSAVE; wait $!"
        ),
    );
    traced.ends_with(0);
    assert!(traced.lines().contains(&"OK"), "{traced}");
    let set = detector(&traced, &accepted(&traced));
    // redis's anetKeepAlive(): interval a third of the idle time, three probes.
    assert!(set.keepalive && set.no_delay);
    assert_eq!(set.idle, Some(Duration::from_secs(30)));
    assert_eq!(set.interval, Some(Duration::from_secs(10)));
    assert_eq!(set.count, Some(3));
    let listened = traced.returned(CallName::Listen);
    let listening = |s: Socket| s.listening && s.local.is_some_and(|l| l.port() == 7000);
    assert!(listened.iter().any(|c| c.socket.is_some_and(listening)));
    let reads = traced.returned(CallName::Read);
    assert!(reads.iter().any(|call| call.result == Ok(0)), "no end seen");
    let waits = traced.returned(CallName::EpollWait);
    let ready = |gave: &Gave| matches!(gave, Gave::Ready(ready) if !ready.is_empty());
    assert!(waits.iter().any(|call| ready(&call.gave)), "{traced}");
}

#[test]
fn curl_and_a_port_that_nobody_listens_on() {
    let curl = installed("curl", "curl");
    let curl = curl.to_str().expect("a plain path");
    let argv = [
        curl,
        "-sS",
        "--keepalive-time",
        "11",
        "http://127.0.0.1:7001/",
    ];
    let traced = trace(As::Caller, &[], &argv);
    traced.ends_with(7);
    let set = detector(&traced, &connected(&traced, 7001));
    assert!(set.keepalive);
    assert_eq!(set.idle, Some(Duration::from_secs(11)));
    let refused = Err(Errno(libc::ECONNREFUSED));
    let at_once = traced.returned(CallName::Connect);
    let later = traced.returned(CallName::Getsockopt);
    assert!(
        at_once.iter().any(|call| call.result == refused)
            || later
                .iter()
                .any(|call| { call.gave == Gave::SocketError(Some(Errno(libc::ECONNREFUSED))) }),
        "{traced}"
    );
}

#[test]
fn nginx_with_workers_and_curl() {
    installed("curl", "curl");
    let nginx = installed("nginx", "nginx-light");
    let traced = script(
        &[],
        &format!(
            "{LISTENING} d=$(mktemp -d); trap 'rm -rf $d' EXIT; chmod 755 $d; mkdir $d/logs; \
             for i in $(seq 400); do echo 0123456789abcdef; done > $d/file; \
             echo \"worker_processes 2; pid $d/pid; error_log $d/log; events {{}} \
               http {{ sendfile on; access_log off; \
               client_body_temp_path $d/a; proxy_temp_path $d/b; fastcgi_temp_path $d/c; \
               uwsgi_temp_path $d/e; scgi_temp_path $d/f; \
               server {{ listen 127.0.0.1:7002; root $d; }} }}\" > $d/conf; \
             {nginx} -p $d -c $d/conf -g 'daemon off;' & listening 7002; \
             curl -sS http://127.0.0.1:7002/file | wc -c; kill -QUIT $!; wait $!; echo nginx $?",
            nginx = nginx.display(),
        ),
    );
    traced.ends_with(0);
    assert_eq!(traced.lines(), ["6800", "nginx 0"], "{traced}");
    let sent = traced.returned(CallName::Sendfile);
    assert!(sent.iter().any(|call| call.result == Ok(6800)), "{traced}");
    assert_eq!(accepted(&traced).len(), 1);
}

#[test]
fn postgres_as_another_user_in_a_nested_namespace() {
    let psql = installed("psql", "postgresql-client");
    let postgres = postgres();
    let traced = script(
        &["--nested", "1000:1000"],
        &format!(
            "{LISTENING} PATH={postgres}:$PATH; d=$(mktemp -d); trap 'rm -rf $d' EXIT; \
             initdb -D $d/data -U me --auth=trust -N > $d/log 2>&1 || cat $d/log; \
             echo as $(id -u); \
             postgres -D $d/data -p 7003 -k $d -c listen_addresses=127.0.0.1 -F & \
             until pg_isready -q -h 127.0.0.1 -p 7003; do sleep 0.05; done; \
             {psql} 'host=127.0.0.1 port=7003 user=me dbname=postgres keepalives_idle=60 \
               tcp_user_timeout=9000' -Atc 'select 6*7'; \
             kill -INT $!; wait $!; echo postgres $?",
            psql = psql.display(),
        ),
    );
    traced.ends_with(0);
    for line in ["as 1000", "42", "postgres 0"] {
        assert!(traced.lines().contains(&line), "{line}: {traced}");
    }
    // pg_isready connected before psql.
    let psql = connected(&traced, 7003).pop().expect("psql connected");
    let set = detector(&traced, &[psql]);
    assert_eq!(set.idle, Some(Duration::from_secs(60)));
    assert_eq!(set.user_timeout, Some(Duration::from_secs(9)));
    assert!(detector(&traced, &accepted(&traced)).keepalive);
}

#[test]
fn ssh_and_sshd_with_their_sandboxes() {
    let sshd = installed("sshd", "openssh-server");
    installed("ssh", "openssh-client");
    if !nix::unistd::geteuid().is_root() {
        // sshd wants setgroups() and a root of its own; arranging that is its
        // caller's business.
        eprintln!("not run: sshd needs root");
        return;
    }
    let traced = script(
        &[],
        &format!(
            "{LISTENING} mount -t tmpfs none /run; mkdir -p /run/sshd; d=$(mktemp -d); \
             trap 'rm -rf $d' EXIT; \
             ssh-keygen -qt ed25519 -N '' -f $d/host; ssh-keygen -qt ed25519 -N '' -f $d/key; \
             printf '%s\\n' 'ListenAddress 127.0.0.1:7004' \"HostKey $d/host\" 'UsePAM no' \
               'StrictModes no' \"AuthorizedKeysFile $d/key.pub\" 'PermitRootLogin yes' \
               'PidFile none' > $d/conf; \
             {sshd} -D -e -f $d/conf & listening 7004; \
             ssh -F none -i $d/key -p 7004 -o BatchMode=yes -o StrictHostKeyChecking=no \
               -o UserKnownHostsFile=/dev/null root@127.0.0.1 'exit 5'; code=$?; \
             kill $!; wait $!; exit $code",
            sshd = sshd.display(),
        ),
    );
    traced.ends_with(5);
    assert!(detector(&traced, &accepted(&traced)).keepalive);
    assert!(detector(&traced, &connected(&traced, 7004)).no_delay);
}

const GO: &str = r#"package main

import ("fmt"; "net"; "os"; "time")

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:7005")
	if err != nil { panic(err) }
	done := make(chan error)
	go func() {
		for { c, err := l.Accept(); if err != nil { return }; go func() { b := make([]byte, 9); for { n, err := c.Read(b); if err != nil { return }; c.Write(b[:n]) } }() }
	}()
	for i := 0; i < 8; i++ {
		go func() {
			c, err := net.Dial("tcp", "127.0.0.1:7005")
			if err != nil { done <- err; return }
			c.Write([]byte("hello"))
			b := make([]byte, 9)
			if _, err := c.Read(b); err != nil { done <- err; return }
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			_, err = c.Read(b)
			done <- err
		}()
	}
	for i := 0; i < 8; i++ { fmt.Println(os.IsTimeout(<-done)) }
	os.Exit(3)
}
"#;

#[test]
fn a_static_go_program() {
    let go = installed("go", "golang-go");
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("main.go");
    let program = directory.path().join("main");
    std::fs::write(&source, GO).expect("is written");
    let built = std::process::Command::new(go)
        .args(["build", "-o"])
        .args([&program, &source])
        .env("CGO_ENABLED", "0")
        .env("GO111MODULE", "off")
        .status()
        .expect("go can be started");
    assert!(built.success(), "go build");
    let program = program.to_str().expect("a plain path");
    let traced = trace(As::Caller, &[], &[program]);
    traced.ends_with(3);
    assert_eq!(traced.lines(), ["true"; 8], "{traced}");
    assert_eq!(connected(&traced, 7005).len(), 8);
    // Go's defaults: keepalive after 15 s, each 15 s, and TCP_NODELAY.
    let set = detector(&traced, &connected(&traced, 7005));
    assert!(set.keepalive && set.no_delay);
    assert_eq!(set.idle, Some(Duration::from_secs(15)));
    let reads = traced.returned(CallName::Read);
    let again = |call: &&&halfopen_trace::event::Returned| {
        call.result == Err(Errno(libc::EAGAIN)) && call.socket.is_some()
    };
    assert!(reads.iter().filter(again).count() >= 8, "{traced}");
}

const JAVA: &str = r#"
import java.net.*;
public class Main {
    public static void main(String[] args) throws Exception {
        ServerSocket server = new ServerSocket(7006, 1, InetAddress.getLoopbackAddress());
        Thread t = new Thread(() -> { try (Socket s = server.accept()) { s.getInputStream().read(); Thread.sleep(60000); } catch (Exception e) { } });
        t.start();
        Socket c = new Socket(InetAddress.getLoopbackAddress(), 7006);
        c.setKeepAlive(true);
        c.setSoTimeout(150);
        c.getOutputStream().write(1);
        try { c.getInputStream().read(); } catch (SocketTimeoutException e) { System.out.println("timeout"); }
        System.exit(9);
    }
}
"#;

#[test]
fn a_jvm() {
    let java = installed("java", "default-jdk-headless");
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("Main.java");
    std::fs::write(&source, JAVA).expect("is written");
    let argv = [java.to_str(), source.to_str()].map(|path| path.expect("a plain path"));
    let traced = trace(As::Caller, &[], &argv);
    traced.ends_with(9);
    assert!(traced.lines().contains(&"timeout"), "{traced}");
    assert!(traced.threads() > 5);
    assert!(detector(&traced, &connected(&traced, 7006)).keepalive);
    let polls = traced.returned(CallName::Poll);
    assert!(polls.iter().any(|call| call.result == Ok(0)), "{traced}");
}
