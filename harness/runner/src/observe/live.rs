//! Capture and netstat on a real wire: two hosts, two veth pairs, joined in a
//! third namespace.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlink_packet_route::tc::TcHandle;
use rtnetlink::{LinkUnspec, LinkVeth, new_connection};

use super::netstat::Sockets;
use halfopen_lab::Namespace;
use halfopen_lab::capture::Capture;
use halfopen_sys::clock::monotonic_ns;
use halfopen_wire::{Frame, Packet, PortInfo, WireRecord, wire_record};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

struct Wire {
    client: Namespace,
    server: Namespace,
    wire: Namespace,
    ports: Vec<PortInfo>,
}

fn create(name: &str) -> Namespace {
    Namespace::create(name).unwrap_or_else(|e| {
        panic!("this test needs root or a user namespace, run it by ci/test: {e}")
    })
}

/// Runs `work` on a runtime of this thread inside `ns`, with a netlink socket
/// there.
fn netlink<R, F: Future<Output = Result<R, rtnetlink::Error>>>(
    ns: &Namespace,
    work: impl FnOnce(rtnetlink::Handle) -> F,
) -> R {
    ns.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime needs only descriptors");
        runtime.block_on(async {
            let (connection, handle, _) = new_connection().expect("netlink is always there");
            let connection = tokio::spawn(connection);
            let result = work(handle).await.expect("the kernel takes the request");
            connection.abort();
            result
        })
    })
    .expect("may enter a namespace it made")
}

fn index(ns: &Namespace, name: &str) -> u32 {
    ns.enter(|| nix::net::if_::if_nametoindex(name))
        .expect("may enter a namespace it made")
        .expect("the interface was just made")
}

fn host(wire: &Namespace, name: &str, port: &str, address: Ipv4Addr) -> Namespace {
    let host = create(name);
    netlink(wire, async |handle| {
        handle
            .link()
            .add(LinkVeth::new(port, "eth0").up().build())
            .execute()
            .await
    });
    let peer = index(wire, "eth0");
    netlink(wire, async |handle| {
        use std::os::fd::AsRawFd;
        handle
            .link()
            .set(
                LinkUnspec::new_with_index(peer)
                    .setns_by_fd(host.as_fd().as_raw_fd())
                    .build(),
            )
            .execute()
            .await
    });
    let eth0 = index(&host, "eth0");
    netlink(&host, async |handle| {
        handle
            .link()
            .set(LinkUnspec::new_with_index(eth0).up().build())
            .execute()
            .await?;
        handle
            .address()
            .add(eth0, IpAddr::V4(address), 24)
            .execute()
            .await
    });
    host
}

fn wire() -> Wire {
    let wire = create("wire");
    let client = host(&wire, "client", "to-client", CLIENT);
    let server = host(&wire, "server", "to-server", SERVER);
    let (a, b) = (index(&wire, "to-client"), index(&wire, "to-server"));
    netlink(&wire, async |handle| {
        for (from, to) in [(a, b), (b, a)] {
            handle.qdisc().add(from as i32).ingress().execute().await?;
            handle
                .traffic_filter(from as i32)
                .add()
                .parent(TcHandle::from(0xffff_0000).into())
                .priority(1)
                .protocol(0x0003_u16.to_be())
                .redirect(to)?
                .execute()
                .await?;
        }
        Ok(())
    });
    let port = |ifindex, node: &str, other: &str| PortInfo {
        ifindex,
        cable: "client-server".into(),
        node: node.into(),
        other: other.into(),
    };
    Wire {
        client,
        server,
        wire,
        ports: vec![port(a, "client", "server"), port(b, "server", "client")],
    }
}

impl Wire {
    fn record(&self, frames: &[Frame], t0_ns: i64, lost: u64) -> WireRecord {
        let node_of = BTreeMap::from([
            (IpAddr::V4(CLIENT), "client".to_owned()),
            (IpAddr::V4(SERVER), "server".to_owned()),
        ]);
        wire_record(frames, &self.ports, &node_of, t0_ns, lost)
    }
}

fn keepalive_after_a_second(socket: &TcpStream) {
    let socket = socket2::SockRef::from(socket);
    let second = Duration::from_secs(1);
    socket
        .set_tcp_keepalive(
            &socket2::TcpKeepalive::new()
                .with_time(second)
                .with_interval(second),
        )
        .expect("1 s is in range");
}

fn of_kind<'a>(record: &'a WireRecord, kind: &str) -> Vec<&'a Packet> {
    record.packets.iter().filter(|p| p.kind == kind).collect()
}

