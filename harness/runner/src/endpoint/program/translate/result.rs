//! Results of a program's calls in the words of scripted endpoints, and its
//! detectors as text.

use std::time::Duration;

use halfopen_net::span::human;
use halfopen_outcome::record::{CallResult, SocketSettings};
use halfopen_trace::event::{Gave, Returned};
use halfopen_trace::{CallName, Detector, Errno};

pub(super) fn is_poll(name: CallName) -> bool {
    use CallName::{EpollPwait, EpollPwait2, EpollWait, Poll, Ppoll, Pselect6, Select};
    matches!(
        name,
        Poll | Ppoll | Select | Pselect6 | EpollWait | EpollPwait | EpollPwait2
    )
}

/// The result of a call. `own_limit` is what the program set by SO_RCVTIMEO or
/// SO_SNDTIMEO: EAGAIN after that time is that limit, and not a socket without data.
pub(super) fn result_of(returned: &Returned, at: i64, own_limit: Option<Duration>) -> CallResult {
    if let Err(Errno(errno)) = returned.result {
        let waited = Duration::from_nanos(u64::try_from(at - returned.entered_ns).unwrap_or(0));
        let limited = own_limit.is_some_and(|limit| waited >= limit);
        return match errno == libc::EAGAIN && limited {
            true => CallResult::TimedOut,
            false => CallResult::Errno(Errno(errno).name()),
        };
    }
    match &returned.gave {
        Gave::SocketError(Some(errno)) => CallResult::Errno(errno.name()),
        Gave::Ready(ready) if !ready.is_empty() => {
            let words = ready.iter().map(|ready| {
                let who = match ready.socket.listening {
                    true => "listener",
                    false => "socket",
                };
                let events = ready.events.to_string().replace("POLL", "");
                format!("{who}:{events}")
            });
            // A report has to fit into PIPE_BUF.
            let mut words: Vec<String> = words.take(16).collect();
            words.sort_unstable();
            words.dedup();
            CallResult::Ready(words)
        }
        _ => CallResult::Value(returned.result.unwrap_or_default()),
    }
}

/// What of it decides when the kernel gives up.
pub(super) fn settings(detector: &Detector) -> SocketSettings {
    SocketSettings {
        keepalive: detector.keepalive,
        idle_ns: detector.idle.map(nanoseconds),
        interval_ns: detector.interval.map(nanoseconds),
        count: detector.count,
        user_timeout_ns: detector.user_timeout.map(nanoseconds),
        receive_timeout_ns: detector.receive_timeout.map(nanoseconds),
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `keepalive 15 s/5 s/3, TCP_USER_TIMEOUT 3 s, TCP_NODELAY`; `-` is a value that the
/// program left to the kernel.
pub(super) fn detector_text(detector: &Detector) -> String {
    let mut parts = Vec::new();
    let time = |time: Option<Duration>| time.map_or("-".to_owned(), human);
    if detector.keepalive {
        let count = detector
            .count
            .map_or("-".to_owned(), |count| count.to_string());
        let (idle, interval) = (time(detector.idle), time(detector.interval));
        parts.push(format!("keepalive {idle}/{interval}/{count}"));
    }
    for (name, value) in [
        ("TCP_USER_TIMEOUT", detector.user_timeout),
        ("SO_RCVTIMEO", detector.receive_timeout),
        ("SO_SNDTIMEO", detector.send_timeout),
        ("SO_LINGER", detector.linger),
    ] {
        parts.extend(value.map(|value| format!("{name} {}", human(value))));
    }
    parts.extend(
        detector
            .syn_count
            .map(|count| format!("TCP_SYNCNT {count}")),
    );
    if detector.no_delay {
        parts.push("TCP_NODELAY".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use halfopen_scenario::internal::sign::CALLS;
    use halfopen_trace::CallName;

    /// A baseline keeps the call of a first sign, and a scenario may expect it.
    #[test]
    fn each_call_that_is_observed_can_be_written_in_a_file() {
        for call in CallName::ALL {
            assert!(CALLS.contains(&call.as_str()), "{call}");
        }
    }
}
