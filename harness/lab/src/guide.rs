//! How to test a client against a peer that dies. Only text; every example that is not
//! marked otherwise runs as a test.
//!
//! # The first test, in five minutes
//!
//! `cargo add --dev halfopen-lab --git https://github.com/halfopen/halfopen`, and in
//! `tests/peer.rs`:
//!
//! ```no_run
//! use std::io::{ErrorKind, Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use std::time::Duration;
//!
//! use halfopen_lab::Lab;
//!
//! #[halfopen_lab::test]
//! fn a_dead_peer_is_silent() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
//!     let (client, server) = (lab.host("client")?, lab.host("server")?);
//!     let listener = server.enter(|| TcpListener::bind((server.address(), 7000)))??;
//!     let mut stream = client.enter(|| TcpStream::connect((server.address(), 7000)))??;
//!     let _served = listener.accept()?;
//!
//!     lab.crash("server")?;
//!     stream.set_read_timeout(Some(Duration::from_secs(1)))?;
//!     stream.write_all(b"anybody there?")?;
//!     let read = stream.read(&mut [0; 64]).map_err(|e| e.kind());
//!     assert_eq!(read, Err(ErrorKind::WouldBlock));
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! It needs Linux, and root or user namespaces; an error says what is missing and how to
//! get it. A file of many tests has [`sandboxed!`](crate::sandboxed) once at its top level,
//! and `#[test]` as ever.
//!
//! # Faults while the client runs
//!
//! [`Lab::at`](crate::Lab::at) applies faults at their times, [`expect_errno!`](crate::expect_errno)
//! says how a call shall fail and when, and [`Lab::record`](crate::Lab::record) shows packets and
//! faults when the test fails:
//!
//! ```standalone_crate
//! use std::io::Write;
//! use std::net::{TcpListener, TcpStream};
//! use std::time::Duration;
//!
//! use halfopen_lab::{Lab, expect_errno, sandbox};
//!
//! /// The code under test: it sends until the kernel gives up.
//! fn send(stream: &mut TcpStream) -> std::io::Result<()> {
//!     loop {
//!         stream.write_all(b"report")?;
//!         std::thread::sleep(Duration::from_millis(50));
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // In a file of tests: halfopen_lab::sandboxed!();
//!     sandbox::enter()?;
//!     let mut lab = Lab::builder()
//!         .host("client")
//!         .host("server")
//!         .cable("client", "server")
//!         // So that the kernel gives up after a second or two, not after 15 minutes.
//!         .sysctl("client", "net.ipv4.tcp_retries2", "2")
//!         .build()?;
//!     let _recording = lab.record()?;
//!     let (client, server) = (lab.host("client")?, lab.host("server")?);
//!     let listener = server.enter(|| TcpListener::bind((server.address(), 7000)))??;
//!     let mut stream = client.enter(|| TcpStream::connect((server.address(), 7000)))??;
//!     let _served = listener.accept()?;
//!
//!     lab.at(Duration::from_millis(100), |lab| lab.crash("server"))
//!         .run(|| expect_errno!(send(&mut stream), ETIMEDOUT, within 0.5..600 s))?;
//!     Ok(())
//! }
//! ```
//!
//! # What will happen to this socket
//!
//! [`Lab::socket_state`](crate::Lab::socket_state) reads what decides how a socket notices that
//! its peer is gone. The crate `halfopen-predict` makes of that the sign and the time, by a
//! simulation of the kernel's TCP:
//!
//! ```ignore
//! // Ignored here, because it needs halfopen-predict: tests/tests/library.rs runs it.
//! let state = lab.socket_state("client", &stream)?;
//! let prediction = predict_socket(&state, Fault::Crash, Next::Read)?;
//! // ETIMEDOUT, 2 h 11 min 15 s to 2 h 12 min 10 s from now
//! ```
//!
//! # Async
//!
//! With the crate's feature `tokio` a [`Host`](crate::Host) has `block_on`, `spawn` and
//! `runtime`. Tasks that such a task spawns are on the host, too, and a name is that of a
//! host of the lab:
//!
//! ```ignore
//! // Ignored here, because it needs reqwest: fixtures/projects/rust runs it.
//! let listener = server.block_on(TcpListener::bind((server.address(), 8000)))??;
//! server.spawn(serve(listener))?;
//! let answer = client.block_on(reqwest::get("http://server:8000/"))??;
//! ```
//!
//! # Virtual time, other kernels
//!
//! `HALFOPEN_TIME=virtual cargo test` runs the same program in a guest whose clock skips
//! what everybody waits for: two hours of keepalive take a second or two.
//! `HALFOPEN_KERNEL=6.1` chooses the kernel, [`#[test(time =
//! "virtual")]`](crate::test) does it for one test. Both need the command `halfopen`, QEMU
//! and a kernel. [`sandbox::is_virtual_time`](crate::sandbox::is_virtual_time) lets a
//! test shorten timers where time is real.
//!
//! # In CI
//!
//! | where | a lab, in real time | a guest, in virtual time |
//! |---|---|---|
//! | root of a machine, or of a virtual machine | yes | yes, with QEMU |
//! | an ordinary user there | with user namespaces, which Ubuntu 24.04 forbids at first | yes |
//! | GitHub Actions, `ubuntu-24.04`, as root | `CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo -E" cargo test` | yes |
//! | the same as the user that a job has | after `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` | yes |
//! | GitLab's shared runners, Docker, Podman | no: the error names the cure | yes: it is an ordinary process |
//! | the same with `--privileged`, or `privileged = true` | yes | yes |
//!
//! The repository's docs/testing.md has workflows to copy. nextest writes JUnit files by its own
//! profile: `[profile.ci.junit] path = "junit.xml"` in `.config/nextest.toml`.
//!
//! # Testing a client that connects again
//!
//! ```standalone_crate
//! use std::io::{Read, Write};
//! use std::net::{SocketAddr, TcpListener, TcpStream};
//! use std::time::Duration;
//!
//! use halfopen_lab::{Host, Lab, sandbox};
//!
//! /// The client under test: it asks, and tries again on a new connection.
//! fn ask(address: SocketAddr) -> std::io::Result<u8> {
//!     let mut last = None;
//!     for _ in 0..3 {
//!         let once = || {
//!             let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
//!             stream.set_read_timeout(Some(Duration::from_millis(500)))?;
//!             stream.write_all(b"?")?;
//!             let mut answer = [0];
//!             stream.read_exact(&mut answer)?;
//!             Ok(answer[0])
//!         };
//!         match once() {
//!             Ok(answer) => return Ok(answer),
//!             Err(e) => last = Some(e),
//!         }
//!     }
//!     Err(last.unwrap_or_else(|| std::io::ErrorKind::Other.into()))
//! }
//!
//! fn serve(server: &Host) -> Result<SocketAddr, Box<dyn std::error::Error>> {
//!     let listener = server.enter(|| TcpListener::bind((server.address(), 7000)))??;
//!     let address = listener.local_addr()?;
//!     std::thread::spawn(move || {
//!         // Ends when the host crashes, because its socket does.
//!         while let Ok((mut stream, _)) = listener.accept() {
//!             let mut byte = [0];
//!             if stream.read_exact(&mut byte).is_ok() {
//!                 let _ = stream.write_all(b"!");
//!             }
//!         }
//!     });
//!     Ok(address)
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     sandbox::enter()?;
//!     let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
//!     let (client, server) = (lab.host("client")?, lab.host("server")?);
//!     let address = serve(&server)?;
//!     assert_eq!(client.enter(|| ask(address))??, b'!');
//!
//!     lab.crash("server")?;
//!     assert!(client.enter(|| ask(address))?.is_err());
//!
//!     lab.host_up("server", true)?;
//!     serve(&server)?;
//!     assert_eq!(client.enter(|| ask(address))??, b'!');
//!     Ok(())
//! }
//! ```
//!
//! # Testing a connection pool
//!
//! A pool hands out a connection that died while it was idle. Where the peer is silent, a
//! request on it takes a quarter of an hour (`net.ipv4.tcp_retries2`), and with a user timeout
//! as long as that says: the repository's fixtures/projects has this test for reqwest, Go's
//! net/http and Python's http.client. Where a gateway has forgotten the connection and
//! answers with RST (`OnForgotten::Reset`), the request fails at once, and a good pool tries it
//! again on a new one; a gateway that drops in silence is the quarter of an hour again:
//!
//! ```standalone_crate
//! use std::collections::BTreeMap;
//! use std::io::{Read, Write};
//! use std::net::{SocketAddr, TcpListener, TcpStream};
//! use std::time::Duration;
//!
//! use halfopen_lab::{Lab, Nat, OnForgotten, expect_errno, sandbox};
//!
//! /// The pool under test.
//! struct Pool {
//!     address: SocketAddr,
//!     idle: Vec<TcpStream>,
//! }
//!
//! fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
//!     stream.write_all(b"?")?;
//!     let mut answer = [0];
//!     stream.read_exact(&mut answer)?;
//!     Ok(answer[0])
//! }
//!
//! impl Pool {
//!     fn ask(&mut self) -> std::io::Result<u8> {
//!         let reused = self.idle.pop();
//!         let again = reused.is_some();
//!         let mut stream = reused.map_or_else(|| TcpStream::connect(self.address), Ok)?;
//!         match ask(&mut stream) {
//!             Ok(answer) => {
//!                 self.idle.push(stream);
//!                 Ok(answer)
//!             }
//!             // It was idle for too long.
//!             Err(_) if again => self.ask(),
//!             Err(e) => Err(e),
//!         }
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     sandbox::enter()?;
//!     let mut lab = Lab::builder()
//!         .host("client")
//!         .router("gateway")
//!         .host("server")
//!         .cable("client", "gateway")
//!         .cable("gateway", "server")
//!         .nat(Nat {
//!             router: "gateway".into(),
//!             inside: vec!["client".into()],
//!             idle: Duration::from_secs(350),
//!             on_forgotten: OnForgotten::Reset,
//!             timeouts: BTreeMap::new(),
//!             service: None,
//!         })
//!         .build()?;
//!     let (client, server) = (lab.host("client")?, lab.host("server")?);
//!     let listener = server.enter(|| TcpListener::bind((server.address(), 7000)))??;
//!     let address = listener.local_addr()?;
//!     std::thread::spawn(move || {
//!         while let Ok((mut stream, _)) = listener.accept() {
//!             std::thread::spawn(move || {
//!                 let mut byte = [0];
//!                 while stream.read_exact(&mut byte).is_ok() && stream.write_all(b"!").is_ok() {}
//!             });
//!         }
//!     });
//!
//!     let mut pool = Pool { address, idle: Vec::new() };
//!     assert_eq!(client.enter(|| pool.ask())??, b'!');
//!     let mut careless = client.enter(|| TcpStream::connect(address))??;
//!     assert_eq!(ask(&mut careless)?, b'!');
//!
//!     // As after 350 s without a packet.
//!     lab.forget_flows("gateway")?;
//!     expect_errno!(ask(&mut careless), ECONNRESET);
//!     assert_eq!(client.enter(|| pool.ask())??, b'!');
//!     Ok(())
//! }
//! ```
//!
//! # Testing a heartbeat
//!
//! A heartbeat notices what TCP does not: a peer whose program hangs while its kernel
//! goes on acknowledging. [`Lab::freeze`](crate::Lab::freeze) makes one.
//!
//! ```standalone_crate
//! use std::io::{ErrorKind, Read, Write};
//! use std::net::TcpStream;
//! use std::process::Stdio;
//! use std::time::Duration;
//!
//! use halfopen_lab::{Lab, sandbox};
//!
//! fn beat(stream: &mut TcpStream) -> std::io::Result<()> {
//!     stream.write_all(b"beat\n")?;
//!     let mut answer = [0; 5];
//!     stream.read_exact(&mut answer)
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     sandbox::enter()?;
//!     let mut lab = Lab::builder().host("client").host("server").cable("client", "server").build()?;
//!     let (client, server) = (lab.host("client")?, lab.host("server")?);
//!     // Any program can be the server.
//!     let echo = "import socket\n\
//!         s, _ = socket.create_server(('0.0.0.0', 7000)).accept()\n\
//!         while data := s.recv(64): s.sendall(data)";
//!     let mut process = server.command("python3")?.args(["-c", echo]).stdin(Stdio::null()).spawn()?;
//!     let mut stream = loop {
//!         match client.enter(|| TcpStream::connect((server.address(), 7000)))? {
//!             Ok(stream) => break stream,
//!             Err(_) => std::thread::sleep(Duration::from_millis(20)),
//!         }
//!     };
//!     stream.set_read_timeout(Some(Duration::from_secs(2)))?;
//!     beat(&mut stream)?;
//!
//!     lab.freeze("server")?;
//!     let missed = beat(&mut stream).map_err(|e| e.kind());
//!     assert_eq!(missed, Err(ErrorKind::WouldBlock));
//!     // The kernel has acknowledged the beat: no timeout of TCP would have fired.
//!     lab.crash("server")?;
//!     process.wait()?;
//!     Ok(())
//! }
//! ```
