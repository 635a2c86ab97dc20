//! Scripts and the calls they make.

use std::time::Duration;

use halfopen_outcome::record::ExitKind;
use halfopen_runner::endpoint::protocol::Report;
use halfopen_scenario::case::{Action, Disposition, Keepalive, KeepaliveBy, Lane, Payload};
use nix::sys::signal::Signal;

use crate::fixture::*;

#[test]
fn exchange_is_echoed() {
    let (mut server, mut client) = start_steps(
        vec![listen(), accept(), step(Action::Echo)],
        vec![
            connect(),
            step(Action::Exchange {
                data: text("hello"),
            }),
            close(),
        ],
    );
    client.wait_for_done();
    server.wait_for_done();
    let client = client.calls();
    assert_eq!(
        client[1..],
        ["connect = 0", "write = 5", "read = 5", "close = 0"]
    );
    let server = server.calls();
    assert_eq!(server[1..3], ["bind listener = 0", "listen listener = 0"]);
    assert!(server[3].starts_with("accept listener = "), "{server:?}");
    assert_eq!(server[4..], ["read = 5", "write = 5", "read = 0"]);
}

#[test]
fn megabytes_pass_in_chunks() {
    let many = || Payload::Bytes(10_000_000);
    let (_server, mut client) = start_steps(
        vec![listen(), accept(), step(Action::Drain)],
        vec![
            connect(),
            step(Action::Write { data: many() }),
            step(Action::HalfClose),
            read(),
        ],
    );
    client.wait_until("shutdown", |reports| {
        reports
            .iter()
            .any(|r| matches!(r, Report::Start { call, .. } if call == "shutdown"))
    });
    let calls = client.calls();
    let written = calls.iter().filter_map(|c| c.strip_prefix("write = "));
    let sum: u64 = written
        .map(|n| n.parse::<u64>().expect("no write failed"))
        .sum();
    assert_eq!(sum, 10_000_000);
}

#[test]
fn a_step_without_a_connection_ends_the_script() {
    let mut netns = TestNetns::new(&[]);
    let mut client = netns.spawn(&lane(vec![connect(), write("x"), sleep(60_000)]));
    netns.set("start");
    client.wait_for_done();
    let calls = client.calls();
    assert_eq!(calls[1..], ["connect = ECONNREFUSED", "close = 0"]);
}

#[test]
fn a_script_goes_on_after_an_error() {
    let (mut server, mut client) = start_steps(
        vec![listen(), accept(), marked("closed", close())],
        vec![
            connect(),
            read(),
            write("late"),
            sleep(100),
            write("again"),
            read(),
            write("and again"),
        ],
    );
    server.wait_for_mark("closed");
    client.wait_for_done();
    let calls = client.calls();
    let after = [
        "read = 0",
        "write = 4",
        "write = EPIPE",
        "read = 0",
        "write = EPIPE",
    ];
    assert_eq!(calls[2..], after);
}

#[test]
fn sigpipe_kills_by_default() {
    let steps = vec![
        connect(),
        read(),
        write("late"),
        sleep(100),
        write("again"),
        read(),
    ];
    let client = Lane {
        sigpipe: Disposition::Default,
        ..lane(steps)
    };
    let server = lane(vec![listen(), accept(), close()]);
    let (_server, mut client) = start_pair(&mut TestNetns::new(&["up"]), &server, &client);
    assert_eq!(client.end(), ExitKind::Killed("SIGPIPE".into()));
    client.wait_until(
        "the last write",
        |reports| matches!(reports.last(), Some(Report::Start { call, .. }) if call == "write"),
    );
}

#[test]
fn sigterm_is_ignored_when_the_lane_says_so() {
    let mut netns = TestNetns::new(&[]);
    let mut deaf = netns.spawn(&Lane {
        sigterm: Disposition::Ignore,
        ..lane(vec![sleep(200)])
    });
    let mut polite = netns.spawn(&lane(vec![sleep(60_000)]));
    for endpoint in [&mut deaf, &mut polite] {
        endpoint.wait_until("ready", |reports| !reports.is_empty());
    }
    netns.set("start");
    deaf.endpoint
        .signal(Signal::SIGTERM)
        .expect("a child may be signalled");
    polite
        .endpoint
        .signal_group(Signal::SIGTERM)
        .expect("a child may be signalled");
    assert_eq!(polite.end(), ExitKind::Killed("SIGTERM".into()));
    deaf.wait_for_done();
}

