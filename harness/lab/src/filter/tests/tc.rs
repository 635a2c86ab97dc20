//! Drops by tc, at the sender and at the receiver.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use super::super::{Clsact, Match, Side};
use super::lab::{ADDRESSES, IPV4, IPV6, Lab, PORT, SOON, delete, host_veth, index};
use crate::error::LabError;

const SYN: Match = Match {
    family: None,
    src: None,
    dst: None,
    tcp_flags_set: 0x02,
    tcp_flags_clear: 0x10,
    sport: None,
    dport: None,
    tcp: false,
    longer_than: None,
    count: None,
    probability: None,
};

#[test]
fn syn_is_dropped_on_either_side() {
    let lab = Lab::joined();
    for (ns, device, side) in [(&lab.a, "a", Side::Egress), (&lab.b, "b", Side::Ingress)] {
        let mut tc = Clsact::open(ns).expect("opens");
        let ifindex = index(ns, device);
        for family in [IPV4, IPV6] {
            let _listener = lab.listener(family);
            let exact = Match {
                src: ADDRESSES[family][0].parse().ok(),
                dst: ADDRESSES[family][1].parse().ok(),
                dport: Some(PORT),
                ..SYN
            };
            for rule in [
                SYN,
                exact.clone(),
                Match {
                    tcp: true,
                    ..Match::default()
                },
            ] {
                let id = tc.add_drop(ifindex, side, &rule).expect("adds");
                let dropped = lab.connect(family, PORT, Duration::from_millis(200));
                assert_eq!(
                    dropped.map_err(|e| e.kind()).err(),
                    Some(ErrorKind::TimedOut),
                    "{rule:?}"
                );
                tc.remove(id).expect("removes");
                lab.connect(family, PORT, SOON).expect("connects");
            }
            let not_meant = [
                Match {
                    dport: Some(PORT + 1),
                    ..exact.clone()
                },
                Match {
                    sport: Some(1),
                    ..exact.clone()
                },
                Match {
                    tcp_flags_set: 0x06,
                    ..exact.clone()
                },
                Match {
                    dst: exact.src,
                    src: exact.dst,
                    ..exact.clone()
                },
            ];
            for rule in not_meant {
                let id = tc.add_drop(ifindex, side, &rule).expect("adds");
                lab.connect(family, PORT, SOON).expect("is not meant");
                tc.remove(id).expect("removes");
            }
        }
    }
}

#[test]
fn several_rules_hold_together() {
    let lab = Lab::joined();
    let _listener = lab.listener(IPV4);
    let mut tc = Clsact::open(&lab.a).expect("opens");
    let a = index(&lab.a, "a");
    let other = Match {
        dport: Some(1),
        ..Match::default()
    };
    let first = tc.add_drop(a, Side::Egress, &other).expect("adds");
    let second = tc.add_drop(a, Side::Egress, &SYN).expect("adds");
    let third = tc.add_drop(a, Side::Egress, &other).expect("adds");
    tc.remove(first).expect("removes");
    tc.remove(third).expect("removes");
    let dropped = lab.connect(IPV4, PORT, Duration::from_millis(200));
    assert_eq!(
        dropped.map_err(|e| e.kind()).err(),
        Some(ErrorKind::TimedOut)
    );
    tc.remove(second).expect("removes");
    lab.connect(IPV4, PORT, SOON).expect("connects");
    assert!(matches!(tc.remove(second), Err(LabError::Unknown { .. })));
}

/// Where a packet is dropped changes the answer (KERNEL.md 3): what the sender's
/// own qdisc drops is retried every 500 ms, without backing off.
#[test]
fn a_local_drop_of_data_is_retried_every_half_second() {
    // A busy machine may be late in one try, and backs off in none.
    let is_soon = (0..3).any(|_| wait_after_a_local_drop() < Duration::from_millis(2500));
    assert!(is_soon, "it backs off");
}

/// How long data that was dropped for a while took to arrive afterwards.
fn wait_after_a_local_drop() -> Duration {
    let lab = Lab::joined();
    let listener = lab.listener(IPV4);
    let mut client = lab.connect(IPV4, PORT, SOON).expect("connects");
    let (server, _) = listener.accept().expect("accepts");
    let mut tc = Clsact::open(&lab.a).expect("opens");
    let all = Match {
        tcp: true,
        ..Match::default()
    };
    let rule = tc
        .add_drop(index(&lab.a, "a"), Side::Egress, &all)
        .expect("adds");
    client.write_all(b"x").expect("writes");
    // By the RTO's doubling, attempts would come at 0.2, 0.6, 1.4, 3.0 and 6.2 s.
    std::thread::sleep(Duration::from_millis(3300));
    let start = Instant::now();
    tc.remove(rule).expect("removes");
    server.set_read_timeout(Some(SOON)).expect("is not 0");
    assert_eq!(server.peek(&mut [0]).expect("is sent again"), 1);
    start.elapsed()
}

#[test]
fn probability_is_met() {
    const SENT: u32 = 4000;
    let lab = Lab::joined();
    let mut tc = Clsact::open(&lab.a).expect("opens");
    for p in [0.0, 0.3, 1.0] {
        let some = Match {
            dst: ADDRESSES[IPV4][1].parse().ok(),
            probability: Some(p),
            ..Match::default()
        };
        let rule = tc
            .add_drop(index(&lab.a, "a"), Side::Egress, &some)
            .expect("adds");
        let arrived = lab.datagrams(SENT);
        let lost = f64::from(SENT) - arrived.len() as f64;
        if p == 0.0 {
            assert_eq!(arrived, (0..SENT).collect::<Vec<_>>());
        }
        tc.remove(rule).expect("removes");
        let n = f64::from(SENT);
        let allowed = 5.0 * (n * p * (1.0 - p)).sqrt();
        assert!(
            (lost - n * p).abs() <= allowed,
            "p = {p}: lost {lost} of {SENT}"
        );
    }
}

#[test]
fn a_rule_goes_with_its_device() {
    let lab = Lab::joined();
    let mut tc = Clsact::open(&lab.a).expect("opens");
    let rule = tc
        .add_drop(index(&lab.a, "a"), Side::Ingress, &SYN)
        .expect("adds");
    delete(&lab.a, "a");
    tc.remove(rule).expect("is gone already");
    host_veth((&lab.a, "a"), (&lab.wire, "pa"), 0);
    tc.add_drop(index(&lab.a, "a"), Side::Ingress, &SYN)
        .expect("adds to the new device");
}

#[test]
fn count_is_refused() {
    let lab = Lab::joined();
    let mut tc = Clsact::open(&lab.a).expect("opens");
    let rule = Match {
        count: Some(1),
        ..SYN
    };
    let Err(LabError::Unsupported { cure, .. }) = tc.add_drop(1, Side::Egress, &rule) else {
        panic!("tc cannot count");
    };
    assert_eq!(cure, "count needs nft");
}
