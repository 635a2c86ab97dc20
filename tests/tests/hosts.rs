//! Hosts of a lab as async tests use them: tasks, names, commands, and their end when
//! the host crashes, freezes or reboots. As root and as an ordinary user, in real time
//! and in a guest.

use std::io::ErrorKind;
use std::time::Duration;

use halfopen_lab::{Host, Lab, LabError, sandbox};
use halfopen_trace::event::End;
use halfopen_trace::{Errno, Event, What};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

halfopen_lab::sandboxed!();

type Tested = Result<(), Box<dyn std::error::Error>>;

/// For what does not come.
const SHORT: Duration = Duration::from_millis(500);
/// For what comes, on a busy machine, too.
const LONG: Duration = Duration::from_secs(20);

fn lab() -> Result<(Lab, Host, Host), LabError> {
    let lab = Lab::builder()
        .host("client")
        .host("server")
        .cable("client", "server")
        .build()?;
    let (client, server) = (lab.host("client")?, lab.host("server")?);
    Ok((lab, client, server))
}

/// Answers each byte with itself.
fn echo(server: &Host) -> Tested {
    let listener = server.block_on(TcpListener::bind((server.address(), 7000)))??;
    server.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() {
                    if stream.write_all(&byte).await.is_err() {
                        break;
                    }
                }
            });
        }
    })?;
    Ok(())
}

