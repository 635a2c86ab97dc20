//! Rejects: which errno connect() shows (KERNEL.md 6), by place and family.

use std::time::Duration;

use super::super::{Action, Filter, Hook, Match};
use super::lab::{
    IPV4, IPV6, Lab, PORT, address, connect, default_route, listen, namespace, up, veth,
};
use crate::error::LabError;
use crate::namespace::Namespace;
use halfopen_net::{Family, RejectWith};

/// errno over IPv4, over IPv6 (tcp_v4_err(), icmpv6_err_convert()).
const KINDS: [(RejectWith, i32, Option<i32>); 6] = [
    (
        RejectWith::NetUnreachable,
        libc::ENETUNREACH,
        Some(libc::ENETUNREACH),
    ),
    (
        RejectWith::HostUnreachable,
        libc::EHOSTUNREACH,
        Some(libc::EHOSTUNREACH),
    ),
    (
        RejectWith::PortUnreachable,
        libc::ECONNREFUSED,
        Some(libc::ECONNREFUSED),
    ),
    (RejectWith::ProtocolUnreachable, libc::ENOPROTOOPT, None),
    (
        RejectWith::AdminProhibited,
        libc::EHOSTUNREACH,
        Some(libc::EACCES),
    ),
    (
        RejectWith::TcpReset,
        libc::ECONNREFUSED,
        Some(libc::ECONNREFUSED),
    ),
];

/// Long enough for the second SYN: the error for the first one may come back
/// while connect() holds the socket (KERNEL.md 5).
const PATIENCE: Duration = Duration::from_secs(20);

fn check(filter: &mut Filter, hook: &Hook, family: usize, dial: impl Fn(Duration) -> Option<i32>) {
    let rule = Match {
        tcp_flags_set: 0x02,
        tcp_flags_clear: 0x10,
        ..Match::default()
    };
    for (with, v4, v6) in KINDS {
        let expected = if family == IPV4 { Some(v4) } else { v6 };
        let Some(expected) = expected else { continue };
        let id = filter
            .add(hook.clone(), &rule, Action::Reject(with))
            .unwrap_or_else(|e| panic!("{hook:?} {with:?}: {e}"));
        assert_eq!(
            dial(PATIENCE),
            Some(expected),
            "{hook:?} {with:?} family {family}"
        );
        assert!(filter.packets(id).expect("counts") > 0);
        filter.remove(id).expect("removes");
        assert_eq!(
            dial(PATIENCE),
            None,
            "after removal of {with:?} from {hook:?}"
        );
    }
}

fn on_cable(family: usize) {
    let mut lab = Lab::joined();
    let _listener = lab.listener(family);
    let (a, there) = (lab.a.clone(), super::lab::ADDRESSES[family][1]);
    let dial = |p| {
        connect(&a, there, PORT, p)
            .err()
            .and_then(|e| e.raw_os_error())
    };
    check(&mut lab.filter, &Hook::Port("pa".into()), family, dial);
}

#[test]
fn on_the_cable_ipv4() {
    on_cable(IPV4);
}

#[test]
fn on_the_cable_ipv6() {
    on_cable(IPV6);
}

/// `a` and `b` behind a router.
fn routed() -> (Namespace, Namespace, Namespace) {
    let (a, router, b) = (namespace("a"), namespace("router"), namespace("b"));
    for (host, name, net) in [(&a, "a", 1), (&b, "b", 2)] {
        let port = format!("r{name}");
        veth((host, name), (&router, &port));
        for (prefix, base) in [(24, format!("10.9.{net}.")), (64, format!("fd09:{net}::"))] {
            address(host, name, &format!("{base}1"), prefix);
            address(&router, &port, &format!("{base}2"), prefix);
        }
        up(&router, &port);
        up(host, name);
        default_route(host, &format!("10.9.{net}.2"));
        default_route(host, &format!("fd09:{net}::2"));
    }
    router
        .enter(|| {
            for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                std::fs::write(format!("/proc/sys/net/{key}"), "1").expect("may forward");
            }
            // One error a second would not be enough here.
            std::fs::write("/proc/sys/net/ipv6/icmp/ratemask", "").expect("may lift the limit");
            std::fs::write("/proc/sys/net/ipv4/icmp_ratemask", "0").expect("may lift the limit");
        })
        .expect("enters");
    (a, router, b)
}

fn on_router(family: usize) {
    let (a, router, b) = routed();
    let there = ["10.9.2.1", "fd09:2::1"][family];
    let _listener = listen(&b, there);
    let mut filter = Filter::open(&router).expect("opens");
    let dial = |p| {
        connect(&a, there, PORT, p)
            .err()
            .and_then(|e| e.raw_os_error())
    };
    check(&mut filter, &Hook::Forward, family, dial);
}

#[test]
fn on_the_router_ipv4() {
    on_router(IPV4);
}

#[test]
fn on_the_router_ipv6() {
    on_router(IPV6);
}

#[test]
fn ipv6_has_no_protocol_unreachable() {
    let mut lab = Lab::joined();
    let rule = Match {
        family: Some(Family::Ipv6),
        ..Match::default()
    };
    let action = Action::Reject(RejectWith::ProtocolUnreachable);
    let refused = lab.filter.add(Hook::Port("pa".into()), &rule, action);
    assert!(matches!(refused, Err(LabError::Unsupported { .. })));
}

#[test]
fn a_reject_of_everything_leaves_arp_alone() {
    let mut lab = Lab::joined();
    let action = Action::Reject(RejectWith::HostUnreachable);
    let all = Match::default();
    lab.filter
        .add(Hook::Port("pa".into()), &all, action)
        .expect("adds");
    let refused = lab
        .connect(IPV4, PORT, PATIENCE)
        .err()
        .and_then(|e| e.raw_os_error());
    assert_eq!(refused, Some(libc::EHOSTUNREACH));
    let entries = lab
        .b
        .enter(|| std::fs::read_to_string("/proc/thread-self/net/arp"));
    let entries = entries.expect("enters").expect("is readable");
    assert!(
        entries.contains(super::lab::ADDRESSES[IPV4][0]),
        "b was asked by ARP: {entries}"
    );
}
