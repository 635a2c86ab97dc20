//! Ports: joining, blocking, joining again.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use super::super::{Action, Filter, Hook, Match, PortRef};
use super::lab::{ADDRESSES, IPV4, IPV6, Lab, PORT, SOON, delete, host_veth, namespace, port};
use crate::error::LabError;
use crate::tests::syns_sent_again;

#[test]
fn joined_ports_pass_tcp_at_once() {
    let mut lab = Lab::unjoined();
    let listeners = [lab.listener(IPV4), lab.listener(IPV6)];
    lab.filter.join(&[(&lab.pa, &lab.pb)]).expect("joins");
    for (family, listener) in listeners.iter().enumerate() {
        let mut client = lab
            .connect(family, PORT, SOON)
            .unwrap_or_else(|e| panic!("{}: {e}", ADDRESSES[family][1]));
        // The first SYN passes.
        assert_eq!(lab.a.enter(syns_sent_again).expect("enters"), 0);
        let (mut server, peer) = listener.accept().expect("accepts");
        assert_eq!(peer.ip().to_string(), ADDRESSES[family][0]);
        client.write_all(b"hello").expect("writes");
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).expect("reads");
        assert_eq!(&bytes, b"hello");
    }
}

#[test]
fn blocked_ports_are_silent_both_ways() {
    let mut lab = Lab::joined();
    let listener = lab.listener(IPV4);
    let mut client = lab.connect(IPV4, PORT, SOON).expect("connects");
    let (mut server, _) = listener.accept().expect("accepts");
    for socket in [&client, &server] {
        socket
            .set_read_timeout(Some(Duration::from_millis(300)))
            .expect("is not 0");
    }
    lab.filter
        .block(&[("pa", true), ("pb", true)])
        .expect("blocks");
    client
        .write_all(b"from client")
        .expect("the send buffer takes it");
    server
        .write_all(b"from server")
        .expect("the send buffer takes it");
    let mut bytes = [0; 11];
    for socket in [&mut client, &mut server] {
        let read = socket.read(&mut bytes).map_err(|e| e.kind());
        assert_eq!(read, Err(ErrorKind::WouldBlock));
        assert!(socket.take_error().expect("is a socket").is_none());
    }
    // Nothing comes back for a SYN, not even for a port where nobody listens.
    for to in [PORT, PORT + 1] {
        let refused = lab
            .connect(IPV4, to, Duration::from_millis(300))
            .map_err(|e| e.kind());
        assert_eq!(refused.err(), Some(ErrorKind::TimedOut));
    }

    lab.filter
        .block(&[("pa", false), ("pb", false)])
        .expect("unblocks");
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(SOON)).expect("is not 0");
    }
    server.read_exact(&mut bytes).expect("is retransmitted");
    assert_eq!(&bytes, b"from client");
    client.read_exact(&mut bytes).expect("is retransmitted");
    assert_eq!(&bytes, b"from server");
}

#[test]
fn one_way_block_lets_the_other_way_pass() {
    let mut lab = Lab::joined();
    let all = Match {
        src: ADDRESSES[IPV4][0].parse().ok(),
        ..Match::default()
    };
    assert_eq!(lab.datagrams(8).len(), 8);
    lab.filter.block(&[("pb", true)]).expect("blocks");
    let seen = lab
        .filter
        .add(Hook::Port("pa".into()), &all, Action::Drop)
        .expect("adds");
    lab.filter.remove(seen).expect("removes");
    assert_eq!(lab.datagrams(8).len(), 8);
    lab.filter
        .block(&[("pb", false), ("pa", true)])
        .expect("blocks");
    assert_eq!(lab.datagrams(8).len(), 0);
}

