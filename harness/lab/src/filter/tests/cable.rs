//! Drop rules on a cable: by flag, port, count, probability.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use super::super::{Action, Hook, Match, tcp_flag};
use super::lab::{ADDRESSES, IPV4, IPV6, Lab, PORT, SOON, listen};

fn flags(set: &[&str], clear: &[&str]) -> Match {
    let bits = |names: &[&str]| {
        names
            .iter()
            .filter_map(|n| tcp_flag(n))
            .fold(0, |a, b| a | b)
    };
    Match {
        tcp_flags_set: bits(set),
        tcp_flags_clear: bits(clear),
        ..Match::default()
    }
}

fn from_a() -> Hook {
    Hook::Port("pa".into())
}

fn from_b() -> Hook {
    Hook::Port("pb".into())
}

#[test]
fn only_the_syn_is_dropped() {
    let mut lab = Lab::joined();
    for family in [IPV4, IPV6] {
        let listener = lab.listener(family);
        let mut early = lab.connect(family, PORT, SOON).expect("connects");
        let (server, _) = listener.accept().expect("accepts");
        let rule = lab
            .filter
            .add(from_a(), &flags(&["SYN"], &["ACK"]), Action::Drop)
            .expect("adds");
        let late = lab.connect(family, PORT, Duration::from_millis(300));
        assert_eq!(late.map_err(|e| e.kind()).err(), Some(ErrorKind::TimedOut));
        assert!(lab.filter.packets(rule).expect("counts") > 0);
        early.write_all(b"x").expect("writes");
        server.set_read_timeout(Some(SOON)).expect("is not 0");
        assert_eq!(server.peek(&mut [0]).expect("data passes"), 1);
        lab.filter.remove(rule).expect("removes");
        lab.connect(family, PORT, SOON).expect("connects again");
    }
}

#[test]
fn only_the_ack_of_the_handshake_is_dropped() {
    let mut lab = Lab::joined();
    let listener = lab.listener(IPV4);
    listener
        .set_nonblocking(true)
        .expect("a socket can be non-blocking");
    // Each of them: the SYN and ACK is sent again, and acknowledged again.
    let ack = flags(&["ACK"], &["SYN", "PSH", "FIN", "RST"]);
    let rule = lab.filter.add(from_a(), &ack, Action::Drop).expect("adds");
    let mut client = lab
        .connect(IPV4, PORT, SOON)
        .expect("the client is connected");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        listener.accept().map_err(|e| e.kind()).err(),
        Some(ErrorKind::WouldBlock)
    );
    assert!(lab.filter.packets(rule).expect("counts") > 0);
    // Data carries the acknowledgment, too.
    client.write_all(b"x").expect("writes");
    listener
        .set_nonblocking(false)
        .expect("a socket can be blocking");
    listener.accept().expect("the server is connected");
}

#[test]
fn only_the_rst_is_dropped() {
    let mut lab = Lab::joined();
    let rule = lab
        .filter
        .add(from_b(), &flags(&["RST"], &[]), Action::Drop)
        .expect("adds");
    let silent = lab.connect(IPV4, PORT, Duration::from_millis(300));
    assert_eq!(
        silent.map_err(|e| e.kind()).err(),
        Some(ErrorKind::TimedOut)
    );
    assert!(lab.filter.packets(rule).expect("counts") > 0);
    lab.filter.remove(rule).expect("removes");
    let refused = lab.connect(IPV4, PORT, SOON);
    assert_eq!(
        refused.map_err(|e| e.kind()).err(),
        Some(ErrorKind::ConnectionRefused)
    );
}

#[test]
fn only_the_port_and_the_address_are_dropped() {
    let mut lab = Lab::joined();
    for family in [IPV4, IPV6] {
        let _listener = lab.listener(family);
        let exactly = |dst: &str, dport| Match {
            src: ADDRESSES[family][0].parse().ok(),
            dst: dst.parse().ok(),
            dport: Some(dport),
            ..Match::default()
        };
        let there = ADDRESSES[family][1];
        let elsewhere = ["10.9.0.3", "fd09::3"][family];
        for other in [exactly(there, PORT + 1), exactly(elsewhere, PORT)] {
            let rule = lab
                .filter
                .add(from_a(), &other, Action::Drop)
                .expect("adds");
            lab.connect(family, PORT, SOON).expect("is not meant");
            assert_eq!(lab.filter.packets(rule).expect("counts"), 0);
            lab.filter.remove(rule).expect("removes");
        }
        let rule = lab
            .filter
            .add(from_a(), &exactly(there, PORT), Action::Drop)
            .expect("adds");
        let dropped = lab.connect(family, PORT, Duration::from_millis(300));
        assert_eq!(
            dropped.map_err(|e| e.kind()).err(),
            Some(ErrorKind::TimedOut)
        );
        lab.filter.remove(rule).expect("removes");
    }
}

