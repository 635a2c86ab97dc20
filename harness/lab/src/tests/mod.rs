//! Labs on this kernel, with the standard library's sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Lab, LabBuilder, LabError};
use halfopen_net::Family;

mod faults;
mod impair;
mod nat;

const BOTH: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Longer than what is waited for takes, on a busy machine, too.
const LONG: Duration = Duration::from_secs(20);

fn build(builder: LabBuilder) -> Lab {
    match builder.build() {
        Ok(lab) => lab,
        Err(e) => panic!("needs root or a user namespace (run it by ci/test): {e:?}"),
    }
}

fn link() -> LabBuilder {
    Lab::builder()
        .host("client")
        .host("server")
        .cable("client", "server")
}

fn routed() -> LabBuilder {
    let nodes = Lab::builder()
        .host("client")
        .router("router")
        .host("server");
    nodes.cable("client", "router").cable("router", "server")
}

fn listen(lab: &Lab, host: &str, family: Family) -> (TcpListener, SocketAddr) {
    let address = SocketAddr::new(lab.address(host, family).expect("has one"), 7000);
    let listener = lab
        .enter(host, || TcpListener::bind(address))
        .expect("is up");
    (listener.expect("an address of this host"), address)
}

/// A connection from `from` to `to`, made by its first SYN: both of its ends.
fn connect(lab: &Lab, from: &str, to: &str, family: Family) -> (TcpStream, TcpStream) {
    let (listener, address) = listen(lab, to, family);
    let connect = || {
        let before = syns_sent_again();
        let client = TcpStream::connect_timeout(&address, LONG);
        (client, syns_sent_again() - before)
    };
    let (client, again) = lab.enter(from, connect).expect("is up");
    let client = client.unwrap_or_else(|e| panic!("{from} to {to}, {family:?}: {e}"));
    assert_eq!(again, 0, "{from} to {to}, {family:?}: a SYN was lost");
    let (server, _) = listener
        .accept()
        .expect("the connection that was just made");
    (client, server)
}

/// How many SYNs the calling thread's network namespace has sent again
/// (LINUX_MIB_TCPSYNRETRANS), from /proc/net/netstat: a line of names, then one of
/// values.
pub(crate) fn syns_sent_again() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/netstat").expect("proc is mounted");
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next(), lines.next());
    let (names, values) = (names.expect("names"), values.expect("values"));
    let mut counters = names.split(' ').zip(values.split(' '));
    let found = counters.find(|(name, _)| *name == "TCPSynRetrans");
    let (_, value) = found.unwrap_or_else(|| panic!("no TCPSynRetrans in {names}"));
    value.parse().expect("a number")
}

/// The errno of a read that waits at most this long; None when it read.
fn read_errno(stream: &mut TcpStream, limit: Duration) -> Option<i32> {
    stream
        .set_read_timeout(Some(limit))
        .expect("a limit above zero");
    stream
        .read(&mut [0; 64])
        .err()
        .map(|e| e.raw_os_error().expect("from the kernel"))
}

fn exchange(from: &mut TcpStream, to: &mut TcpStream) -> std::io::Result<()> {
    from.write_all(b"x")?;
    to.set_read_timeout(Some(LONG))?;
    match to.read(&mut [0; 64])? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// For what does not come.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn link_connects_at_once_in_both_families() {
    let lab = build(link().families(&BOTH));
    for family in BOTH {
        connect(&lab, "client", "server", family);
        connect(&lab, "server", "client", family);
    }
}

#[test]
fn first_packet_of_many_labs_arrives() {
    for _ in 0..20 {
        connect(&build(link()), "client", "server", Family::Ipv4);
    }
}

#[test]
fn lan_connects_at_once_in_both_families() {
    let hosts = ["a", "b", "c", "d"];
    for _ in 0..3 {
        let mut builder = Lab::builder().switch("switch");
        for host in hosts {
            builder = builder.host(host).cable(host, "switch");
        }
        let lab = build(builder.families(&BOTH));
        for pair in [["a", "b"], ["c", "d"], ["d", "a"]] {
            for family in BOTH {
                connect(&lab, pair[0], pair[1], family);
            }
        }
    }
}

#[test]
fn routed_network_connects_at_once_in_both_families() {
    let lab = build(routed().families(&BOTH));
    for family in BOTH {
        connect(&lab, "client", "server", family);
    }
    let ports = lab.ports();
    let seen: Vec<(&str, &str, &str)> = ports
        .iter()
        .map(|p| (p.cable.as_str(), &*p.node, &*p.peer_node))
        .collect();
    assert_eq!(
        seen,
        [
            ("client-router", "client", "router"),
            ("client-router", "router", "client"),
            ("router-server", "router", "server"),
            ("router-server", "server", "router"),
        ]
    );
}

#[test]
fn families_that_are_not_wanted_are_off() {
    let lab = build(link());
    let off = lab
        .sysctl("client", "net.ipv6.conf.eth0.disable_ipv6")
        .expect("has IPv6");
    assert_eq!(off, "1");
    assert!(lab.address("client", Family::Ipv6).is_err());
}

#[test]
fn sysctls_are_pinned_set_and_kept_over_a_reboot() {
    let key = "net.ipv4.tcp_retries2";
    let neighbour = "net.ipv4.neigh.default.mcast_solicit";
    let mut lab = build(
        link()
            .sysctl("client", key, "4")
            .sysctl("client", neighbour, "1"),
    );
    let get = |lab: &Lab, host: &str, key: &str| lab.sysctl(host, key).expect("this kernel has it");
    for (name, value) in lab.pinned("server").expect("known") {
        assert_eq!(get(&lab, "server", &name), value, "{name}");
    }
    assert_eq!(get(&lab, "client", key), "4");
    assert_eq!(get(&lab, "client", neighbour), "1");
    lab.set_sysctl("client", key, "5")
        .expect("this kernel has it");
    lab.crash("client").expect("is up");
    lab.host_up("client", true).expect("was down");
    assert_eq!(get(&lab, "client", key), "5");
    assert_eq!(lab.pinned("client").expect("known")[neighbour], "1");
}

#[test]
fn unknown_sysctls_and_hosts_are_errors() {
    let unknown = link().sysctl("client", "net.ipv4.tcp_bogus", "1").build();
    match unknown.err() {
        Some(LabError::Unsupported { what, .. }) => assert!(what.contains("tcp_bogus"), "{what}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        link()
            .sysctl("client", "kernel.hostname", "x")
            .build()
            .err(),
        Some(LabError::Plan(_))
    ));
    let mut lab = build(link());
    assert!(matches!(lab.crash("nobody"), Err(LabError::Unknown { .. })));
    assert!(matches!(
        lab.silence("nobody"),
        Err(LabError::Unknown { .. })
    ));
}

#[test]
fn a_lab_can_be_handed_to_another_thread() {
    let lab = build(link());
    let handed = std::thread::spawn(move || {
        connect(&lab, "client", "server", Family::Ipv4);
    });
    handed.join().expect("no panic");
}
