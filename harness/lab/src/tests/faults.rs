//! What faults do to a connection, and that they can be undone.

use std::io::Write;
use std::net::TcpStream;

use super::{BOTH, LONG, SHORT, build, connect, exchange, link, listen, read_errno, routed};
use crate::{Lab, LabError};
use halfopen_net::{Carrier, Direction, Family, InterfaceChange, NeighbourChange, RouteChange};

#[test]
fn crash_is_silent_and_reboot_resets() {
    let mut lab = build(link());
    let (mut client, server) = connect(&lab, "client", "server", Family::Ipv4);
    let macs = lab.interfaces("server").expect("known");
    let port = lab.ports()[1].clone();

    let mut server = server;
    let took = lab.crash("server").expect("is up");
    // It has ended, though nobody has dropped it.
    assert_eq!(read_errno(&mut server, SHORT), Some(libc::ECONNABORTED));
    assert!(took.asked_ns < took.effective_ns);
    client.write_all(b"x").expect("goes into the send buffer");
    assert_eq!(
        read_errno(&mut client, SHORT),
        Some(libc::EAGAIN),
        "no FIN and no RST"
    );
    assert!(matches!(
        lab.namespace("server"),
        Err(LabError::Down { .. })
    ));
    assert_eq!(lab.ports().len(), 1);

    lab.host_up("server", true).expect("was down");
    assert_eq!(lab.interfaces("server").expect("known"), macs);
    let again = lab.ports()[1].clone();
    assert_eq!(again.name, port.name);
    assert_ne!(again.ifindex, port.ifindex);
    // A retransmission of what was written reaches the new machine.
    assert_eq!(read_errno(&mut client, LONG), Some(libc::ECONNRESET));
    connect(&lab, "client", "server", Family::Ipv4);
}

#[test]
fn replacement_machine_has_another_mac() {
    let mut lab = build(link());
    let macs = lab.interfaces("server").expect("known");
    lab.crash("server").expect("is up");
    lab.host_up("server", false).expect("was down");
    let others = lab.interfaces("server").expect("known");
    assert_ne!(others, macs);
    let (_, mac) = &others[0];
    connect(&lab, "client", "server", Family::Ipv4);
    let arp = lab
        .enter("client", || {
            std::fs::read_to_string("/proc/thread-self/net/arp")
        })
        .expect("is up")
        .expect("proc is mounted");
    let mac = mac.map(|b| format!("{b:02x}")).join(":");
    assert!(arp.contains(&mac), "{mac} in:\n{arp}");
}

#[test]
fn host_behind_a_switch_and_router_and_switch_reboot() {
    let mut builder = Lab::builder().switch("switch").host("client").host("other");
    builder = builder
        .router("router")
        .host("server")
        .cable("router", "server");
    for node in ["client", "other", "router"] {
        builder = builder.cable(node, "switch");
    }
    let mut lab = build(builder.families(&BOTH));
    for node in ["other", "router", "switch"] {
        lab.crash(node).expect("is up");
        lab.host_up(node, true).expect("was down");
        for family in BOTH {
            connect(&lab, "client", "server", family);
            connect(&lab, "other", "client", family);
            connect(&lab, "server", "other", family);
        }
    }
}

#[test]
fn cut_and_mended_cable() {
    let mut lab = build(link());
    for carrier in [Carrier::Kept, Carrier::Lost] {
        for direction in [Direction::Both, Direction::From, Direction::To] {
            let (mut client, mut server) = connect(&lab, "client", "server", Family::Ipv4);
            lab.cut("client", None, direction, carrier)
                .expect("has one cable");
            client.write_all(b"x").expect("goes into the send buffer");
            let arrives = direction == Direction::To && carrier == Carrier::Kept;
            let expected = if arrives { None } else { Some(libc::EAGAIN) };
            let limit = if arrives { LONG } else { SHORT };
            let got = read_errno(&mut server, limit);
            assert_eq!(got, expected, "{direction:?} {carrier:?}");
            lab.mend("client", Some("server")).expect("has one cable");
            if !arrives {
                assert_eq!(read_errno(&mut server, LONG), None);
            }
            exchange(&mut server, &mut client).expect("mended");
        }
    }
}

#[test]
fn routes_change_and_come_back() {
    let mut lab = build(routed().families(&BOTH));
    let cases = [
        (RouteChange::Removed, libc::ENETUNREACH, libc::ENETUNREACH),
        (
            RouteChange::Unreachable,
            libc::EHOSTUNREACH,
            libc::EHOSTUNREACH,
        ),
        (RouteChange::Prohibit, libc::EACCES, libc::EACCES),
        (RouteChange::Blackhole, libc::EINVAL, libc::EINVAL),
    ];
    for family in BOTH {
        let (_listener, address) = listen(&lab, "server", family);
        for (change, v4, v6) in cases {
            for to in [None, Some("server")] {
                lab.route("client", change, to, family).expect("has routes");
                let errno = lab
                    .enter("client", || TcpStream::connect_timeout(&address, LONG))
                    .expect("is up")
                    .err()
                    .and_then(|e| e.raw_os_error());
                let expected = if family == Family::Ipv4 { v4 } else { v6 };
                assert_eq!(errno, Some(expected), "{family:?} {change:?} {to:?}");
                lab.restore_routes("client").expect("is up");
                let again = lab.enter("client", || TcpStream::connect_timeout(&address, LONG));
                again
                    .expect("is up")
                    .unwrap_or_else(|e| panic!("{family:?} {change:?}: {e}"));
            }
        }
    }
}

#[test]
fn addresses_and_interfaces_go_and_come_back() {
    let mut lab = build(routed().families(&BOTH));
    for family in BOTH {
        lab.remove_addresses("client", family).expect("is up");
        let (_listener, address) = listen(&lab, "server", family);
        let gone = lab.enter("client", || TcpStream::connect_timeout(&address, SHORT));
        assert!(gone.expect("is up").is_err(), "{family:?}");
        lab.restore_addresses("client").expect("is up");
    }
    for family in BOTH {
        connect(&lab, "client", "server", family);
    }
    for change in [InterfaceChange::Down, InterfaceChange::Deleted] {
        lab.interface("client", change).expect("is up");
        lab.restore_interface("client").expect("is up");
        for family in BOTH {
            connect(&lab, "client", "server", family);
        }
    }
}

#[test]
fn neighbours_are_pinned_and_flushed() {
    let mut lab = build(link().families(&BOTH));
    let arp = |lab: &Lab| {
        lab.enter("client", || {
            std::fs::read_to_string("/proc/thread-self/net/arp")
        })
        .expect("is up")
        .expect("proc is mounted")
    };
    lab.neighbour("client", NeighbourChange::Pinned)
        .expect("is up");
    // Flag 0x6: complete and permanent.
    assert!(arp(&lab).contains("0x6"), "{}", arp(&lab));
    for family in BOTH {
        connect(&lab, "client", "server", family);
    }
    lab.restore_neighbours("client").expect("is up");
    assert!(!arp(&lab).contains("10.77.1.2"), "{}", arp(&lab));
    connect(&lab, "client", "server", Family::Ipv4);
    lab.neighbour("client", NeighbourChange::Flushed)
        .expect("is up");
    assert!(!arp(&lab).contains("10.77.1.2"), "{}", arp(&lab));
}
