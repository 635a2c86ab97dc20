//! Predictions by simulating the whole case (`halfopen-sim`), for what no rule decides:
//! whatever may happen over all phases of the timer wheel, with the reason read from the
//! trace of a run that shows it.

use std::time::Duration;

use crate::kernel::KernelFacts;
use crate::moments::Moments;
use crate::prediction::{Prediction, Unpredictable};
use crate::rule::RuleId;
use crate::span::Span;
use crate::text;
use crate::wheel::Phase;
use halfopen_scenario::case::{Action, Case, EventAction, SignKind, Step, all_steps};
use halfopen_sim::{Detail, Happened, Possible, Run, simulate, sweep};

/// What the rules say where they have nothing for a case that the simulation contains. Where
/// they say that a race decides, the simulation knows no better.
const GAPS: [&str; 15] = [
    "several connections at once",
    "several connections through a router that keeps state",
    "several routers that keep state of connections",
    "a rule by addresses that a router translates",
    "packets are told apart by their ports",
    "a reject by the sender's own host",
    "a handshake that takes longer than the first RTO",
    "the network changes while a handshake is on a long line",
    "a new connection to an address that moved",
    "a client that connects again",
    "a FIN that is sent again, and the other end's data",
    "a service's address that a router translates",
    "how long a router remembers was set",
    "a host that sleeps",
    "what net.",
];

/// Whether the rules lack something that the simulation has.
pub(crate) fn is_gap(open: &Unpredictable) -> bool {
    GAPS.iter().any(|gap| open.why.starts_with(gap))
}

/// Whether the rules are known to be wrong about such a case, however sure they are: a FIN
/// and a path that comes back, filters that take a number of packets, a half-closed
/// connection through connection tracking.
pub(crate) fn is_better(case: &Case) -> bool {
    let any = |wanted: &dyn Fn(&EventAction) -> bool| case.events.iter().any(|e| wanted(&e.action));
    let counted = any(&|action| match action {
        EventAction::Drop(rule) => rule.count.is_some(),
        EventAction::Reject { rule, .. } => rule.count.is_some(),
        _ => false,
    });
    let ends = case.lanes.iter().any(|lane| closes(&lane.steps))
        || any(&|action| {
            matches!(
                action,
                EventAction::Kill { .. } | EventAction::Shutdown { .. }
            )
        });
    let silence = any(&|action| {
        matches!(
            action,
            EventAction::Cut { .. } | EventAction::Drop(_) | EventAction::Crash { .. }
        )
    });
    counted || ends && (silence || !case.network.nats.is_empty())
}

fn closes(steps: &[Step]) -> bool {
    all_steps(steps).into_iter().any(|step| {
        matches!(
            step.action,
            Action::Close { .. } | Action::HalfClose | Action::Exit
        )
    })
}

/// Predicts a case by simulation.
///
/// # Errors
/// When the model does not contain what the case needs, or when several signs may be the
/// first.
pub(crate) fn predict(
    case: &Case,
    kernel: &KernelFacts,
    moments: &Moments,
) -> Result<Prediction, Unpredictable> {
    let open = |why: String| Err(Unpredictable { why });
    if let Some(why) = crate::sysctls::missing_sysctl(case, *kernel) {
        return open(why);
    }
    let swept = sweep(case, *kernel, moments);
    if let Some(what) = swept.unknown {
        return open(format!("not simulated: {what}"));
    }
    if swept.by_chance {
        return open("chance decides which packets are lost or late".into());
    }
    let [only] = swept.possible.as_slice() else {
        return open(several(&swept.possible));
    };
    if kernel.phase == Phase::Unknown && is_thinly_sampled(only) {
        return open("not simulated: which of many wide buckets of the timer wheel it is".into());
    }
    Ok(prediction(case, *kernel, moments, only))
}

/// Whether a course is so long that the places which were tried are too few: there the
/// retransmissions are minutes apart, and so are the sides of a cliff.
fn is_thinly_sampled(possible: &Possible) -> bool {
    const LONG: Duration = Duration::from_secs(120);
    let by_budget = matches!(
        possible.function,
        Some("tcp_write_timeout()" | "tcp_probe_timer()" | "tcp_reset()")
    );
    by_budget && possible.at.hull().is_some_and(|at| at.latest > LONG)
}

/// Which signs may be the first one.
fn several(possible: &[Possible]) -> String {
    let each = possible.iter().map(|p| {
        let when = p.at.hull().map_or_else(String::new, |at| {
            format!(" after {}", text::time(at.earliest))
        });
        match &p.kind {
            SignKind::Unnoticed => "nothing until the case gives up".to_owned(),
            kind => format!("{}() {}{when}", p.call, name(kind)),
        }
    });
    let each: Vec<String> = each.collect();
    format!("what comes first is close: {}", each.join(", or "))
}

