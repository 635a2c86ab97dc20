//! Finds the wait of a program on its connection when the fault strikes, in its recorded
//! calls.

use std::time::Duration;

use crate::record::{Call, CallResult, EndpointRecord, FirstSign, Outcome, asked_ns, reference_ns};
use halfopen_scenario::case::{Case, Lane, SignKind};

/// Within this time after a wait ends, the call follows that shows why, or the next wait.
const FOLLOWS_WITHIN_NS: i64 = 100_000_000;

/// The connection on which a program waits when the fault strikes.
pub(super) struct Wait<'a> {
    /// The watched program.
    pub(super) program: &'a Lane,
    /// The only lane on another host.
    pub(super) peer: &'a Lane,
    /// The connection, as the program's calls name it.
    pub(super) conn: String,
    /// Whether the program connected to its peer, not the peer to it.
    pub(super) connected: bool,
    /// When the wait ended; `i64::MAX`: it did not.
    pub(super) ends_ns: i64,
    /// What ends the wait if nothing else does.
    pub(super) limit: Option<Limit>,
}

/// The time limit of a poll().
pub(super) struct Limit {
    /// The call.
    pub(super) call: String,
    /// The limit.
    pub(super) length: Duration,
    /// When it is over.
    pub(super) at_ns: i64,
}

/// The wait of the watched program.
pub(super) fn of<'a>(
    case: &'a Case,
    outcome: &Outcome,
    first: &FirstSign,
) -> Result<Wait<'a>, String> {
    let [watched] = case.watch.as_slice() else {
        return Err("several lanes are watched".into());
    };
    let program = case.lanes.iter().find(|lane| lane.name == *watched);
    let program = program.filter(|lane| lane.count == 1);
    let program = program.ok_or("several processes are watched")?;
    if program.program.is_none() {
        return Err("its peer is a program".into());
    }
    let mut others = case.lanes.iter().filter(|lane| lane.host != program.host);
    let (Some(peer), None) = (others.next(), others.next()) else {
        return Err("it has not one peer".into());
    };
    let endpoint = outcome
        .endpoints
        .iter()
        .find(|e| e.lane == program.name && e.boot == 0)
        .ok_or("it did not run")?;
    if !outcome.faults.iter().any(|fault| fault.is_fault) {
        return Err("there is no fault".into());
    }
    let asked = asked_ns(&outcome.faults);
    let conn = connection(endpoint, asked)?;
    let until = match first.since_fault_ns {
        Some(since) => reference_ns(&outcome.faults) + since,
        None => i64::MAX,
    };
    // A poll() with a limit of 0 looks, and does not wait.
    let polls = |call: &Call| is_poll(&call.call) && call.limit_ns != Some(0);
    let own = |call: &Call| on(call, &conn) && (polls(call) || is_read(&call.call));
    let several = |call: &Call| call.conn.is_none() && polls(call);
    let last = last_wait(endpoint, own, asked, until)
        .or_else(|| last_wait(endpoint, several, asked, until))
        .ok_or("it does not wait on its connection when the fault strikes")?;
    follows(last, first, until)?;
    let ends_ns = last.end_ns.unwrap_or(i64::MAX);
    nothing_else(endpoint, &conn, (asked, ends_ns), until)?;
    let connected = calls(endpoint).any(|call| call.call == "connect" && on(call, &conn));
    Ok(Wait {
        program,
        peer,
        connected,
        limit: limit(last, first)?,
        ends_ns,
        conn,
    })
}

fn calls(endpoint: &EndpointRecord) -> impl Iterator<Item = &Call> {
    endpoint.processes.iter().flat_map(|process| &process.calls)
}

fn on(call: &Call, conn: &str) -> bool {
    call.conn.as_deref() == Some(conn)
}