#[test]
fn a_device_made_anew_takes_its_place() {
    let mut lab = Lab::joined();
    let _listener = lab.listener(IPV4);
    let syn = Match {
        tcp_flags_set: 0x02,
        tcp_flags_clear: 0x10,
        ..Match::default()
    };
    lab.connect(IPV4, PORT, SOON).expect("connects");
    for round in 0..3 {
        delete(&lab.a, "a");
        // The far end is gone; its rules and its blockade are not.
        lab.filter
            .block(&[("pa", true)])
            .expect("blocks a port without its device");
        let rule = lab
            .filter
            .add(Hook::Port("pa".into()), &syn, Action::Drop)
            .expect("adds");
        host_veth((&lab.a, "a"), (&lab.wire, "pa"), 0);
        lab.pa = port(&lab.wire, "pa");
        lab.filter.join(&[(&lab.pa, &lab.pb)]).expect("joins again");
        let blocked = lab.connect(IPV4, PORT, Duration::from_millis(100));
        assert_eq!(
            blocked.map_err(|e| e.kind()).err(),
            Some(ErrorKind::TimedOut)
        );
        assert_eq!(
            lab.filter.packets(rule).expect("counts"),
            0,
            "the block comes first"
        );
        lab.filter.block(&[("pa", false)]).expect("unblocks");
        // The SYN waits for the next ARP request, a second after the last.
        let mut tries = 0..10;
        while lab.filter.packets(rule).expect("counts") == 0 {
            assert!(tries.next().is_some(), "round {round}: no SYN was dropped");
            let dropped = lab.connect(IPV4, PORT, Duration::from_millis(1500));
            assert_eq!(
                dropped.map_err(|e| e.kind()).err(),
                Some(ErrorKind::TimedOut)
            );
        }
        lab.filter.remove(rule).expect("removes");
        // The peer's neighbour entry may be of the old device.
        lab.connect(IPV4, PORT, SOON)
            .unwrap_or_else(|e| panic!("round {round}: {e}"));
    }
}

#[test]
fn joining_twice_changes_nothing() {
    let mut lab = Lab::joined();
    lab.filter.join(&[(&lab.pa, &lab.pb)]).expect("joins again");
    assert_eq!(lab.datagrams(20), (0..20).collect::<Vec<_>>());
}

#[test]
fn what_is_not_there_is_named() {
    let mut lab = Lab::joined();
    let Err(LabError::Unknown { name, known, .. }) = lab.filter.block(&[("px", true)]) else {
        panic!("there is no px");
    };
    assert_eq!(
        (name.as_str(), known),
        ("px", vec!["pa".to_owned(), "pb".to_owned()])
    );
    let rule = lab
        .filter
        .add(Hook::Port("pa".into()), &Match::default(), Action::Drop)
        .expect("adds");
    lab.filter.remove(rule).expect("removes");
    assert!(matches!(
        lab.filter.remove(rule),
        Err(LabError::Unknown { .. })
    ));
    assert!(matches!(
        lab.filter.packets(rule),
        Err(LabError::Unknown { .. })
    ));
}

#[test]
fn a_failed_join_leaves_the_filter_as_it_was() {
    let mut lab = Lab::joined();
    let long = PortRef {
        name: "a-name-longer-than-any-device's".into(),
        ifindex: 1,
    };
    assert!(lab.filter.join(&[(&long, &lab.pb)]).is_err());
    assert!(matches!(
        lab.filter.block(&[(&long.name, true)]),
        Err(LabError::Unknown { .. })
    ));
    assert_eq!(lab.datagrams(4).len(), 4);
}

#[test]
fn a_second_filter_is_found_out() {
    let ns = namespace("twice");
    let rule = Match {
        tcp: true,
        ..Match::default()
    };
    let mut first = Filter::open(&ns).expect("opens");
    first.add(Hook::Input, &rule, Action::Drop).expect("adds");
    let mut second = Filter::open(&ns).expect("opens");
    let Err(LabError::Netlink { what, source }) = second.add(Hook::Input, &rule, Action::Drop)
    else {
        panic!("its rule-0 is there already");
    };
    assert_eq!(what, "make nftables chain rule-0");
    assert!(source.to_string().contains("File exists"), "{source}");
}
