//! What will happen to a socket that stands there.

use std::time::Duration;

use halfopen_net::{Family, SocketState};

use crate::prediction::{Prediction, Unpredictable};
use crate::question::{Fault, InFlight, Question};
use crate::{KernelFacts, Version, predict};

/// What the socket's program does when the fault has struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It waits in `read()`.
    Read,
    /// It writes at once, then waits in `read()`.
    WriteThenRead,
}

/// The retransmission timeout on a line without delay: TCP_RTO_MIN, and what the round trip
/// adds on a machine that is not late (tcp_set_rto()).
const RTO: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(200)..=Duration::from_millis(212);

/// Data that was sent so long ago and is not acknowledged is lost, and is about to be sent
/// again.
const IN_FLIGHT: Duration = Duration::from_millis(100);

/// Predicts what happens to a socket if `fault` strikes now: the sign, and when, counted
/// from now. Its peer is on the same line, which has no delay and no router. Options that
/// are set later, and sysctls of other hosts, are not known to it.
///
/// ```
/// # use std::time::Duration;
/// # use halfopen_net::{Family, SocketState};
/// use halfopen_predict::{Fault, Next, predict_socket};
///
/// # let state = SocketState {
/// #     family: Family::Ipv4,
/// #     established: true,
/// #     keepalive: Some((Duration::from_secs(60), Duration::from_secs(20), 3)),
/// #     user_timeout: None,
/// #     idle: Duration::from_secs(10),
/// #     since_sent: Duration::from_secs(10),
/// #     queued: 0,
/// #     unacked: 0,
/// #     retransmits: 0,
/// #     probes: 0,
/// #     rto: Duration::from_millis(204),
/// #     sysctls: [].into(),
/// #     kernel: "6.12.9".into(),
/// #     hz: 250,
/// # };
/// // let state = lab.socket_state("client", &stream)?;
/// let prediction = predict_socket(&state, Fault::Crash, Next::Read)?;
/// // 60 s after the last segment, which came 10 s ago, and 3 probes 20 s apart.
/// assert!(prediction.earliest > Duration::from_secs(109));
/// assert!(prediction.latest < Duration::from_secs(115));
/// # Ok::<(), halfopen_predict::Unpredictable>(())
/// ```
///
/// # Errors
/// When the socket's state is none that a prediction can begin with: it is closing, its
/// peer's window is closed, data has been sent again already, its retransmission timeout is
/// that of a slow line. And as [`predict`].
pub fn predict_socket(
    state: &SocketState,
    fault: Fault,
    next: Next,
) -> Result<Prediction, Unpredictable> {
    let open = |why: String| Unpredictable { why };
    let in_flight = in_flight(state, next).map_err(open)?;
    let version = Version::parse(&state.kernel)
        .ok_or_else(|| open(format!("the kernel's release {} is unknown", state.kernel)))?;
    let question = Question {
        keepalive: state.keepalive.map(|(idle, interval, count)| {
            let seconds = |time: Duration| format!("{}s", time.as_secs());
            [seconds(idle), seconds(interval), count.to_string()]
        }),
        user_timeout: state.user_timeout.map(ms),
        fault,
        in_flight,
        network: None,
        family: Some(match state.family {
            Family::Ipv4 => "ipv4".to_owned(),
            Family::Ipv6 => "ipv6".to_owned(),
        }),
        idle: Some(ms(state.idle.max(Duration::from_millis(1)))),
        sysctls: state.sysctls.clone().into_iter().collect(),
    };
    let catalogue = halfopen_scenario::parse("this socket", &question.scenario())
        .map_err(|errors| open(format!("its state makes no case: {errors}")))?;
    let case = catalogue.cases.into_iter().next();
    let case = case.ok_or_else(|| open("its state makes no case".into()))?;
    let mut prediction = predict(&case, &KernelFacts::new(version, state.hz))?;
    if in_flight == InFlight::Before {
        // The case's data was sent 1 ms before its fault.
        let ago = state.since_sent.saturating_sub(Duration::from_millis(1));
        prediction.earlier_by(ago);
    }
    Ok(prediction)
}

/// What the question is to have in flight, or why there is none like it.
fn in_flight(state: &SocketState, next: Next) -> Result<InFlight, String> {
    if !state.established {
        return Err("the socket is not connected, or is closing".into());
    }
    let waits = state.queued > 0;
    if (waits && state.unacked == 0) || (state.probes > 0 && state.keepalive.is_none()) {
        return Err("its peer's window is closed".into());
    }
    if state.probes > 0 {
        return Err(format!("{} of its probes are unanswered", state.probes));
    }
    if state.retransmits > 0 || (waits && state.since_sent > IN_FLIGHT) {
        return Err("what it has sent is being sent again already".into());
    }
    let in_flight = match (waits, next) {
        (true, _) => InFlight::Before,
        (false, Next::WriteThenRead) => InFlight::After,
        (false, Next::Read) => InFlight::None,
    };
    if in_flight != InFlight::None && !RTO.contains(&state.rto) {
        return Err(format!(
            "its retransmission timeout is {:?}, that of a line with a delay, or of a machine that was late",
            state.rto
        ));
    }
    Ok(in_flight)
}

fn ms(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_scenario::case::SignKind;

    fn idle() -> SocketState {
        SocketState {
            family: Family::Ipv4,
            established: true,
            keepalive: None,
            user_timeout: None,
            idle: Duration::from_secs(3),
            since_sent: Duration::from_secs(3),
            queued: 0,
            unacked: 0,
            retransmits: 0,
            probes: 0,
            rto: Duration::from_millis(204),
            sysctls: [].into(),
            kernel: "6.12.9-amd64".into(),
            hz: 250,
        }
    }

    #[test]
    fn nothing_watches_an_idle_socket() {
        let prediction = predict_socket(&idle(), Fault::Crash, Next::Read);
        assert_eq!(prediction.map(|p| p.sign), Ok(SignKind::Unnoticed));
    }

    #[test]
    fn data_ends_by_the_hosts_sysctl() {
        let mut state = idle();
        let quarter = predict_socket(&state, Fault::Crash, Next::WriteThenRead).expect("it can");
        assert!(quarter.earliest > Duration::from_secs(900), "{quarter:?}");
        state
            .sysctls
            .insert("net.ipv4.tcp_retries2".into(), "3".into());
        let short = predict_socket(&state, Fault::Crash, Next::WriteThenRead).expect("it can");
        assert!(short.latest < Duration::from_secs(10), "{short:?}");
        // What was sent before the fault gives up as much sooner.
        state.queued = 5;
        state.unacked = 1;
        state.since_sent = Duration::from_millis(60);
        let sent = predict_socket(&state, Fault::Crash, Next::Read).expect("it can");
        assert!(sent.latest < short.latest, "{sent:?} {short:?}");
    }

    #[test]
    fn what_it_cannot_begin_with_is_said() {
        let why = |change: fn(&mut SocketState)| {
            let mut state = idle();
            change(&mut state);
            predict_socket(&state, Fault::Crash, Next::WriteThenRead)
                .expect_err("not predictable")
                .why
        };
        assert!(why(|s| s.established = false).contains("closing"));
        assert!(why(|s| s.queued = 9).contains("window"));
        assert!(why(|s| s.rto = Duration::from_millis(320)).contains("320ms"));
        assert!(
            why(|s| {
                s.queued = 9;
                s.unacked = 1;
                s.retransmits = 2;
            })
            .contains("again")
        );
        assert!(why(|s| s.kernel = "odd".into()).contains("odd"));
    }
}