#[test]
fn nonblocking_connect_asks_for_the_error() {
    let (_server, mut client) = start_steps(
        vec![listen(), accept(), step(Action::Echo)],
        vec![
            connect_to(7000, true),
            step(Action::Exchange { data: text("hi") }),
            connect_to(9, true),
        ],
    );
    client.wait_for_done();
    let calls = client.calls();
    assert_eq!(
        calls[1..6],
        [
            "connect = EINPROGRESS",
            "poll = socket:OUT",
            "getsockopt = 0",
            "write = 2",
            "read = 2"
        ]
    );
    assert_eq!(
        calls[7..],
        [
            "connect #2 = EINPROGRESS",
            "poll #2 = socket:OUT|ERR|HUP",
            "getsockopt #2 = ECONNREFUSED",
            "close #2 = 0"
        ]
    );
}

#[test]
fn connections_are_found_by_name() {
    let several = Action::Connect {
        to: None,
        address: None,
        port: 7000,
        count: 2,
        nonblocking: false,
    };
    let (_server, mut client) = start_steps(
        vec![
            listen(),
            step(Action::Accept { count: 2 }),
            step(Action::Drain),
        ],
        vec![
            on("a", step(several)),
            on("a", step(Action::HalfClose)),
            close(),
            close(),
            close(),
        ],
    );
    client.wait_for_done();
    let calls = client.calls();
    assert_eq!(
        calls[4..],
        ["shutdown a = 0", "close a.2 = 0", "close a = 0"]
    );
}

#[test]
fn detectors_are_set_and_reported() {
    let mut client = lane(vec![connect(), read()]);
    let (s, ms) = (Duration::from_secs, Duration::from_millis);
    client.detector.keepalive = Some(Keepalive {
        idle: Some(s(2)),
        interval: None,
        count: Some(200),
        by: KeepaliveBy::Socket,
    });
    client.detector.user_timeout = Some(s(3));
    client.detector.read_timeout = Some(ms(30));
    let server = lane(vec![listen(), accept(), step(Action::Drain)]);
    let (_server, mut started) = start_pair(&mut TestNetns::new(&["up"]), &server, &client);
    started.wait_for_done();
    let calls = started.calls();
    assert_eq!(
        calls[1..],
        [
            "setsockopt = 0",
            "setsockopt = 0",
            // TCP_KEEPCNT is at most 127.
            "setsockopt = EINVAL",
            "setsockopt = 0",
            "setsockopt = 0",
            "connect = 0",
            "read = EAGAIN"
        ]
    );

    client.detector = Default::default();
    client.detector.poll = Some(ms(30));
    let (_server, mut started) = start_pair(&mut TestNetns::new(&["up"]), &server, &client);
    started.wait_for_done();
    assert_eq!(started.calls()[2..], ["poll = timed out"]);
}

#[test]
fn keyboard_and_socket_are_watched_together() {
    let poll = || {
        step(Action::Poll {
            timeout: Some(Duration::from_secs(5)),
            keyboard: true,
        })
    };
    let mut netns = TestNetns::new(&["up", "bye"]);
    let (_server, mut client) = start_pair(
        &mut netns,
        &lane(vec![listen(), accept(), wait_for("bye"), close()]),
        &lane(vec![
            connect(),
            poll(),
            marked("typed", step(Action::Keyboard)),
            poll(),
            read(),
        ]),
    );
    client
        .endpoint
        .type_text("hello")
        .expect("somebody reads the keyboard");
    client.wait_for_mark("typed");
    netns.set("bye");
    client.wait_for_done();
    assert_eq!(
        client.calls()[2..],
        [
            "poll = keyboard:IN",
            "read keyboard = 6",
            "poll = socket:IN|RDHUP",
            "read = 0"
        ]
    );
}
