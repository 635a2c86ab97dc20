//! The signs that an unmodified program shows: which of its calls did not go as if
//! nothing had happened, and what its user sees first.

use super::{SignCall, is_lane, sign_of as sign_of_scripted};
use crate::record::{
    Call, CallResult, EndpointRecord, ExitKind, FaultRecord, OutputLine, ProcessRecord,
    ProgramRecord, UserSees, asked_ns, reference_ns,
};
use halfopen_scenario::case::SignKind;

/// How much later than a program's end its last line may be read.
const LATE_LINE_NS: i64 = 50_000_000;

/// Within this time after poll() said so, a program asks what has happened; and within
/// this time after a time limit of its own it ends.
const ASKS_WITHIN_NS: i64 = 100_000_000;

/// The sign that tells what the first one was. A program's poll() says that something
/// is wrong, and its next read(), perhaps by another thread, says what: that is its
/// sign.
pub(super) fn told_by<'s, 'e>(
    first: &'s (&'e EndpointRecord, SignCall),
    all: &'s [(&'e EndpointRecord, SignCall)],
) -> &'s (&'e EndpointRecord, SignCall) {
    let (endpoint, sign) = first;
    if sign.kind != SignKind::PollHangup || !endpoint.program {
        return first;
    }
    let tells = |(other, later): &&(&EndpointRecord, SignCall)| {
        std::ptr::eq(*other, *endpoint)
            && matches!(later.kind, SignKind::Errno(_) | SignKind::Eof)
            && later.end_ns - sign.end_ns < ASKS_WITHIN_NS
    };
    let later = all.iter().filter(tells);
    later.min_by_key(|(_, sign)| sign.end_ns).unwrap_or(first)
}

/// The sign of a process's call with this index.
///
/// EAGAIN, EINPROGRESS, EALREADY and EINTR are how non-blocking programs work. A
/// poll() that times out is a program's own rhythm, unless it closes the
/// connection or ends because of it: directly afterwards.
pub(super) fn sign_of(process: &ProcessRecord, index: usize) -> Option<SignKind> {
    let call = process.calls.get(index)?;
    match &call.result {
        CallResult::Errno(name) => {
            let ordinary = matches!(
                name.as_str(),
                "EAGAIN" | "EINPROGRESS" | "EALREADY" | "EINTR" | "EISCONN"
            );
            (!ordinary && moves_data(&call.call)).then(|| SignKind::Errno(name.clone()))
        }
        CallResult::Value(0) if reads(&call.call) => Some(SignKind::Eof),
        CallResult::Value(0) if polls(&call.call) => {
            gives_up_after(process, index).then_some(SignKind::Timeout)
        }
        // SO_RCVTIMEO and SO_SNDTIMEO.
        CallResult::TimedOut => Some(SignKind::Timeout),
        CallResult::Ready(_) => sign_of_scripted(call),
        CallResult::Value(_) | CallResult::Blocked => None,
    }
}

fn gives_up_after(process: &ProcessRecord, index: usize) -> bool {
    // A close may be made a reset first (SO_LINGER).
    let mut later = process.calls[index + 1..].iter();
    match later.find(|call| call.call != "setsockopt") {
        Some(Call { call, .. }) => matches!(call.as_str(), "close" | "shutdown"),
        None => process.end.is_some(),
    }
}

/// The time limit that a program's end follows from: a poll of any of its threads that
/// ran out just before, and was no tick.
pub(super) fn limit_before(endpoint: &EndpointRecord, end_ns: i64) -> Option<SignCall> {
    let calls = endpoint.processes.iter().flat_map(|p| &p.calls);
    let ran_out = calls.filter_map(|call| {
        let ended = call.end_ns?;
        let is_limit = polls(&call.call)
            && call.result == CallResult::Value(0)
            && ended - call.start_ns >= SHORTEST_LIMIT_NS
            && (0..ASKS_WITHIN_NS).contains(&(end_ns - ended));
        is_limit.then(|| SignCall {
            start_ns: call.start_ns,
            end_ns: ended,
            call: call.call.clone(),
            kind: SignKind::Timeout,
        })
    });
    ran_out.max_by_key(|sign| sign.end_ns)
}

/// What waits for less has a tick.
const SHORTEST_LIMIT_NS: i64 = 1_000_000_000;