#[test]
fn an_exchange_is_seen_on_the_wire_and_in_the_tables() {
    let lab = wire();
    let t0 = monotonic_ns();
    let mut capture = Capture::open(&lab.wire).expect("may capture in a namespace it made");
    let mut frames = Vec::new();

    let address = SocketAddr::from((SERVER, 7));
    let listener = lab
        .server
        .enter(|| TcpListener::bind(address))
        .expect("may enter")
        .expect("nobody else listens there");
    let mut client = lab
        .client
        .enter(|| TcpStream::connect(address))
        .expect("may enter")
        .expect("the wire carries it");
    let (mut served, _) = listener.accept().expect("it is connected");
    keepalive_after_a_second(&client);
    client.write_all(b"hello").expect("connected");
    let mut bytes = [0; 5];
    served.read_exact(&mut bytes).expect("connected");
    let exchanged = monotonic_ns();

    let mut sockets = Sockets::open(&lab.client).expect("sock_diag is there");
    let now = sockets.dump("client").expect("may list");
    assert_eq!(now.len(), 1, "{now:?}");
    assert_eq!(now[0].state, "ESTABLISHED");
    assert_eq!(now[0].timer, "keepalive");
    assert!(now[0].timer_ms <= 1_000 && now[0].owned, "{now:?}");
    assert_eq!(now[0].peer, "10.9.0.2:7");

    std::thread::sleep(Duration::from_millis(1_500));
    capture.drain(&mut frames).expect("may read");
    drop(client);
    let mut end = Vec::new();
    served.read_to_end(&mut end).expect("a FIN came");
    let mut sockets = Sockets::open(&lab.server).expect("sock_diag is there");
    let now = sockets.dump("server").expect("may list");
    let states: Vec<&str> = now.iter().map(|s| s.state.as_str()).collect();
    assert_eq!(states, ["LISTEN", "CLOSE_WAIT"]);
    drop(served);
    std::thread::sleep(Duration::from_millis(50));
    capture.drain(&mut frames).expect("may read");

    let record = lab.record(&frames, t0, capture.lost());
    let shown = || format!("{record:#?}");
    assert_eq!(record.lost_by_capture, 0);
    for (kind, number) in [
        ("SYN", 1),
        ("SYN+ACK", 1),
        ("data", 1),
        ("keepalive-probe", 1),
        ("keepalive-ack", 1),
        ("FIN", 2),
    ] {
        assert_eq!(of_kind(&record, kind).len(), number, "{kind}: {}", shown());
    }
    let data = of_kind(&record, "data")[0];
    assert_eq!(
        (data.flags.as_str(), data.seq, data.len),
        ("PA", Some(1), 5)
    );
    assert!(
        data.sent_ns > 0 && data.sent_ns < exchanged - t0,
        "{}",
        shown()
    );
    let probe = of_kind(&record, "keepalive-probe")[0];
    assert_eq!(
        (probe.from.as_str(), probe.seq, probe.len),
        ("client", Some(5), 0)
    );
    let after = probe.sent_ns - data.sent_ns;
    assert!((1_000_000_000..1_200_000_000).contains(&after), "{after}");
    assert_eq!(record.counts.retransmissions, 0, "{}", shown());
    assert_eq!(record.counts.keepalive_probes, 1);
    for packet in &record.packets {
        let delivered = packet
            .delivered_ns
            .unwrap_or_else(|| panic!("lost: {packet:?}"));
        assert!(delivered >= packet.sent_ns, "{packet:?}");
    }
}

/// Frames of 64 KiB pass a veth whole: their bytes must be counted correctly. And
/// destroying a socket shows at both ends.
#[test]
fn a_bulk_transfer_is_counted_and_a_destroyed_socket_is_gone() {
    let lab = wire();
    let t0 = monotonic_ns();
    let mut capture = Capture::open(&lab.wire).expect("may capture in a namespace it made");
    let address = SocketAddr::from((SERVER, 7));
    let listener = lab
        .server
        .enter(|| TcpListener::bind(address))
        .expect("may enter")
        .expect("nobody else listens there");
    let mut client = lab
        .client
        .enter(|| TcpStream::connect(address))
        .expect("may enter")
        .expect("the wire carries it");
    let (mut served, _) = listener.accept().expect("it is connected");
    const BULK: usize = 1 << 20;
    let writer = std::thread::spawn(move || {
        client.write_all(&vec![7; BULK]).expect("connected");
        client
    });
    let mut got = vec![0; BULK];
    served.read_exact(&mut got).expect("connected");
    let mut client = writer.join().expect("it wrote");

    let mut sockets = Sockets::open(&lab.client).expect("sock_diag is there");
    assert_eq!(sockets.destroy_all().expect("root may"), 1);
    let error = client.read(&mut got).expect_err("it was destroyed");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNABORTED));
    let error = served.read(&mut got).expect_err("it was reset");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    assert_eq!(sockets.dump("client").expect("may list"), []);

    let mut frames = Vec::new();
    capture.drain(&mut frames).expect("may read");
    let record = lab.record(&frames, t0, capture.lost());
    assert_eq!(record.lost_by_capture, 0);
    let data = of_kind(&record, "data");
    let sum: u32 = data
        .iter()
        .filter(|p| !p.retransmission)
        .map(|p| p.len)
        .sum();
    assert_eq!(sum, BULK as u32);
    assert!(
        data.iter().any(|p| p.len > 1_460),
        "no frame was larger than the MTU"
    );
    assert!(data.iter().all(|p| p.delivered_ns.is_some()));
    assert_eq!(record.counts.rst, 1);
}

/// Measures how long it takes to list a host's sockets.
#[test]
fn a_dump_takes_less_than_some_milliseconds() {
    let ns = create("idle");
    let mut sockets = Sockets::open(&ns).expect("sock_diag is there");
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        assert_eq!(sockets.dump("idle").expect("may list"), []);
        best = best.min(start.elapsed());
    }
    println!("one dump: {best:?}");
    assert!(best < Duration::from_millis(20), "{best:?}");
}
