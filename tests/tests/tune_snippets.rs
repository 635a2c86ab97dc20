//! What `tune` writes down is compiled and run on a connected socket in a lab,
//! and the kernel is asked what it took: C by gcc, Python, Rust by cargo.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use halfopen_lab::Lab;
use halfopen_predict::{KernelFacts, Version};
use halfopen_scenario::case::Family;
use halfopen_tune::snippet::Target;
use halfopen_tune::{Answer, Path as Way, Promises, Settings, While, Without, tune};
use tempfile::TempDir;

// Before main, because libtest has threads when a test begins.
halfopen_runner::sandboxed!();

fn found() -> (Settings, Without) {
    let promises = Promises {
        notice_within: Duration::from_secs(30),
        ride_out: Duration::from_secs(10),
        when: While::Both,
        round_trip: Duration::from_millis(100),
        path: Way::Neighbour,
        kernels: vec![KernelFacts::new(Version(6, 12), 250)],
        middlebox_forgets: None,
    };
    match tune(&promises) {
        Answer::Found { tuned, without } => (tuned.settings, without),
        Answer::Impossible(none) => panic!("{none:?}"),
    }
}

/// What the snippet set, in the order in which the programs below read it back.
fn wanted(settings: &Settings) -> String {
    let k = settings.keepalive.expect("while idle");
    let limit = settings.user_timeout.expect("while sending");
    format!(
        "1 {} {} {} {}",
        k.idle,
        k.interval,
        k.count,
        limit.as_millis()
    )
}

/// Runs `command` on a host of a lab, with the address of a server there that
/// accepts as its last word.
fn run_in_a_lab(command: &mut Command) -> String {
    let lab = Lab::builder()
        .host("client")
        .host("server")
        .cable("client", "server")
        .build()
        .unwrap_or_else(|e| panic!("{e}"));
    let address = lab
        .address("server", Family::Ipv4)
        .unwrap_or_else(|e| panic!("{e}"));
    let address = SocketAddr::new(address, 7000);
    let listener = lab.enter("server", || TcpListener::bind(address));
    let _listener = listener
        .unwrap_or_else(|e| panic!("{e}"))
        .unwrap_or_else(|e| panic!("{e}"));
    command
        .arg(address.ip().to_string())
        .arg(address.port().to_string())
        .stdin(Stdio::null());
    // The child is started, and so runs, on the client's host.
    let output = lab.enter("client", || command.output());
    let output = output
        .unwrap_or_else(|e| panic!("{e}"))
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}\n{complained}");
    said
}

fn write(place: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = place.path().join(name);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{e}"));
    }
    std::fs::write(&file, text).unwrap_or_else(|e| panic!("{e}"));
    file
}

fn place() -> TempDir {
    TempDir::new().unwrap_or_else(|e| panic!("no temporary folder: {e}"))
}

/// Runs a compiler; a missing one is a failure that says its cure.
fn compile(command: &mut Command, cure: &str) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}\n  cure: {cure}"));
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{complained}");
}

#[test]
fn c_sets_what_it_says() {
    let (settings, without) = found();
    let place = place();
    let source = format!(
        "{}
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static int ask(int fd, int level, int option)
{{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, option, &value, &size) ? -1 : value;
}}

int main(int argc, char **argv)
{{
    struct sockaddr_in to = {{ .sin_family = AF_INET }};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 3 || !inet_aton(argv[1], &to.sin_addr))
        return 2;
    to.sin_port = htons(atoi(argv[2]));
    if (connect(fd, (struct sockaddr *)&to, sizeof to) || notice_dead_peers(fd))
        return perror(argv[0]), 1;
    printf(\"%d %d %d %d %d\\n\", ask(fd, SOL_SOCKET, SO_KEEPALIVE),
           ask(fd, IPPROTO_TCP, TCP_KEEPIDLE), ask(fd, IPPROTO_TCP, TCP_KEEPINTVL),
           ask(fd, IPPROTO_TCP, TCP_KEEPCNT), ask(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
    return 0;
}}
",
        Target::C.write(&settings, &without)
    );
    let file = write(&place, "tuned.c", &source);
    let program = place.path().join("tuned");
    compile(
        Command::new("gcc")
            .args(["-Wall", "-Wextra", "-Werror", "-o"])
            .args([&program, &file]),
        "ci/setup installs gcc",
    );
    assert_eq!(run_in_a_lab(&mut Command::new(program)), wanted(&settings));
}

#[test]
fn python_sets_what_it_says() {
    let (settings, without) = found();
    let place = place();
    let source = format!(
        "{}
import sys

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
notice_dead_peers(sock)
tcp = socket.IPPROTO_TCP
print(
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    sock.getsockopt(tcp, socket.TCP_KEEPIDLE),
    sock.getsockopt(tcp, socket.TCP_KEEPINTVL),
    sock.getsockopt(tcp, socket.TCP_KEEPCNT),
    sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT),
)
",
        Target::Python.write(&settings, &without)
    );
    let file = write(&place, "tuned.py", &source);
    let version = Command::new("python3").arg("--version").output();
    assert!(
        version.is_ok(),
        "no python3 here\n  cure: ci/setup installs it"
    );
    let mut command = Command::new("python3");
    command.arg("-B").arg(file);
    assert_eq!(run_in_a_lab(&mut command), wanted(&settings));
}

#[test]
fn rust_sets_what_it_says() {
    let (settings, without) = found();
    let place = place();
    let source = format!(
        "{}
fn main() -> io::Result<()> {{
    let words: Vec<String> = std::env::args().collect();
    let stream = TcpStream::connect(format!(\"{{}}:{{}}\", words[1], words[2]))?;
    notice_dead_peers(&stream)?;
    let socket = socket2::SockRef::from(&stream);
    println!(
        \"{{}} {{}} {{}} {{}} {{}}\",
        u8::from(socket.keepalive()?),
        socket.tcp_keepalive_time()?.as_secs(),
        socket.tcp_keepalive_interval()?.as_secs(),
        socket.tcp_keepalive_retries()?,
        socket.tcp_user_timeout()?.unwrap_or_default().as_millis(),
    );
    Ok(())
}}
",
        Target::Rust.write(&settings, &without)
    );
    write(&place, "src/main.rs", &source);
    write(
        &place,
        "Cargo.toml",
        "[package]\nname = \"tuned\"\nversion = \"0.0.0\"\nedition = \"2024\"\n
[dependencies]\nsocket2 = { version = \"0.6\", features = [\"all\"] }\n\n[workspace]\n",
    );
    // The versions this workspace is built with, so that nothing is fetched.
    let lock = halfopen_tests::root().join("Cargo.lock");
    std::fs::copy(lock, place.path().join("Cargo.lock")).unwrap_or_else(|e| panic!("{e}"));
    let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let target = place.path().join("target");
    compile(
        Command::new(cargo)
            .args(["build", "--quiet", "--offline", "--target-dir"])
            .arg(&target)
            .current_dir(place.path())
            .env_remove("RUSTFLAGS"),
        "run the tests by cargo, which fetched socket2 for this workspace",
    );
    let program: &Path = &target.join("debug/tuned");
    assert_eq!(run_in_a_lab(&mut Command::new(program)), wanted(&settings));
}
