//! Checks what lanes need of each other: a host that listens, and a sender of beats.

use super::Decoded;
use crate::case::{Action, HeartbeatSender, Lane, Step, all_steps};
use crate::yaml::{Decoder, Problem, Span};

/// Sets the host of each `connect` without one to the only other host that listens.
pub fn find_peers(dec: &Decoder<'_, '_>, lanes: &mut [Decoded]) {
    let listening: Vec<String> = lanes
        .iter()
        .filter(|decoded| decoded.lane.is_server() || does(&decoded.lane.steps, &listens))
        .map(|decoded| decoded.lane.host.clone())
        .collect();
    for decoded in lanes {
        let mut others: Vec<&String> = listening
            .iter()
            .filter(|host| **host != decoded.lane.host)
            .collect();
        others.sort();
        others.dedup();
        if let [only] = others.as_slice() {
            set_peer(&mut decoded.lane.steps, only);
            continue;
        }
        for span in &decoded.bare_connects {
            let problem = match others.len() {
                0 => Problem::new(*span, "no other host listens")
                    .help("`connect: HOST` also connects to a host where nobody listens"),
                _ => Problem::new(*span, format!("{} other hosts listen", others.len())),
            };
            dec.problem(problem.expected("`connect: HOST`"));
        }
    }
}

fn set_peer(steps: &mut [Step], host: &str) {
    for step in steps {
        match &mut step.action {
            Action::Connect {
                to: to @ None,
                address: None,
                ..
            }
            | Action::Pool { to: to @ None, .. } => *to = Some(host.to_owned()),
            Action::Repeat { steps, .. }
            | Action::Serve { each: steps, .. }
            | Action::Beside { steps } => set_peer(steps, host),
            _ => {}
        }
    }
}

/// Notes a lane that waits for beats which no lane sends. `at` is the place of the
/// problem: the key that assigns detectors to lanes.
pub fn check_senders(dec: &Decoder<'_, '_>, at: Span, lanes: &[Lane]) -> Option<()> {
    let are_sent_by = |sender: HeartbeatSender| {
        lanes.iter().any(|lane| {
            lane.detector.heartbeat.as_ref().is_some_and(|heartbeat| {
                heartbeat.from == HeartbeatSender::Both || heartbeat.from == sender
            }) && match sender {
                HeartbeatSender::Client => does(&lane.steps, &connects),
                HeartbeatSender::Server | HeartbeatSender::Both => does(&lane.steps, &listens),
            }
        })
    };
    let waiting = lanes.iter().find_map(|lane| {
        let heartbeat = lane.detector.heartbeat.as_ref()?;
        (heartbeat.from != HeartbeatSender::Both && !are_sent_by(heartbeat.from))
            .then_some((lane, heartbeat.from))
    });
    let Some((lane, from)) = waiting else {
        return Some(());
    };
    let (end, does) = match from {
        HeartbeatSender::Client => ("client", "connects"),
        HeartbeatSender::Server | HeartbeatSender::Both => ("server", "listens"),
    };
    dec.problem(
        Problem::new(
            at,
            format!(
                "nobody sends the beats of `{}`, which `{}` waits for",
                lane.detector_name, lane.name
            ),
        )
        .expected(format!(
            "a heartbeat on a lane that {does}: `detector_on: both`, or that lane's own `detector:`"
        ))
        .note(format!("its beats come from the {end}")),
    );
    None
}

fn connects(action: &Action) -> bool {
    matches!(action, Action::Connect { .. } | Action::Pool { .. })
}

fn listens(action: &Action) -> bool {
    matches!(action, Action::Listen { .. })
}

fn does(steps: &[Step], wanted: &dyn Fn(&Action) -> bool) -> bool {
    all_steps(steps).iter().any(|step| wanted(&step.action))
}