#[test]
fn a_lost_syn_costs_a_second() {
    let mut lab = Lab::joined();
    let _listener = lab.listener(IPV4);
    let first = Match {
        count: Some(1),
        ..flags(&["SYN"], &["ACK"])
    };
    let rule = lab
        .filter
        .add(from_a(), &first, Action::Drop)
        .expect("adds");
    let start = Instant::now();
    lab.connect(IPV4, PORT, SOON)
        .expect("the second SYN passes");
    assert!(
        start.elapsed() >= Duration::from_millis(900),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(lab.filter.packets(rule).expect("counts"), 1);
}

#[test]
fn count_is_exact() {
    let mut lab = Lab::joined();
    for count in [0, 1, 7, 100] {
        let first = Match {
            dst: ADDRESSES[IPV4][1].parse().ok(),
            count: Some(count),
            ..Match::default()
        };
        let rule = lab
            .filter
            .add(from_a(), &first, Action::Drop)
            .expect("adds");
        assert_eq!(lab.datagrams(130), (count..130).collect::<Vec<_>>());
        assert_eq!(lab.filter.packets(rule).expect("counts"), u64::from(count));
        lab.filter.remove(rule).expect("removes");
    }
}

#[test]
fn count_survives_changes_of_other_rules() {
    let mut lab = Lab::joined();
    let first = Match {
        dst: ADDRESSES[IPV4][1].parse().ok(),
        count: Some(5),
        ..Match::default()
    };
    let other = Match {
        tcp: true,
        ..Match::default()
    };
    let before = lab
        .filter
        .add(from_a(), &other, Action::Drop)
        .expect("adds");
    let rule = lab
        .filter
        .add(from_a(), &first, Action::Drop)
        .expect("adds");
    assert!(lab.datagrams(3).is_empty());
    let after = lab
        .filter
        .add(from_a(), &other, Action::Drop)
        .expect("adds");
    lab.filter
        .remove(before)
        .expect("removes the first of three");
    lab.filter.block(&[("pa", true)]).expect("blocks");
    assert!(lab.datagrams(10).is_empty());
    lab.filter.block(&[("pa", false)]).expect("unblocks");
    lab.filter.join(&[(&lab.pa, &lab.pb)]).expect("joins again");
    assert_eq!(lab.filter.packets(rule).expect("counts"), 3);
    assert_eq!(lab.datagrams(10), (2..10).collect::<Vec<_>>());
    assert_eq!(lab.filter.packets(rule).expect("counts"), 5);
    lab.filter.remove(rule).expect("removes the first of two");
    lab.filter.remove(after).expect("removes the last");
    assert_eq!(lab.datagrams(4).len(), 4);
}

#[test]
fn probability_is_met() {
    const SENT: u32 = 4000;
    let mut lab = Lab::joined();
    for p in [0.0, 0.3, 1.0] {
        let some = Match {
            dst: ADDRESSES[IPV4][1].parse().ok(),
            probability: Some(p),
            ..Match::default()
        };
        let rule = lab.filter.add(from_a(), &some, Action::Drop).expect("adds");
        let arrived = lab.datagrams(SENT).len() as f64;
        let caught = lab.filter.packets(rule).expect("counts") as f64;
        lab.filter.remove(rule).expect("removes");
        assert_eq!(
            caught + arrived,
            f64::from(SENT),
            "every packet is caught or arrives"
        );
        let n = f64::from(SENT);
        // Five standard deviations: a false alarm in two million runs.
        let allowed = 5.0 * (n * p * (1.0 - p)).sqrt();
        assert!(
            (caught - n * p).abs() <= allowed,
            "p = {p}: caught {caught} of {SENT}"
        );
    }
}

#[test]
fn host_hooks_drop() {
    let lab = Lab::joined();
    let _listener = listen(&lab.b, ADDRESSES[IPV4][1]);
    for (ns, hook) in [(&lab.a, Hook::Output), (&lab.b, Hook::Input)] {
        let mut filter = super::super::Filter::open(ns).expect("opens");
        let rule = Match {
            dport: Some(PORT),
            ..Match::default()
        };
        let id = filter.add(hook.clone(), &rule, Action::Drop).expect("adds");
        let dropped = lab.connect(IPV4, PORT, Duration::from_millis(300));
        assert_eq!(
            dropped.map_err(|e| e.kind()).err(),
            Some(ErrorKind::TimedOut),
            "{hook:?}"
        );
        assert!(filter.packets(id).expect("counts") > 0, "{hook:?}");
        filter.remove(id).expect("removes");
        lab.connect(IPV4, PORT, SOON).expect("connects");
    }
}
