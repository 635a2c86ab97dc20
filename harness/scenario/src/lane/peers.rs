//! What lanes need of each other: who listens for whom, and who sends heartbeats.

use super::Decoded;
use crate::case::{Action, HeartbeatSender, Lane, Step};
use crate::yaml::{Decoder, Problem, Span};

/// Gives each `connect` without a host the only other host that listens.
pub fn find_peers(dec: &Decoder<'_, '_>, lanes: &mut [Decoded]) {
    let listening: Vec<String> = lanes
        .iter()
        .filter(|decoded| does(&decoded.lane.steps, &listens))
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
            point_at(&mut decoded.lane.steps, only);
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

fn point_at(steps: &mut [Step], host: &str) {
    for step in steps {
        match &mut step.action {
            Action::Connect {
                to: to @ None,
                address: None,
                ..
            } => *to = Some(host.to_owned()),
            Action::Repeat { steps, .. } | Action::Serve { each: steps, .. } => {
                point_at(steps, host)
            }
            _ => {}
        }
    }
}

/// Notes a lane that waits for beats which nobody sends; `at` is the place of
/// what gives lanes their detectors.
pub fn check_senders(dec: &Decoder<'_, '_>, at: Span, lanes: &[Lane]) -> Option<()> {
    let beats =
        |beater: HeartbeatSender| {
            lanes.iter().any(|lane| {
                lane.detector.heartbeat.as_ref().is_some_and(|heart| {
                    heart.from == HeartbeatSender::Both || heart.from == beater
                }) && match beater {
                    HeartbeatSender::Client => does(&lane.steps, &connects),
                    HeartbeatSender::Server | HeartbeatSender::Both => does(&lane.steps, &listens),
                }
            })
        };
    let deaf = lanes.iter().find_map(|lane| {
        let heart = lane.detector.heartbeat.as_ref()?;
        (heart.from != HeartbeatSender::Both && !beats(heart.from)).then_some((lane, heart.from))
    });
    let Some((lane, from)) = deaf else {
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
    matches!(action, Action::Connect { .. })
}

fn listens(action: &Action) -> bool {
    matches!(action, Action::Listen { .. })
}

fn does(steps: &[Step], wanted: &dyn Fn(&Action) -> bool) -> bool {
    steps.iter().any(|step| {
        wanted(&step.action)
            || match &step.action {
                Action::Repeat { steps, .. } | Action::Serve { each: steps, .. } => {
                    does(steps, wanted)
                }
                _ => false,
            }
    })
}