/// Sends a byte; what comes back within `limit`.
async fn ask(stream: &mut TcpStream, limit: Duration) -> std::io::Result<u8> {
    stream.write_all(b"x").await?;
    let mut byte = [0];
    match timeout(limit, stream.read_exact(&mut byte)).await {
        Ok(read) => read.map(|_| byte[0]),
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

fn kind(answer: std::io::Result<u8>) -> Result<u8, ErrorKind> {
    answer.map_err(|e| e.kind())
}

#[test]
fn tasks_run_inside_and_names_resolve() -> Tested {
    let (_lab, client, server) = lab()?;
    echo(&server)?;
    let answer = client.block_on(async {
        // Another thread than the one that waits.
        let asked = tokio::spawn(async {
            let mut stream = TcpStream::connect("server:7000").await?;
            ask(&mut stream, LONG).await
        });
        asked.await
    })??;
    assert_eq!(answer?, b'x');
    // Nothing of it is visible from outside.
    assert!(std::net::TcpStream::connect((server.address(), 7000)).is_err());
    Ok(())
}

#[test]
fn a_crash_ends_tasks_and_a_reboot_resets() -> Tested {
    let (mut lab, client, server) = lab()?;
    echo(&server)?;
    let waits = server.spawn(std::future::pending::<()>())?;
    let mut stream = client.block_on(TcpStream::connect("server:7000"))??;
    lab.crash("server")?;
    let ended = client.block_on(waits)?;
    assert!(ended.is_err_and(|e| e.is_cancelled()));
    assert!(matches!(server.spawn(async {}), Err(LabError::Down { .. })));
    let answer = client.block_on(ask(&mut stream, SHORT))?;
    assert_eq!(kind(answer), Err(ErrorKind::TimedOut), "silence");

    lab.host_up("server", true)?;
    let answer = client.block_on(ask(&mut stream, LONG))?;
    assert_eq!(kind(answer), Err(ErrorKind::ConnectionReset));
    // The same handle starts it again.
    echo(&server)?;
    let mut stream = client.block_on(TcpStream::connect("server:7000"))??;
    assert_eq!(client.block_on(ask(&mut stream, LONG))??, b'x');
    Ok(())
}

#[test]
fn a_frozen_server_acknowledges_and_does_not_answer() -> Tested {
    let (mut lab, client, server) = lab()?;
    echo(&server)?;
    let mut stream = client.block_on(TcpStream::connect("server:7000"))??;
    lab.freeze("server")?;
    let answer = client.block_on(ask(&mut stream, SHORT))?;
    assert_eq!(kind(answer), Err(ErrorKind::TimedOut));
    lab.thaw("server")?;
    let mut byte = [0];
    let read = client.block_on(async { timeout(LONG, stream.read_exact(&mut byte)).await })?;
    assert_eq!((read??, byte), (1, *b"x"), "what was asked meanwhile");
    Ok(())
}

#[test]
fn a_crash_ends_threads_sockets_and_commands() -> Tested {
    let (mut lab, client, server) = lab()?;
    let listener = server.enter(|| std::net::TcpListener::bind((server.address(), 7000)))??;
    let waits = std::thread::spawn(move || listener.accept().map(drop));
    let mut command = server.command("sleep")?.arg("1000").spawn()?;
    let named = client
        .command("getent")?
        .args(["hosts", "server"])
        .output()?;
    assert!(String::from_utf8(named.stdout)?.contains("server"));

    lab.crash("server")?;
    assert!(!command.wait()?.success());
    let accepted = waits.join().map_err(|_| "it panicked")?;
    assert!(accepted.is_err(), "nobody can wait on a dead host");
    Ok(())
}

/// An unmodified program, call by call.
#[test]
fn a_command_is_observed_when_that_is_asked_for() -> Tested {
    let (mut lab, client, server) = lab()?;
    echo(&server)?;
    let script = "import socket, time\n\
        s = socket.create_connection(('server', 7000))\n\
        s.sendall(b'x')\n\
        print('connected', flush=True)\n\
        while s.recv(1): time.sleep(0.02); s.sendall(b'x')";
    let python = client.observe(["python3", "-c", script])?;
    let writes = |events: &[Event], word: &str| {
        let is =
            |event: &Event| matches!(&event.what, What::Line(line) if line.text.contains(word));
        events.iter().any(is)
    };
    while !writes(&python.events(), "connected") {
        std::thread::sleep(Duration::from_millis(20));
    }
    lab.reboot("server")?;
    let events = python.wait()?;
    let reset = Err(Errno(libc::ECONNRESET));
    let fails =
        |event: &&Event| matches!(&event.what, What::Returned(call) if call.result == reset);
    let failed = events.iter().find(fails).ok_or("no call failed")?;
    assert!(failed.to_string().contains("ECONNRESET"), "{failed}");
    assert!(writes(&events, "ConnectionResetError"), "{events:?}");
    let last = events.iter().rev().find_map(|event| match &event.what {
        What::Ended(end) => Some(*end),
        _ => None,
    });
    assert_eq!(last, Some(End::Code(1)));
    Ok(())
}

#[test]
fn a_line_is_impaired_in_one_sentence() -> Tested {
    let (mut lab, client, server) = lab()?;
    echo(&server)?;
    let mut stream = client.block_on(TcpStream::connect("server:7000"))??;
    lab.line("client", "server").cut()?;
    let answer = client.block_on(ask(&mut stream, SHORT))?;
    assert_eq!(kind(answer), Err(ErrorKind::TimedOut));
    lab.line("client", "server").mend()?;
    let mut byte = [0];
    let read = client.block_on(async { timeout(LONG, stream.read_exact(&mut byte)).await });
    assert_eq!(read???, 1);
    Ok(())
}

/// Two hours and 11 minutes of keepalive by Linux's defaults: in a guest only.
#[test]
#[ignore = "takes two hours in real time: run with HALFOPEN_TIME=virtual"]
fn keepalive_by_default_takes_two_hours() -> Tested {
    assert!(
        sandbox::is_virtual_time(),
        "HALFOPEN_TIME=virtual is missing"
    );
    let (mut lab, client, server) = lab()?;
    echo(&server)?;
    let mut stream = client.block_on(TcpStream::connect("server:7000"))??;
    socket2::SockRef::from(&stream).set_keepalive(true)?;
    lab.crash("server")?;
    let asked = std::time::Instant::now();
    let read = client.block_on(stream.read(&mut [0]))?;
    assert_eq!(read.map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
    // tcp_keepalive_time, and 9 probes every tcp_keepalive_intvl.
    let expected = Duration::from_secs(7200 + 9 * 75);
    let took = asked.elapsed();
    println!("keepalive ended it after {took:?}");
    // The kernel's timer wheel rounds timers of hours up, by a minute.
    let latest = expected + Duration::from_secs(120);
    assert!(expected <= took && took < latest, "{took:?}");
    Ok(())
}
