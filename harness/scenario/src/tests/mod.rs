//! The language as a whole: examples of every form, and each rule broken once.

use std::time::Duration;

use crate::case::*;
use crate::{Catalogue, InputErrors, parse};

/// An example of most of the language.
const EXAMPLE: &str = r#"version: 1
detectors:
  none:               {}
  keepalive-defaults: { keepalive: {} }                                 # 7200 s / 75 s / 9, from sysctls
  keepalive-2-1-3:    { keepalive: { idle: 2s, interval: 1s, count: 3 } }
  user-timeout-3s:    { user_timeout: 3s }
  heartbeat-1s-3s:    { heartbeat: { every: 1s, timeout: 3s, answered: true } }
scenarios:
  host-crash-while-writing:
    about: The server loses power; the client, not knowing, sends a request.
    source: [H1, "UNP 5.14"]
    book: { errno: ETIMEDOUT, after: 9m }
    matrix:
      detector: [none, keepalive-2-1-3, user-timeout-3s]
      network: [lan, routed]
      family: [ipv4, ipv6]
    sysctls: { client: { net.ipv4.tcp_retries2: 3 } }
    server: [listen, accept, echo]
    client: [connect, { exchange: hello }, { wait_for: crash }, { write: world }, read]
    faults:
      - { at: 500ms, crash: server }
    give_up: 30s
"#;

mod errors;
mod panics;
mod rules;

