//! Routers that keep state, and addresses that move.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{BOTH, LONG, build, connect, exchange, read_errno, routed};
use crate::{Lab, LabBuilder, LabError};
use halfopen_net::{Family, FlowState, Nat, OnForgotten};

fn behind_nat(on_forgotten: OnForgotten) -> LabBuilder {
    routed().families(&BOTH).nat(Nat {
        router: "router".into(),
        inside: vec!["client".into()],
        idle: Duration::from_secs(60),
        on_forgotten,
        timeouts: BTreeMap::new(),
        service: None,
    })
}

#[test]
fn the_outside_sees_the_router_over_ipv4_and_the_host_over_ipv6() {
    let lab = build(behind_nat(OnForgotten::Silence));
    for (family, seen) in [(Family::Ipv4, "router"), (Family::Ipv6, "client")] {
        let (_client, server) = connect(&lab, "client", "server", family);
        let peer = server.peer_addr().expect("connected").ip();
        let theirs = lab.addresses(seen).expect("known");
        assert!(theirs.contains(&peer), "{peer} is not one of {theirs:?}");
    }
}

#[test]
fn what_is_forgotten_draws_a_reset() {
    for family in BOTH {
        let mut lab = build(behind_nat(OnForgotten::Reset));
        let (mut client, mut server) = connect(&lab, "client", "server", family);
        exchange(&mut client, &mut server).expect("it gets through");
        lab.forget_flows("router").expect("it keeps state");
        client.write_all(b"x").expect("goes into the send buffer");
        assert_eq!(read_errno(&mut client, LONG), Some(libc::ECONNRESET));
        server.write_all(b"x").expect("goes into the send buffer");
        assert_eq!(read_errno(&mut server, LONG), Some(libc::ECONNRESET));
    }
}

#[test]
fn a_router_that_is_told_its_connections_lets_them_through() {
    for family in BOTH {
        let mut lab = build(behind_nat(OnForgotten::Reset));
        let (mut client, mut server) = connect(&lab, "client", "server", family);
        let flows = lab.flows("router").expect("it keeps state");
        assert_eq!(flows.len(), 1, "{flows:?}");
        lab.crash("router").expect("is up");
        lab.boot("router", true).expect("was down");
        lab.restore_flows("router", &flows).expect("it knows none");
        assert_eq!(lab.flows("router").expect("it keeps state").len(), 1);
        lab.end_silence("router").expect("was silent");
        exchange(&mut server, &mut client).expect("it gets through");
        exchange(&mut client, &mut server).expect("it gets through");
    }
}

#[test]
fn a_service_is_reached_at_the_router_s_address_and_nothing_else_is_from_outside() {
    for family in BOTH {
        let mut lab = build(routed().families(&BOTH).nat(Nat {
            router: "router".into(),
            inside: vec!["server".into()],
            idle: Duration::from_secs(60),
            on_forgotten: OnForgotten::Reset,
            timeouts: BTreeMap::new(),
            service: Some("server".into()),
        }));
        let service = lab.service_address("router", family).expect("a node");
        let service = SocketAddr::new(service.expect("it has a service"), 7000);
        let own = lab.address("server", family).expect("known");
        let listener = lab.enter("server", || TcpListener::bind((own, 7000)));
        let listener = listener.expect("is up").expect("nobody listens there");
        let mut client = lab
            .enter("client", || TcpStream::connect(service))
            .expect("is up")
            .expect("the service is there");
        let (mut server, peer) = listener.accept().expect("it was opened");
        // The source is not translated.
        assert!(lab.addresses("client").expect("known").contains(&peer.ip()));
        exchange(&mut client, &mut server).expect("it gets through");
        let straight = lab.enter("client", || TcpStream::connect((own, 7000)));
        assert!(straight.expect("is up").is_err(), "past the service");
        lab.forget_flows("router").expect("it keeps state");
        client.write_all(b"x").expect("goes into the send buffer");
        assert_eq!(read_errno(&mut client, LONG), Some(libc::ECONNRESET));
    }
}

#[test]
fn a_router_without_nat_has_nothing_to_forget() {
    let mut lab = build(routed());
    assert!(matches!(lab.forget_flows("router"), Err(LabError::Plan(_))));
    let everywhere = Nat {
        router: "router".into(),
        inside: vec!["client".into(), "server".into()],
        idle: Duration::from_secs(1),
        on_forgotten: OnForgotten::Silence,
        timeouts: BTreeMap::new(),
        service: None,
    };
    let nowhere = routed().nat(everywhere).build();
    assert!(matches!(nowhere, Err(LabError::Plan(_))));
}

#[test]
fn timeouts_by_state_and_the_user_s_sysctls_are_written_once_conntrack_is_there() {
    let key = |state: FlowState| state.sysctl();
    let last_ack = key(FlowState::LastAck);
    let lab = build(
        routed()
            .nat(Nat {
                router: "router".into(),
                inside: vec!["client".into()],
                idle: Duration::from_secs(60),
                on_forgotten: OnForgotten::Silence,
                timeouts: BTreeMap::from([(FlowState::CloseWait, Duration::from_secs(3600))]),
                service: None,
            })
            .sysctl("router", &last_ack, "77"),
    );
    let value = |key: &str| lab.sysctl("router", key).expect("conntrack is there");
    assert_eq!(value(&key(FlowState::CloseWait)), "3600");
    assert_eq!(value(&last_ack), "77");
    assert_eq!(value(&key(FlowState::Unacknowledged)), "60");
    let written = lab.pinned("router").expect("a node");
    assert_eq!(written[&last_ack], "77");
}

#[test]
fn an_address_moves_and_its_new_owner_says_so() {
    for family in BOTH {
        let mut lab = build(
            ["client", "server", "standby"]
                .into_iter()
                .fold(Lab::builder().switch("switch"), |lab, host| {
                    lab.host(host).cable(host, "switch")
                })
                .families(&[family]),
        );
        let (mut client, _server) = connect(&lab, "client", "server", family);
        lab.move_address("server", "standby", family, true)
            .expect("they are on one LAN");
        client.write_all(b"x").expect("goes into the send buffer");
        assert_eq!(read_errno(&mut client, LONG), Some(libc::ECONNRESET));
    }
}