/// The only connection that the program had before the fault.
fn connection(endpoint: &EndpointRecord, asked: i64) -> Result<String, String> {
    // Listeners go by their own address.
    let own = format!("{}:", endpoint.host);
    let is_listener = |conn: &&str| conn.starts_with("port ") || conn.starts_with(&own);
    let before = calls(endpoint).filter(|call| call.start_ns < asked);
    let named = before.filter_map(|call| call.conn.as_deref());
    let mut conns: Vec<&str> = named.filter(|conn| !is_listener(conn)).collect();
    conns.sort_unstable();
    conns.dedup();
    match conns.as_slice() {
        [] => Err("it has no connection when the fault strikes".into()),
        [one] => Ok((*one).to_owned()),
        several => Err(format!("it has had {} connections", several.len())),
    }
}

/// The last of the waits that follow each other from the fault until the first sign: a
/// poll() may be made again, after a signal or when it ran out.
fn last_wait(
    endpoint: &EndpointRecord,
    waits: impl Fn(&Call) -> bool,
    asked: i64,
    until: i64,
) -> Option<&Call> {
    let spans = |call: &Call| call.start_ns <= asked && call.end_ns.is_none_or(|end| end > asked);
    let found = endpoint.processes.iter().find_map(|process| {
        let calls = process.calls.iter();
        let index = calls.clone().position(|call| waits(call) && spans(call))?;
        Some(&process.calls[index..])
    });
    let (mut last, later) = found?.split_first()?;
    for call in later.iter().filter(|call| waits(call)) {
        let goes_on = match (&last.result, last.end_ns) {
            (CallResult::Value(_), Some(end)) => is_poll(&last.call).then_some(end),
            (CallResult::Errno(errno), Some(end)) => (errno == "EINTR").then_some(end),
            _ => None,
        };
        match goes_on {
            Some(end) if end < until && call.start_ns - end <= FOLLOWS_WITHIN_NS => last = call,
            _ => break,
        }
    }
    Some(last)
}

/// The sign comes when the wait ends.
fn follows(last: &Call, first: &FirstSign, until: i64) -> Result<(), String> {
    if matches!(first.outcome, SignKind::Exited(_) | SignKind::Signal(_)) {
        return Err("it ends by itself".into());
    }
    // Which of the calls that follow shows what ended the poll, if any, is the program's to say.
    if first.outcome == SignKind::PollHangup {
        return Err("it does not read what ended its poll()".into());
    }
    let noticed = first.outcome != SignKind::Unnoticed;
    let ends_with_it = match last.end_ns {
        Some(end) => noticed && (until - end).abs() <= FOLLOWS_WITHIN_NS,
        None => !noticed,
    };
    match ends_with_it {
        true => Ok(()),
        false => Err("it does something else between its waits".into()),
    }
}

/// Nothing is done on the connection while the program waits, and nothing is sent on it
/// before the sign: that may be what the peer answers.
fn nothing_else(
    endpoint: &EndpointRecord,
    conn: &str,
    (asked, ends_ns): (i64, i64),
    sign_ns: i64,
) -> Result<(), String> {
    let acts = |call: &&Call| {
        let name = call.call.as_str();
        let by = |until: i64| (asked..until).contains(&call.start_ns) && on(call, conn);
        is_send(name) && by(ends_ns.max(sign_ns))
            || matches!(name, "close" | "shutdown" | "connect" | "setsockopt") && by(ends_ns)
    };
    match calls(endpoint).find(acts) {
        Some(call) => Err(format!("it calls {}() before it notices", call.call)),
        None => Ok(()),
    }
}

/// The time limit of the wait, if it may end it.
fn limit(last: &Call, first: &FirstSign) -> Result<Option<Limit>, String> {
    let limit = last.limit_ns.map(|length| Limit {
        call: last.call.clone(),
        length: Duration::from_nanos(length),
        at_ns: last.start_ns.saturating_add_unsigned(length),
    });
    let by_read = !is_poll(&last.call);
    if limit.is_none() && !by_read && first.outcome == SignKind::Timeout {
        return Err("it gives up by a time that it counts itself".into());
    }
    Ok(limit)
}

fn is_poll(call: &str) -> bool {
    ["poll", "select", "epoll"]
        .iter()
        .any(|name| call.contains(name))
}

fn is_read(call: &str) -> bool {
    call.starts_with("read") || call.starts_with("recv")
}

fn is_send(call: &str) -> bool {
    call.starts_with("write") || call.starts_with("send") || call == "splice"
}
