//! Scripts and the calls they make.

use std::time::Duration;

use halfopen_outcome::record::ExitKind;
use halfopen_runner::endpoint::protocol::Report;
use halfopen_scenario::case::{Action, Disposition, Keepalive, KeepaliveBy, Lane, Payload};
use nix::sys::signal::Signal;

use crate::stage::*;

#[test]
fn exchange_is_echoed() {
    let (mut server, mut client) = play_steps(
        vec![listen(), accept(), step(Action::Echo)],
        vec![
            connect(),
            step(Action::Exchange {
                data: text("hello"),
            }),
            close(),
        ],
    );
    client.hear_done();
    server.hear_done();
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
    let (_server, mut client) = play_steps(
        vec![listen(), accept(), step(Action::Drain)],
        vec![
            connect(),
            step(Action::Write { data: many() }),
            step(Action::HalfClose),
            read(),
        ],
    );
    client.hear_until("shutdown", |said| {
        said.iter()
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
    let mut stage = Stage::new(&[]);
    let mut client = stage.spawn(&lane(vec![connect(), write("x"), sleep(60_000)]));
    stage.set("start");
    client.hear_done();
    let calls = client.calls();
    assert_eq!(calls[1..], ["connect = ECONNREFUSED", "close = 0"]);
}

#[test]
fn a_script_goes_on_after_an_error() {
    let (mut server, mut client) = play_steps(
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
    server.hear_mark("closed");
    client.hear_done();
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
    let (_server, mut client) = play(&mut Stage::new(&["up"]), &server, &client);
    assert_eq!(client.end(), ExitKind::Killed("SIGPIPE".into()));
    client.hear_until(
        "the last write",
        |said| matches!(said.last(), Some(Report::Start { call, .. }) if call == "write"),
    );
}

#[test]
fn sigterm_is_ignored_when_the_lane_says_so() {
    let mut stage = Stage::new(&[]);
    let mut deaf = stage.spawn(&Lane {
        sigterm: Disposition::Ignore,
        ..lane(vec![sleep(200)])
    });
    let mut polite = stage.spawn(&lane(vec![sleep(60_000)]));
    for player in [&mut deaf, &mut polite] {
        player.hear_until("ready", |said| !said.is_empty());
    }
    stage.set("start");
    deaf.endpoint
        .signal(Signal::SIGTERM)
        .expect("a child may be signalled");
    polite
        .endpoint
        .signal_group(Signal::SIGTERM)
        .expect("a child may be signalled");
    assert_eq!(polite.end(), ExitKind::Killed("SIGTERM".into()));
    deaf.hear_done();
}

#[test]
fn nonblocking_connect_asks_for_the_error() {
    let (_server, mut client) = play_steps(
        vec![listen(), accept(), step(Action::Echo)],
        vec![
            connect_to(7000, true),
            step(Action::Exchange { data: text("hi") }),
            connect_to(9, true),
        ],
    );
    client.hear_done();
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
    let (_server, mut client) = play_steps(
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
    client.hear_done();
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
    let (_server, mut played) = play(&mut Stage::new(&["up"]), &server, &client);
    played.hear_done();
    let calls = played.calls();
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
    let (_server, mut played) = play(&mut Stage::new(&["up"]), &server, &client);
    played.hear_done();
    assert_eq!(played.calls()[2..], ["poll = timed out"]);
}

#[test]
fn keyboard_and_socket_are_watched_together() {
    let poll = || {
        step(Action::Poll {
            timeout: Some(Duration::from_secs(5)),
            keyboard: true,
        })
    };
    let mut stage = Stage::new(&["up", "bye"]);
    let (_server, mut client) = play(
        &mut stage,
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
    client.hear_mark("typed");
    stage.set("bye");
    client.hear_done();
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
