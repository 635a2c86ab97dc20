//! What was asked of a line is measured on it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::{Lab, LabError};
use halfopen_net::{Direction, Family, ImpairBy, Impairment, Loss, Mtu};

const PORT: u16 = 7000;

fn link() -> Lab {
    let lab = Lab::builder()
        .host("client")
        .host("server")
        .cable("client", "server")
        .build();
    lab.unwrap_or_else(|e| {
        panic!("this test needs root or a user namespace, run it by ci/test: {e:?}")
    })
}

/// What goes to the server is bad from now on.
fn to_server(lab: &mut Lab, line: &Impairment, by: ImpairBy) -> String {
    let bad = lab.impair("client", None, Direction::From, line, by);
    bad.expect("the lab can").1.mechanism
}

fn udp(lab: &Lab, host: &str) -> UdpSocket {
    let address = lab.address(host, Family::Ipv4).expect("known");
    let socket = lab
        .enter(host, || UdpSocket::bind((address, PORT)))
        .expect("is up")
        .expect("nobody else is there");
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("is not 0");
    socket
}

fn connected(lab: &Lab) -> (TcpStream, TcpStream) {
    let address = (lab.address("server", Family::Ipv4).expect("known"), PORT);
    let listener = lab.enter("server", || TcpListener::bind(address));
    let listener = listener.expect("is up").expect("nobody else is there");
    let client = lab.enter("client", || TcpStream::connect(address));
    let client = client.expect("is up").expect("somebody listens");
    let (server, _) = listener.accept().expect("it is connected");
    (client, server)
}

/// What is asserted of chance and of counts: a busy machine drops datagrams and reads
/// them late, so that one measurement of three has to be right. A line that does not
/// do what it says fails all of them.
fn once_of_three(measure: impl Fn() -> Result<(), String>) {
    let wrong: Vec<String> = (0..3).map_while(|_| measure().err()).collect();
    assert!(wrong.len() < 3, "{wrong:#?}");
}

/// Ok when it holds, otherwise what was measured.
fn holds(right: bool, measured: impl std::fmt::Display) -> Result<(), String> {
    right.then_some(()).ok_or_else(|| measured.to_string())
}

/// Sends so many numbered datagrams, one each `every`, and returns what comes
/// until nothing has come for a while: its number, and how long it took.
fn datagrams(lab: &Lab, count: u32, every: Duration) -> Vec<(u32, Duration)> {
    let (from, to) = (udp(lab, "client"), udp(lab, "server"));
    let there = to.local_addr().expect("is bound");
    let back = from.local_addr().expect("is bound");
    // Neighbours are found before anything is measured, whatever gets lost.
    lab_pin(lab, &from, &to, there, back);
    to.set_read_timeout(Some(Duration::from_millis(300)))
        .expect("is not 0");
    let all_sent = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&all_sent);
    let sender = std::thread::spawn(move || {
        halfopen_sys::schedule::wake_promptly(halfopen_sys::schedule::Prompt::Endpoint);
        let mut sent = Vec::new();
        for number in 0..count {
            // Never two at once to catch up: on a busy machine they would be more
            // than the relay's socket holds, and count as lost by the line.
            std::thread::sleep(every);
            sent.push(Instant::now());
            from.send_to(&number.to_be_bytes(), there).expect("sends");
        }
        all_sent.store(true, Ordering::Relaxed);
        sent
    });
    let receiver = std::thread::spawn(move || {
        halfopen_sys::schedule::wake_promptly(halfopen_sys::schedule::Prompt::Endpoint);
        let mut got = Vec::new();
        let mut bytes = [0; 2000];
        let mut over = false;
        while !over {
            over = is_over.load(Ordering::Relaxed);
            while let Ok((4, _)) = to.recv_from(&mut bytes) {
                let number = bytes[..4].try_into().map_or(0, u32::from_be_bytes);
                got.push((number, Instant::now()));
            }
        }
        got
    });
    let sent = sender.join().expect("it sent");
    let got = receiver.join().expect("it received");
    let took = |(number, at): (u32, Instant)| (number, at - sent[number as usize]);
    got.into_iter().map(took).collect()
}

/// Both find each other's MAC, and keep it.
fn lab_pin(
    _lab: &Lab,
    from: &UdpSocket,
    to: &UdpSocket,
    there: std::net::SocketAddr,
    back: std::net::SocketAddr,
) {
    let mut bytes = [0; 8];
    for _ in 0..100 {
        from.send_to(b"ping", there).expect("sends");
        to.set_read_timeout(Some(Duration::from_millis(100)))
            .expect("is not 0");
        if to.recv_from(&mut bytes).is_ok() {
            to.send_to(b"pong", back).expect("sends");
            break;
        }
    }
    while to.recv_from(&mut bytes).is_ok() {}
}

