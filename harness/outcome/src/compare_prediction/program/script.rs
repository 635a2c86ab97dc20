//! A case with scripts in the place of its programs, which do what the programs did: the
//! last data of the connection at the time at which it was sent, then a read.

use std::time::Duration;

use crate::record::{Outcome, Packet, SocketSettings, asked_ns};
use halfopen_scenario::case::{
    Action, Case, DEFAULT_PORT, Detector, Disposition, Event, EventAction, Keepalive, Lane,
    Payload, Step, When,
};

use super::wait::Wait;

/// What was sent later than this before the fault may not have been acknowledged yet
/// (TCP_DELACK_MAX is 200 ms).
const QUIET_BEFORE_NS: i64 = 300_000_000;

/// The case as a script's.
pub(super) fn of(case: &Case, outcome: &Outcome, wait: &Wait<'_>) -> Result<Case, String> {
    simple_events(&case.events, wait)?;
    let last = last_data(outcome, wait.ends_ns)?;
    let port = port(&outcome.wire.packets).unwrap_or(DEFAULT_PORT);
    let (client, server) = match wait.connected {
        true => (wait.program, wait.peer),
        false => (wait.peer, wait.program),
    };
    let detector = |lane: &Lane| detector(lane, outcome, wait);
    let mut script = case.clone();
    script.lanes = vec![
        lane(server, detector(server), listening(port)),
        lane(
            client,
            detector(client),
            connecting(&server.host, port, last),
        ),
    ];
    let steps = script.lanes.iter_mut().flat_map(|lane| &mut lane.steps);
    for (number, step) in (1..).zip(steps) {
        step.number = number;
    }
    Ok(script)
}

/// Whether the events do nothing that a program answers in its own way.
fn simple_events(events: &[Event], wait: &Wait<'_>) -> Result<(), String> {
    for event in events {
        if let When::After { mark, .. } = &event.when
            && !events.iter().any(|other| other.name == *mark)
        {
            return Err(format!("an event waits for {mark}"));
        }
        let of_peer = |lane: &str| lane == wait.peer.name;
        let simple = match &event.action {
            EventAction::Kill {
                lane,
                signal,
                child,
            } => of_peer(lane) && !child && signal.trim_start_matches("SIG") == "KILL",
            EventAction::Freeze { lane } | EventAction::Thaw { lane } => of_peer(lane),
            EventAction::Shutdown { .. }
            | EventAction::Restart { .. }
            | EventAction::Type { .. } => false,
            _ => true,
        };
        if !simple {
            let what = event.name.as_str();
            return Err(format!(
                "what a program does at `{what}` is its own business"
            ));
        }
    }
    Ok(())
}

/// When the last data was sent before the fault.
fn last_data(outcome: &Outcome, until: i64) -> Result<Duration, String> {
    let asked = asked_ns(&outcome.faults);
    let sent = outcome.wire.packets.iter().filter(|packet| packet.len > 0);
    let sent = sent.filter(|packet| !packet.flags.is_empty());
    let mut last = 0;
    for packet in sent {
        match packet.sent_ns {
            at if at < asked => last = last.max(at),
            at if at < until => return Err("data is sent before it notices".into()),
            _ => {}
        }
    }
    match asked - last < QUIET_BEFORE_NS {
        true => Err("data may be on its way when the fault strikes".into()),
        false => Ok(Duration::from_nanos(last.unsigned_abs())),
    }
}

/// The port that is connected to.
fn port(packets: &[Packet]) -> Option<u16> {
    let syn = packets.iter().find(|packet| packet.flags == "S")?;
    syn.dst.rsplit_once(':')?.1.parse().ok()
}

/// What a program set on the connection; a script's own.
fn detector(lane: &Lane, outcome: &Outcome, wait: &Wait<'_>) -> Detector {
    let record = outcome
        .programs
        .iter()
        .find(|program| program.lane == lane.name && program.boot == 0);
    let (Some(record), Some(_)) = (record, &lane.program) else {
        return lane.detector.clone();
    };
    let is_peer = lane.name == wait.peer.name;
    let of_connection = |conn: &str| match is_peer {
        true => !conn.starts_with("port "),
        false => conn == wait.conn,
    };
    let mut detectors = record.detectors.iter().rev();
    let set = detectors.find(|of| of.conn.as_deref().is_some_and(of_connection));
    set.map_or_else(Detector::default, |of| of_settings(&of.set))
}

fn of_settings(set: &SocketSettings) -> Detector {
    let time = |ns: Option<u64>| ns.map(Duration::from_nanos);
    let keepalive = set.keepalive.then(|| Keepalive {
        idle: time(set.idle_ns),
        interval: time(set.interval_ns),
        count: set.count,
        ..Keepalive::default()
    });
    Detector {
        keepalive,
        user_timeout: time(set.user_timeout_ns),
        read_timeout: time(set.receive_timeout_ns),
        ..Detector::default()
    }
}

const HELLO: &str = "hello";

fn listening(port: u16) -> Vec<Action> {
    vec![
        Action::Listen { port, backlog: 128 },
        Action::Accept { count: 1 },
        Action::Read { bytes: 4096 },
        Action::Write {
            data: Payload::Text(HELLO.into()),
        },
        Action::Read { bytes: 4096 },
    ]
}

fn connecting(to: &str, port: u16, last_data: Duration) -> Vec<Action> {
    vec![
        Action::Connect {
            to: Some(to.to_owned()),
            address: None,
            port,
            count: 1,
            nonblocking: false,
        },
        Action::Sleep { time: last_data },
        Action::Exchange {
            data: Payload::Text(HELLO.into()),
        },
        Action::Read { bytes: 4096 },
    ]
}

fn lane(like: &Lane, detector: Detector, actions: Vec<Action>) -> Lane {
    let step = |action| Step {
        action,
        conn: None,
        mark: None,
        number: 0,
        line: 0,
    };
    Lane {
        name: like.name.clone(),
        host: like.host.clone(),
        count: 1,
        detector,
        detector_name: "its own".to_owned(),
        sigpipe: Disposition::Ignore,
        sigterm: Disposition::Default,
        steps: actions.into_iter().map(step).collect(),
        program: None,
    }
}