fn good(text: &str) -> Catalogue {
    parse("test.yaml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn bad(text: &str) -> InputErrors {
    parse("test.yaml", text).expect_err("this must not parse")
}

/// A file with one scenario of these lines.
fn scenario(lines: &str) -> String {
    let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("version: 1\nscenarios:\n  a:\n    about: x\n    give_up: 30s\n{indented}")
}

const PAIR: &str = "server: [listen, accept, echo]\nclient: [connect, read]\n";

#[test]
fn the_example_is_expanded_into_cases() {
    let catalogue = good(EXAMPLE);
    assert_eq!(catalogue.cases.len(), 12);
    assert_eq!(catalogue.scenarios.len(), 1);
    assert_eq!(catalogue.scenarios[0].cases, 12);
    assert_eq!(catalogue.scenarios[0].line, 9);
    let case = &catalogue.cases[4];
    assert_eq!(
        case.id,
        "host-crash-while-writing/detector=keepalive-2-1-3,network=lan,family=ipv4"
    );
    assert_eq!(case.source, ["H1", "UNP 5.14"]);
    let book = case.book.as_ref().expect("a book");
    assert_eq!(book.sign, SignKind::Errno("ETIMEDOUT".into()));
    assert_eq!(
        book.after,
        Some((Duration::from_secs(540), Duration::from_secs(540)))
    );
    assert_eq!(case.sysctls["client"]["net.ipv4.tcp_retries2"], "3");
    assert_eq!(case.network.name, "lan");
    assert_eq!(case.network.cables.len(), 2);
    assert_eq!(case.watch, ["client"]);
    assert_eq!(case.give_up, Duration::from_secs(30));
    let client = case
        .lanes
        .iter()
        .find(|lane| lane.name == "client")
        .expect("a client");
    assert_eq!(client.detector_name, "keepalive-2-1-3");
    assert_eq!(
        client.detector.keepalive.as_ref().and_then(|k| k.count),
        Some(3)
    );
    assert_eq!(client.steps.len(), 5);
    assert_eq!(
        client.steps[2].action,
        Action::WaitFor {
            mark: "crash".into()
        }
    );
    assert_eq!(client.steps[2].line, 19);
    let server = case
        .lanes
        .iter()
        .find(|lane| lane.name == "server")
        .expect("a server");
    assert_eq!(server.detector_name, "none");
    assert_eq!(
        case.events[0].action,
        EventAction::Crash {
            host: "server".into()
        }
    );
    assert_eq!(case.events[0].when, When::At(Duration::from_millis(500)));
    assert_eq!(case.events[0].name, "crash");
}

#[test]
fn cases_survive_json() {
    let cases = good(EXAMPLE).cases;
    let text = serde_json::to_string(&cases).expect("cases are plain data");
    assert_eq!(
        serde_json::from_str::<Vec<Case>>(&text).expect("the same type"),
        cases
    );
}

#[test]
fn an_axis_stands_for_its_value_anywhere() {
    let text = scenario(&format!(
        "{PAIR}matrix: {{ retries: [3, 5], finish: [crash, cut], size: [1, 70000] }}
sysctls: {{ all: {{ net.ipv4.tcp_retries2: \"${{retries}}\" }} }}
lanes:
  extra:
    on: client
    steps:
      - connect: server
      - write:
          bytes: ${{size}}
faults:
  - {{ at: 1s, \"${{finish}}\": server }}"
    ));
    let cases = good(&text).cases;
    assert_eq!(cases.len(), 8);
    let last = &cases[7];
    assert_eq!(last.id, "a/retries=5,finish=cut,size=70000");
    assert_eq!(last.sysctls["server"]["net.ipv4.tcp_retries2"], "5");
    assert!(
        matches!(&last.events[0].action, EventAction::Cut { cable, .. } if cable.near == "server")
    );
    assert_eq!(
        last.lanes[2].steps[1].action,
        Action::Write {
            data: Payload::Bytes(70_000)
        }
    );
    assert!(matches!(
        cases[0].events[0].action,
        EventAction::Crash { .. }
    ));
}

#[test]
fn signs_depend_on_the_case() {
    let text = scenario(&format!(
        "{PAIR}matrix: {{ family: [ipv4, ipv6], network: [link, lan] }}
expect:
  - {{ when: {{ family: ipv6, network: [link, lan] }}, eof: true, call: read }}
  - {{ unnoticed: true }}"
    ));
    let cases = good(&text).cases;
    let signs: Vec<_> = cases
        .iter()
        .map(|case| case.expect.as_ref().map(|sign| sign.sign.clone()))
        .collect();
    let (eof, unnoticed) = (Some(SignKind::Eof), Some(SignKind::Unnoticed));
    assert_eq!(signs, [unnoticed.clone(), unnoticed, eof.clone(), eof]);
}

#[test]
fn steps_and_events_can_be_left_out_by_case() {
    let text = scenario(
        "server: [listen, accept, echo]
client: [connect, { write: x, when: { wrote: yes } }, read]
matrix: { wrote: [yes, no] }
faults:
  - { at: 1s, crash: server, when: { wrote: no } }",
    );
    let cases = good(&text).cases;
    assert_eq!(cases[0].lanes[1].steps.len(), 3);
    assert_eq!(cases[0].events.len(), 0);
    assert_eq!(cases[1].lanes[1].steps.len(), 2);
    assert_eq!(cases[1].events.len(), 1);
}

#[test]
fn every_step_and_event_has_a_form() {
    let text = r#"version: 1
detectors:
  pulse: { heartbeat: { every: 1s, timeout: 3s, check_every: 2s, misses: 2, from: both, answered: true, when: idle, on_silence: half_close, reconnect: { delay: 1s, backoff: 1.5, limit: 3 } } }
networks:
  office:
    hosts: [client, server, third]
    routers: [gw]
    switches: [sw]
    cables: [[client, sw], [third, sw], [sw, gw], [gw, server]]
scenarios:
  all-of-it:
    about: Every verb once.
    network: office
    give_up: 60s
    server: [{ listen: { port: 80, backlog: 1 } }, { serve: { fork: true, each: [{ wait_for: type }, echo] } }]
    client:
      sigpipe: ignore
      steps:
        - { connect: server, as: one }
        - { connect: { to: third, port: 81, count: 2, nonblocking: true }, as: two, mark: up }
        - { connect: { address: 10.9.9.9 } }
        - { exchange: hi, on: one }
        - { write: { bytes: 9 }, on: two }
        - { read: 16 }
        - drain
        - poll
        - { poll: 2s }
        - { poll: { timeout: 1s, keyboard: true } }
        - keyboard
        - half_close
        - { close: { linger: 0s }, on: one }
        - close
        - { sleep: 1s }
        - { repeat: { times: 2, steps: [{ sleep: 1s }] } }
        - exit
    lanes:
      hub: { on: server, detector: pulse, steps: [{ listen: { port: 82 } }, { multiplex: { slots: 8, echo: false, on_eof: ignore } }] }
      other: { on: third, count: 3, sigterm: ignore, steps: [{ listen: { port: 81 } }, { accept: 3 }] }
    faults:
      - { at: 1s, kill: other }
      - { at: 1s, kill: { lane: server, signal: TERM, child: true }, name: child }
      - { at: 1s, freeze: other }
      - { at: 2s, thaw: other }
      - { after: up, by: 1s, drop: { from: client, to: server, at: sender, by: tc, flags: [SYN], without: [ACK], probability: 0.5 } }
      - { at: 1s, drop: { at: gw, dport: 80, count: 1 } }
      - { at: 1s, reject: { to: server, at: { wire: server }, with: admin-prohibited } }
      - { at: 2s, heal: reject }
      - { at: 2s, heal: all }
      - { at: 1s, route: { host: client, change: prohibit, to: server } }
      - { at: 1s, address_removed: third }
      - { at: 1s, interface: { host: client, change: down } }
      - { at: 1s, neighbour: { host: gw, change: flushed } }
      - { at: 1s, type: { lane: client, text: hello } }
      - { at: 1s, netstat: }
      - { at: 1s, netstat: {} }
      - { at: 1s, restart: { lane: other, times: 2, every: 1s, fin: false } }
      - { at: 3s, cut: { cable: [sw, gw], direction: from } }
      - { at: 3s, cut: { cable: client, carrier: lost }, name: unplugged }
      - { at: 3s, crash: gw }
      - { at: 3s, reboot: { host: server, down_for: 1s, mac: new } }
      - { at: 3s, shutdown: { host: third, grace: 1s } }
"#;
    let case = good(text).cases.remove(0);
    assert_eq!(case.events.len(), 22);
    let names: Vec<&str> = case
        .events
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    assert!(
        names.contains(&"drop") && names.contains(&"drop-2") && names.contains(&"heal-2"),
        "{names:?}"
    );
    assert_eq!(
        case.lanes
            .iter()
            .map(|lane| lane.name.as_str())
            .collect::<Vec<_>>(),
        ["server", "client", "hub", "other"]
    );
    assert_eq!(case.lanes[3].count, 3);
    let heartbeat = case.lanes[2]
        .detector
        .heartbeat
        .as_ref()
        .expect("pulse has one");
    assert_eq!(
        (heartbeat.misses, heartbeat.from, heartbeat.when),
        (2, HeartbeatSender::Both, BeatWhen::Idle)
    );
    let reconnect = heartbeat.reconnect.as_ref().expect("it connects again");
    assert_eq!((reconnect.backoff, reconnect.limit), (1.5, Some(3)));
    assert_eq!(case.lanes[1].sigpipe, Disposition::Ignore);
}

#[test]
fn lanes_that_the_fault_hits_are_not_watched() {
    let watch = |faults: &str| {
        good(&scenario(&format!("{PAIR}faults: [{faults}]"))).cases[0]
            .watch
            .clone()
    };
    assert_eq!(watch("{ at: 1s, crash: server }"), ["client"]);
    assert_eq!(watch("{ at: 1s, crash: client }"), ["server"]);
    assert_eq!(watch("{ at: 1s, kill: client }"), ["server"]);
    assert_eq!(watch("{ at: 1s, cut: client }"), ["client"]);
}

#[test]
fn a_points_of_exclude_is_left_out() {
    let text = scenario(&format!(
        "{PAIR}matrix: {{ network: [link, lan], family: [ipv4, ipv6] }}\nexclude: [{{ network: lan, family: ipv6 }}]"
    ));
    assert_eq!(good(&text).cases.len(), 3);
}

#[test]
fn aliases_share_steps() {
    let text = "version: 1\nscenarios:\n  a: &a\n    about: x\n    give_up: 3s\n    server: [listen, accept, echo]\n    client: [connect]\n  b:\n    <<: *a\n    about: y\n";
    let cases = good(text).cases;
    assert_eq!(
        (cases[0].about.as_str(), cases[1].about.as_str()),
        ("x", "y")
    );
}