/// The sign of a program's end. SIGKILL, SIGTERM and SIGINT come from outside.
pub(super) fn sign_of_end(process: &ProcessRecord, how: &ExitKind) -> Option<SignKind> {
    if process.number > 0 {
        return None;
    }
    match how {
        ExitKind::Exited(status) => Some(SignKind::Exited(*status)),
        ExitKind::Killed(signal) => {
            let outside = matches!(signal.as_str(), "SIGKILL" | "SIGTERM" | "SIGINT");
            (!outside).then(|| SignKind::Signal(signal.clone()))
        }
    }
}

fn reads(call: &str) -> bool {
    matches!(call, "read" | "readv" | "recvfrom" | "recvmsg" | "recvmmsg")
}

fn polls(call: &str) -> bool {
    matches!(
        call,
        "poll" | "ppoll" | "select" | "pselect6" | "epoll_wait" | "epoll_pwait" | "epoll_pwait2"
    )
}

/// Whether a call's failure tells of the connection. Options that a kernel does not
/// know fail in every run.
fn moves_data(call: &str) -> bool {
    reads(call)
        || matches!(
            call,
            "connect"
                | "accept"
                | "accept4"
                | "getsockopt"
                | "write"
                | "writev"
                | "sendto"
                | "sendmsg"
                | "sendmmsg"
                | "sendfile"
                | "splice"
        )
}

/// The first line that a watched program wrote after the fault, or its end.
pub fn user_sees(
    watch: &[String],
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
    programs: &[ProgramRecord],
) -> Option<UserSees> {
    let reference = reference_ns(faults);
    // As for a sign: a fault takes effect between the request and its answer.
    let not_before = asked_ns(faults);
    let watched = |lane: &str| watch.iter().any(|w| is_lane(lane, w));
    // What a program wrote last is read from its pipe when it has ended already.
    let written = |lane: &str, at_ns: i64| {
        let ends = endpoints.iter().filter(|e| e.lane == lane);
        let ends = ends.filter_map(|e| e.processes.first()?.end.as_ref());
        let mut ends = ends.map(|end| end.at_ns);
        ends.find(|end| (*end..*end + LATE_LINE_NS).contains(&at_ns))
            .unwrap_or(at_ns)
    };
    let lines = programs.iter().filter(|p| watched(&p.lane)).flat_map(|p| {
        // Python says last what has happened.
        let of_traceback = |line: &OutputLine| {
            line.text.starts_with(' ') || line.text.starts_with("Traceback (most recent call")
        };
        let said = |line: &OutputLine| {
            let at_ns = written(&p.lane, line.at_ns);
            (
                at_ns,
                p.lane.clone(),
                format!("\"{}\"", line.text.trim_end()),
            )
        };
        let lines = p.lines.iter().filter(|l| !l.text.trim().is_empty());
        let lines = lines.filter(|line| !line.stderr || !of_traceback(line));
        lines.map(said).collect::<Vec<_>>()
    });
    let is_a_program = |lane: &str| programs.iter().any(|p| p.lane == lane);
    let ends = endpoints
        .iter()
        .filter(|e| watched(&e.lane) && is_a_program(&e.lane));
    let ends = ends.filter_map(|e| {
        let end = e.processes.first()?.end.as_ref()?;
        let how = match &end.how {
            ExitKind::Exited(status) => format!("exit {status}"),
            ExitKind::Killed(signal) => format!("died of {signal}"),
        };
        Some((end.at_ns, e.lane.clone(), how))
    });
    let first = lines
        .chain(ends)
        .filter(|(at_ns, ..)| *at_ns >= not_before)
        .min_by_key(|(at_ns, ..)| *at_ns);
    first.map(|(at_ns, lane, what)| UserSees {
        lane,
        what,
        since_fault_ns: (at_ns - reference).max(0),
    })
}

