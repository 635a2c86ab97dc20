//! Predictions by simulating the whole case (`halfopen-sim`): whatever may happen over all
//! phases of the timer wheel, with the reason read from the trace of a run that shows it.

use std::time::Duration;

use crate::kernel::KernelFacts;
use crate::moments::Moments;
use crate::prediction::{OtherSign, Prediction, Unpredictable};
use crate::rule::RuleId;
use halfopen_scenario::case::{Case, SignKind};
use halfopen_sim::{Detail, Happened, Possible, Run, simulate, sweep};

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
    if swept.thin {
        return open("not simulated: each of many phases of the timer wheel".into());
    }
    match swept.possible.split_first() {
        Some((first, others)) => {
            let mut said = prediction(case, *kernel, moments, (first, others));
            if swept.by_chance {
                by_chance(&mut said, &swept.possible);
            }
            Ok(said)
        }
        None => open("not simulated: a case without a run".into()),
    }
}

fn prediction(
    case: &Case,
    kernel: KernelFacts,
    moments: &Moments,
    (first, others): (&Possible, &[Possible]),
) -> Prediction {
    let run = simulate(case, kernel, moments, first.place, Detail::Everything);
    let (because, rules) = reason(case, &run, first);
    let said = OtherSign::of(first);
    let mut prediction = Prediction {
        sign: said.sign,
        call: said.call,
        lane: said.lane,
        earliest: Duration::ZERO,
        latest: Duration::ZERO,
        branches: Vec::new(),
        first_byte: first.first_byte,
        others: others.iter().map(OtherSign::of).collect(),
        share: None,
        because,
        rules,
    };
    prediction.set_times(&said.at);
    prediction
}

/// How often each sign comes.
fn by_chance(said: &mut Prediction, possible: &[Possible]) {
    let all: usize = possible.iter().map(|possible| possible.runs).sum();
    let share = |possible: &Possible| possible.runs as f64 / all.max(1) as f64;
    said.share = possible.first().map(share);
    for (other, possible) in said.others.iter_mut().zip(possible.iter().skip(1)) {
        other.share = Some(share(possible));
    }
    let shown = possible.first().map_or(0, |possible| possible.runs);
    said.because = format!(
        "chance decides which packets are lost or late: {shown} of {all} simulated runs show \
         this; {}",
        said.because
    );
}

impl OtherSign {
    fn of(possible: &Possible) -> Self {
        let noticed = possible.kind != SignKind::Unnoticed;
        OtherSign {
            sign: possible.kind.clone(),
            call: noticed.then(|| possible.call.to_owned()),
            lane: noticed.then(|| possible.lane.clone()),
            at: possible.at.iter().filter(|_| noticed).collect(),
            share: None,
        }
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
        // Frames, and not icsk_retransmits, which is a u8 and wraps when an error
        // takes each back-off back.
        (_, Some((_, function, retransmits, _, kept))) => (
            format!(
                "sent again {} times without an acknowledgment, says {function}{}",
                retransmits.max(sent_again),
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