fn name(kind: &SignKind) -> String {
    match kind {
        SignKind::Errno(errno) => errno.clone(),
        SignKind::Signal(signal) => signal.clone(),
        SignKind::Eof => "end of file".into(),
        SignKind::PollHangup => "hang-up".into(),
        SignKind::Timeout => "its own time limit".into(),
        SignKind::HeartbeatLost => "a lost heartbeat".into(),
        SignKind::Exited(status) => format!("exit {status}"),
        SignKind::Unnoticed => "nothing".into(),
    }
}

fn prediction(
    case: &Case,
    kernel: KernelFacts,
    moments: &Moments,
    possible: &Possible,
) -> Prediction {
    let run = simulate(case, kernel, moments, possible.place, Detail::Everything);
    let noticed = possible.kind != SignKind::Unnoticed;
    let hull = possible.at.hull().filter(|_| noticed);
    let hull = hull.unwrap_or(Span::at(Duration::ZERO));
    let branches: Vec<Span> = possible.at.iter().collect();
    let several = noticed && branches.len() > 1;
    let (because, rules) = reason(case, &run, possible);
    Prediction {
        sign: possible.kind.clone(),
        call: noticed.then(|| possible.call.to_owned()),
        lane: noticed.then(|| possible.lane.clone()),
        earliest: hull.earliest,
        latest: hull.latest,
        branches: if several { branches } else { Vec::new() },
        first_byte: possible.first_byte,
        because,
        rules,
    }
}

/// What the trace says: which kernel function ended it, and after what.
fn reason(case: &Case, run: &Run, possible: &Possible) -> (String, Vec<RuleId>) {
    let end = run.sign.as_ref().map(|sign| sign.at);
    let before = |at: &Duration| end.is_none_or(|end| *at <= end);
    let host = case
        .lanes
        .iter()
        .find(|lane| lane.name == possible.lane)
        .and_then(|lane| case.network.nodes.iter().position(|n| n.name == lane.host));
    let mut sent_again = 0;
    let mut last_arrival = None;
    for event in run.trace.events.iter().filter(|e| before(&e.at)) {
        let Happened::Frame(frame) = &event.what else {
            continue;
        };
        let own = frame.ends[0].0 == host && Some(frame.from) == host;
        sent_again += u32::from(own && frame.again);
        if Some(frame.to) == host && frame.arrives.is_some() && !frame.flags.is_empty() {
            last_arrival = Some(frame);
        }
    }
    let decided = run.trace.events.iter().rev().find_map(|e| match &e.what {
        Happened::Kernel {
            node,
            function,
            retransmits,
            probes,
            soft,
        } if Some(*node) == host && before(&e.at) => {
            Some((e.at, *function, *retransmits, *probes, *soft))
        }
        _ => None,
    });
    let soft = |soft: Option<&str>| match soft {
        Some(errno) => format!(", and the error that was kept is {errno}"),
        None => String::new(),
    };
    let by_function = decided.filter(|_| possible.function.is_some());
    match (&possible.kind, by_function) {
        (SignKind::Unnoticed, _) => (
            "no packet that tells the program anything arrives before the case gives up".into(),
            vec![RuleId::NothingToNotice],
        ),
        (SignKind::Timeout, _) => (
            "nothing came before the program's own time limit".into(),
            vec![RuleId::OwnTimeLimit],
        ),
        (SignKind::HeartbeatLost, _) => (
            "the time limit for a sign of life has passed".into(),
            vec![RuleId::Heartbeat],
        ),
        (_, Some((_, "tcp_keepalive_timer()", _, probes, kept))) => (
            format!(
                "{probes} keepalive probes without an answer, says tcp_keepalive_timer(){}",
                soft(kept)
            ),
            vec![RuleId::Keepalive],
        ),
        (_, Some((_, "tcp_probe_timer()", _, probes, kept))) => (
            format!(
                "{probes} window probes without an answer, says tcp_probe_timer(){}",
                soft(kept)
            ),
            vec![RuleId::SendFails],
        ),
        (_, Some((_, "tcp_reset()", ..))) => {
            let drawn = match sent_again {
                0 => String::new(),
                times => format!("; own segments were sent again {times} times before"),
            };
            (
                format!("an RST arrives, and tcp_reset() ends the connection{drawn}"),
                vec![RuleId::Reset],
            )
        }
        (_, Some((_, function, retransmits, _, kept))) => (
            format!(
                "sent again {retransmits} times without an acknowledgment, says {function}{}",
                soft(kept)
            ),
            vec![if possible.call == "connect" {
                RuleId::ConnectSilence
            } else {
                RuleId::Retransmission
            }],
        ),
        (SignKind::Eof | SignKind::PollHangup, None) => {
            let again = last_arrival.is_some_and(|frame| frame.again);
            let how = if again {
                "the peer's FIN was lost and is sent again as data is; tcp_fin()"
            } else {
                "the peer's FIN arrives; tcp_fin()"
            };
            (how.into(), vec![RuleId::EndOfFile])
        }
        (kind, None) => (
            format!("{}() shows {}", possible.call, name(kind)),
            vec![RuleId::ConnectAnswer],
        ),
    }
}