/// Watched programs that had ended before the first fault: what follows says nothing
/// about it.
pub fn ended_before(
    watch: &[String],
    faults: &[FaultRecord],
    endpoints: &[EndpointRecord],
    programs: &[ProgramRecord],
) -> Vec<String> {
    if !faults.iter().any(|fault| fault.is_fault) {
        return Vec::new();
    }
    let asked = asked_ns(faults);
    let watched = endpoints
        .iter()
        .filter(|e| watch.iter().any(|w| is_lane(&e.lane, w)) && e.boot == 0);
    let ended = watched.filter_map(|e| {
        let program = programs.iter().find(|p| p.lane == e.lane && p.boot == 0)?;
        let end = e.processes.first()?.end.as_ref()?;
        let how = match &end.how {
            ExitKind::Exited(status) => format!("with status {status}"),
            ExitKind::Killed(signal) => format!("by {signal}"),
        };
        let last = program.lines.iter().rfind(|l| !l.text.trim().is_empty());
        let last = last.map_or("it wrote nothing".to_owned(), |line| {
            format!("its last words: {}", line.text.trim_end())
        });
        let lane = &e.lane;
        (end.at_ns < asked).then(|| format!("lane {lane} ended {how} before the fault; {last}"))
    });
    ended.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ProcessEnd;

    fn process(calls: &[(&str, CallResult)], end: Option<ExitKind>) -> ProcessRecord {
        let call = |(name, result): &(&str, CallResult)| Call {
            call: (*name).into(),
            conn: None,
            line: 0,
            step: 0,
            start_ns: 0,
            end_ns: Some(1),
            result: result.clone(),
            limit_ns: None,
        };
        ProcessRecord {
            number: 0,
            thread: None,
            calls: calls.iter().map(call).collect(),
            end: end.map(|how| ProcessEnd { at_ns: 2, how }),
        }
    }

    #[test]
    fn a_poll_that_times_out_is_a_sign_only_when_the_program_gives_up() {
        let idle = || ("poll", CallResult::Value(0));
        let close = || ("close", CallResult::Value(0));
        let write = || ("write", CallResult::Value(5));
        let timeout = Some(SignKind::Timeout);
        assert_eq!(sign_of(&process(&[idle(), close()], None), 0), timeout);
        assert_eq!(
            sign_of(&process(&[idle(), write(), close()], None), 0),
            None
        );
        let ended = process(&[idle()], Some(ExitKind::Exited(255)));
        assert_eq!(sign_of(&ended, 0), timeout);
        assert_eq!(sign_of(&process(&[idle()], None), 0), None);
    }

    #[test]
    fn a_program_that_ends_too_early_is_said() {
        let fault = |asked_ns| FaultRecord {
            name: "crash".into(),
            what: "crash server".into(),
            is_fault: true,
            due_ns: None,
            asked_ns,
            effective_ns: asked_ns,
        };
        let endpoint = EndpointRecord {
            lane: "client".into(),
            host: "client".into(),
            boot: 0,
            program: true,
            processes: vec![process(&[], Some(ExitKind::Exited(7)))],
        };
        let program = ProgramRecord {
            lane: "client".into(),
            host: "client".into(),
            boot: 0,
            command: vec!["it".into()],
            lines: vec![OutputLine {
                at_ns: 1,
                stderr: true,
                text: "no route\r".into(),
            }],
            lines_left_out: 0,
            detectors: Vec::new(),
            signals: Vec::new(),
            signals_left_out: 0,
            observer: Default::default(),
            notes: Vec::new(),
        };
        let said = |faults: &[FaultRecord]| {
            let (endpoint, program) = ([endpoint.clone()], [program.clone()]);
            ended_before(&["client".into()], faults, &endpoint, &program)
        };
        assert_eq!(
            said(&[fault(3)]),
            ["lane client ended with status 7 before the fault; its last words: no route"]
        );
        assert!(said(&[fault(2)]).is_empty() && said(&[]).is_empty());
    }

    #[test]
    fn errnos_of_non_blocking_calls_are_no_signs() {
        let failed = |call, errno: &str| {
            let call = process(&[(call, CallResult::Errno(errno.into()))], None);
            sign_of(&call, 0)
        };
        for ordinary in ["EAGAIN", "EINPROGRESS", "EINTR"] {
            assert_eq!(failed("recvfrom", ordinary), None);
        }
        assert_eq!(failed("setsockopt", "ENOPROTOOPT"), None);
        let errno = SignKind::Errno("ETIMEDOUT".into());
        assert_eq!(failed("recvfrom", "ETIMEDOUT"), Some(errno));
        let eof = process(&[("recvfrom", CallResult::Value(0))], None);
        assert_eq!(sign_of(&eof, 0), Some(SignKind::Eof));
    }
}
