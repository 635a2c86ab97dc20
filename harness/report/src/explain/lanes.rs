//! Lanes and detectors in sentences.

use halfopen_net::span::human;
use halfopen_scenario::case::{
    Action, Detector, HeartbeatSender, KeepaliveBy, Lane, OnEof, Payload, Step,
};

/// What a lane does: `client connects, and reads.`
pub(super) fn lane(lane: &Lane) -> String {
    let who = match (lane.name == lane.host, lane.count) {
        (true, 1) => lane.name.clone(),
        (false, 1) => format!("{} on {}", lane.name, lane.host),
        (_, n) => format!("{n} processes {} on {}", lane.name, lane.host),
    };
    match &lane.program {
        Some(program) => format!("{who} runs the program `{}`.", program.run.join(" ")),
        None => format!("{who} {}.", steps(&lane.steps)),
    }
}

fn steps(steps: &[Step]) -> String {
    let words: Vec<String> = steps.iter().map(step).collect();
    match words.as_slice() {
        [] => "does nothing".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}

fn step(step: &Step) -> String {
    let mut text = action(&step.action);
    if let Some(conn) = &step.conn {
        text.push_str(&format!(" ({conn})"));
    }
    text
}

fn action(action: &Action) -> String {
    let times = |n: u32, what: &str| match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    match action {
        Action::Listen { .. } => "listens".into(),
        Action::Accept { count } => format!("accepts {}", times(*count, "connection")),
        Action::Serve { fork, each } => {
            let how = if *fork { " in a child of its own" } else { "" };
            format!(
                "accepts for ever, and serves each connection{how}: it {}",
                steps(each)
            )
        }
        Action::Multiplex { slots, on_eof, .. } => {
            let slots = slots.map_or(String::new(), |n| format!(", {n} at a time"));
            let eof = match on_eof {
                OnEof::Close => "",
                OnEof::Ignore => " and ignores their end of file",
            };
            format!("serves all connections by poll(){slots}{eof}")
        }
        Action::Echo => "echoes what it reads".into(),
        Action::Connect {
            to, address, count, ..
        } => {
            let to = to
                .as_deref()
                .map(str::to_owned)
                .or(address.map(|a| a.to_string()));
            let to = to.map_or(String::new(), |to| format!(" to {to}"));
            match count {
                1 => format!("connects{to}"),
                n => format!("connects {n} times{to}"),
            }
        }
        Action::Pool {
            connections,
            max_idle,
            retry,
            ..
        } => {
            let idle = max_idle.map_or(String::new(), |limit| {
                format!(
                    ", none of which it uses after more than {} without use",
                    human(limit)
                )
            });
            let again = if *retry {
                "; a request that fails is made once more"
            } else {
                ""
            };
            format!("opens a pool of {connections} connections{idle}{again}")
        }
        Action::Request { data } => {
            format!("sends {} by the pool and reads the answer", payload(data))
        }
        Action::Exchange { data } => format!("sends {} and reads the answer", payload(data)),
        Action::Write { data } => format!("writes {}", payload(data)),
        Action::Read { .. } => "reads".into(),
        Action::Drain => "reads until the end".into(),
        Action::Poll { timeout, keyboard } => {
            let limit = timeout.map_or(String::new(), |t| format!(" for up to {}", human(t)));
            let also = if *keyboard { " and its keyboard" } else { "" };
            format!("polls the socket{also}{limit}")
        }
        Action::Keyboard => "reads from its keyboard".into(),
        Action::Set { options } => match options.len() {
            1 => "sets an option of the socket".into(),
            n => format!("sets {n} options of the socket"),
        },
        Action::Beside { steps: each } => format!("has a second thread, which {}", steps(each)),
        Action::Relay { .. } => "passes on what comes from either of two connections".into(),
        Action::HalfClose => "shuts its sending side down".into(),
        Action::Close { .. } => "closes".into(),
        Action::Sleep { time } => format!("sleeps for {}", human(*time)),
        Action::WaitFor { mark } => format!("waits for `{mark}`"),
        Action::Exit => "exits".into(),
        Action::Repeat { times, steps: each } => format!("{times} times {}", steps(each)),
    }
}

fn payload(data: &Payload) -> String {
    match data {
        Payload::Text(text) => format!("{text:?}"),
        Payload::Bytes(n) => format!("{n} bytes"),
    }
}

/// How a lane notices; None for one that has nothing.
pub(super) fn detector(lane: &Lane) -> Option<String> {
    let Detector {
        keepalive,
        user_timeout,
        read_timeout,
        poll,
        heartbeat,
        options,
    } = &lane.detector;
    let mut has = Vec::new();
    if let Some(keepalive) = keepalive {
        let value =
            |time: Option<std::time::Duration>| time.map_or("the sysctl's time".to_owned(), human);
        let count = keepalive
            .count
            .map_or("the sysctl's number of".to_owned(), |n| n.to_string());
        let by = match keepalive.by {
            KeepaliveBy::Socket => "",
            KeepaliveBy::Sysctl => ", set by sysctl",
        };
        has.push(format!(
            "keepalive after {} of silence, then every {}, {count} probes{by}",
            value(keepalive.idle),
            value(keepalive.interval)
        ));
    }
    if !options.is_empty() {
        has.push("socket options of its own".to_owned());
    }
    has.extend(user_timeout.map(|t| format!("TCP_USER_TIMEOUT of {}", human(t))));
    has.extend(read_timeout.map(|t| format!("SO_RCVTIMEO of {}", human(t))));
    has.extend(poll.map(|t| format!("a poll() of {} before each read", human(t))));
    if let Some(beat) = heartbeat {
        let from = match beat.from {
            HeartbeatSender::Client => "the client",
            HeartbeatSender::Server => "the server",
            HeartbeatSender::Both => "both ends",
        };
        let answered = if beat.answered { ", answered" } else { "" };
        has.push(format!(
            "a heartbeat from {from} every {}{answered}, and {} of silence is too long",
            human(beat.every),
            human(beat.timeout)
        ));
    }
    let has = has.join("; ");
    (!has.is_empty()).then(|| format!("{} has a detector: {has}.", lane.name))
}