#[test]
fn a_delay_with_jitter_is_what_it_says() {
    once_of_three(a_delay_with_jitter);
}

fn a_delay_with_jitter() -> Result<(), String> {
    let mut lab = link();
    let line = Impairment {
        delay: Some(Duration::from_millis(80)),
        jitter: Some(Duration::from_millis(20)),
        ..Impairment::default()
    };
    assert_eq!(to_server(&mut lab, &line, ImpairBy::Relay), "relay");
    let got = datagrams(&lab, 300, Duration::from_millis(4));
    holds(got.len() == 300, got.len())?;
    let mut ms: Vec<f64> = got.iter().map(|(_, t)| t.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    let (least, median) = (ms[0], ms[ms.len() / 2]);
    println!("delay: from {least:.2} ms, median {median:.2} ms");
    assert!(least >= 60.0, "never early: {least}");
    // This program's threads may be late to read. The spread is measured on the
    // wire (tests/lines.rs).
    holds(least < 65.0, least)?;
    holds((74.0..90.0).contains(&median), median)?;
    let overtakes = got.windows(2).any(|w| w[0].0 > w[1].0);
    holds(overtakes, "none overtakes")
}

#[test]
fn loss_by_every_mechanism_is_within_its_interval() {
    const N: u32 = 3000;
    let line = Impairment {
        loss: Some(Loss {
            rate: 0.05,
            burst: None,
        }),
        ..Impairment::default()
    };
    for (by, name) in [
        (ImpairBy::Relay, "relay"),
        (ImpairBy::Nft, "nft"),
        (ImpairBy::Tc, "cls_bpf"),
    ] {
        once_of_three(|| {
            let mut lab = link();
            assert_eq!(to_server(&mut lab, &line, by), name);
            let got = datagrams(&lab, N, Duration::from_micros(300)).len() as u32;
            let lost = f64::from(N - got);
            println!("{name}: lost {lost} of {N}");
            // Five standard deviations: a false alarm in two million runs.
            let n = f64::from(N);
            let near = (lost - 0.05 * n).abs() < 5.0 * (n * 0.05 * 0.95).sqrt();
            holds(near, format!("{name}: {lost}"))
        });
    }
}

#[test]
fn a_rate_is_what_it_says() {
    for (by, name) in [(ImpairBy::Relay, "relay"), (ImpairBy::Tc, "tbf")] {
        let mut lab = link();
        let (mut client, mut server) = connected(&lab);
        let line = Impairment {
            rate: Some(8_000_000),
            ..Impairment::default()
        };
        assert_eq!(to_server(&mut lab, &line, by), name);
        const BYTES: usize = 1_000_000;
        let writer = std::thread::spawn(move || {
            client.write_all(&vec![7; BYTES]).expect("connected");
            client
        });
        let start = Instant::now();
        let mut got = vec![0; BYTES];
        server.read_exact(&mut got).expect("connected");
        let took = start.elapsed().as_secs_f64();
        drop(writer.join());
        // 1448 bytes of data in a frame of 1514.
        let expected = BYTES as f64 * 8.0 * (1514.0 / 1448.0) / 8e6;
        println!("{name}: {took:.3} s, {expected:.3} s expected");
        // Never faster, but for a full bucket; how exact it is on a machine
        // that is not busy with other tests tests/lines.rs measures.
        assert!(took / expected > 0.95, "{name}: {took}");
    }
}

#[test]
fn duplicates_and_what_overtakes_are_counted() {
    once_of_three(duplicates_and_what_overtakes);
}

fn duplicates_and_what_overtakes() -> Result<(), String> {
    let mut lab = link();
    let line = Impairment {
        delay: Some(Duration::from_millis(20)),
        reorder: Some(0.2),
        duplicate: Some(0.1),
        ..Impairment::default()
    };
    to_server(&mut lab, &line, ImpairBy::Relay);
    let got = datagrams(&lab, 1000, Duration::from_millis(1));
    let early = got.iter().filter(|(_, t)| t.as_millis() < 10).count();
    let copies = got.len().saturating_sub(1000);
    println!("{copies} duplicates, {early} of {} overtook", got.len());
    holds((60..=150).contains(&copies), format!("{copies} copies"))?;
    holds((150..=300).contains(&early), format!("{early} early"))
}

#[test]
fn a_flipped_bit_is_dropped_by_the_receiver() {
    once_of_three(|| {
        let mut lab = link();
        let line = Impairment {
            corrupt: Some(0.1),
            ..Impairment::default()
        };
        to_server(&mut lab, &line, ImpairBy::Relay);
        let got = datagrams(&lab, 500, Duration::from_millis(1)).len();
        println!("{got} of 500 arrived unharmed");
        holds((400..=485).contains(&got), got)
    });
}

#[test]
fn a_black_hole_swallows_what_is_large() {
    for (by, icmp) in [
        (ImpairBy::Nft, false),
        (ImpairBy::Tc, false),
        (ImpairBy::Relay, false),
        (ImpairBy::Relay, true),
    ] {
        let mut lab = link();
        let (mut client, mut server) = connected(&lab);
        let line = Impairment {
            mtu: Some(Mtu { size: 1400, icmp }),
            ..Impairment::default()
        };
        to_server(&mut lab, &line, by);
        let long = Duration::from_secs(20);
        server.set_read_timeout(Some(long)).expect("is not 0");
        client.write_all(b"small").expect("connected");
        let mut bytes = [0; 10_000];
        assert_eq!(server.read(&mut bytes).expect("passes"), 5);
        let limit = if icmp {
            long
        } else {
            Duration::from_millis(700)
        };
        server.set_read_timeout(Some(limit)).expect("is not 0");
        client
            .write_all(&[7; 10_000])
            .expect("goes into the send buffer");
        // The last segment of several is small, but waits for the others.
        assert_eq!(server.read(&mut bytes).is_ok(), icmp, "{by:?}");
    }
}

#[test]
fn what_is_under_way_when_a_line_is_healed_arrives() {
    let mut lab = link();
    let (mut client, mut server) = connected(&lab);
    let line = Impairment {
        // Below TCP_RTO_MIN: nothing is sent again meanwhile.
        delay: Some(Duration::from_millis(150)),
        ..Impairment::default()
    };
    let bad = lab.impair("client", None, Direction::Both, &line, ImpairBy::Relay);
    let (_, bad) = bad.expect("the lab can");
    let twice = lab.impair("client", None, Direction::To, &line, ImpairBy::Relay);
    assert!(matches!(twice, Err(LabError::Plan(_))));
    let start = Instant::now();
    client.write_all(b"x").expect("connected");
    std::thread::sleep(Duration::from_millis(20));
    lab.heal_impairment(&bad).expect("heals");
    let mut byte = [0];
    server.read_exact(&mut byte).expect("arrives");
    assert!(start.elapsed() >= Duration::from_millis(149));
    // One of many: the machine may be busy.
    let is_fast = (0..100).any(|_| {
        let start = Instant::now();
        server.write_all(b"y").expect("connected");
        client.read_exact(&mut byte).expect("arrives");
        start.elapsed() < Duration::from_millis(100)
    });
    assert!(is_fast, "the delay has not ended");
    assert!(lab.impairment_errors().is_empty());
}

#[test]
fn a_reboot_does_not_mend_a_line() {
    for by in [ImpairBy::Relay, ImpairBy::Tc] {
        let mut lab = link();
        let line = Impairment {
            rate: Some(80_000),
            ..Impairment::default()
        };
        let bad = lab.impair("client", None, Direction::Both, &line, by);
        bad.expect("the lab can");
        for host in ["server", "client"] {
            lab.crash(host).expect("is up");
            lab.host_up(host, true).expect("was down");
        }
        let start = Instant::now();
        let (mut client, mut server) = connected(&lab);
        client.write_all(&[7; 4000]).expect("connected");
        server.read_exact(&mut [0; 4000]).expect("arrives");
        // 4200 bytes take 420 ms; a token bucket has 1600 of them in stock.
        assert!(start.elapsed() >= Duration::from_millis(250), "{by:?}");
        assert!(lab.impairment_errors().is_empty());
    }
}

#[test]
fn netem_is_there_or_its_absence_has_a_cure() {
    let mut lab = link();
    let line = Impairment {
        delay: Some(Duration::from_millis(30)),
        ..Impairment::default()
    };
    let bad = lab.impair("client", None, Direction::From, &line, ImpairBy::Netem);
    match bad {
        Err(e @ LabError::Unsupported { .. }) => {
            let text = e.to_string();
            assert!(
                text.contains("CONFIG_NET_SCH_NETEM") && text.contains("--time virtual"),
                "{text}"
            );
        }
        other => {
            assert_eq!(other.expect("either way").1.mechanism, "netem");
            let got = datagrams(&lab, 20, Duration::from_millis(5));
            assert!(got.iter().all(|(_, t)| t.as_millis() >= 30));
        }
    }
}
