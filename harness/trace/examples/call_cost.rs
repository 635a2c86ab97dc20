//! What a call takes: run it alone and under the tracer, and compare.
//!
//! ```text
//! unshare -rn sh -c 'ip link set lo up; call_cost; trace --quiet -- call_cost'
//! ```

use std::io::{self, Read, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

const CALLS: usize = 20_000;
const MESSAGES: usize = 10_000;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let echo = std::thread::spawn(move || -> io::Result<()> {
        let mut byte = [0];
        for _ in 0..MESSAGES {
            server.read_exact(&mut byte)?;
            server.write_all(&byte)?;
        }
        Ok(())
    });

    client.set_nonblocking(true)?;
    let mut byte = [0];
    report("recv that gives EAGAIN", CALLS, || {
        drop(client.read(&mut byte))
    });
    client.set_nonblocking(false)?;

    let (_reader, mut writer) = pipe()?;
    report("write to a pipe", CALLS, || drop(writer.write(&byte)));
    report("getppid, which is not selected", CALLS, || {
        nix::unistd::getppid();
    });
    report("round trip of a byte, both ends", MESSAGES, || {
        drop(
            client
                .write_all(b"x")
                .and_then(|()| client.read_exact(&mut byte)),
        );
    });
    echo.join().expect("the thread does not panic")
}

fn report(what: &str, count: usize, mut call: impl FnMut()) {
    let mut times: Vec<f64> = (0..count)
        .map(|_| {
            let began = Instant::now();
            call();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (median, p90) = (times[count / 2], times[count * 9 / 10]);
    println!("{what}: median {median:.2} us, 90 % below {p90:.2} us");
}
