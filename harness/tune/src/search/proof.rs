//! Why no settings keep both promises, as text: the steps of the proof.

use std::time::Duration;

use super::Bounds;
use crate::{Path, Promises, Tuned, While};
use halfopen_predict::text::time;

/// The proof, a step a line.
pub(super) fn why(
    bounds: &Bounds<'_>,
    quick: Option<&Tuned>,
    patient: Option<&Tuned>,
) -> Vec<String> {
    let promises = bounds.promises;
    let mut lines = Vec::new();
    match promises.when {
        While::Idle => idle(promises, quick, patient, &mut lines),
        While::Sending => sending(bounds, &mut lines),
        While::Both => both(bounds, quick, patient, &mut lines),
    }
    lines
}

fn idle(
    promises: &Promises,
    quick: Option<&Tuned>,
    patient: Option<&Tuned>,
    lines: &mut Vec<String>,
) {
    let (notice, outage) = (promises.notice_within, promises.ride_out);
    lines.push(
        "idle: a crash just after a segment is noticed after idle + count x interval; idle and \
         interval are whole seconds, 1 at least, and count is 2 at least, or a single lost \
         probe would kill"
            .into(),
    );
    if quick.is_none() {
        let fastest = Duration::from_secs(3);
        lines.push(format!(
            "so nothing notices within {}: the fastest, 1 s + 2 x 1 s, takes {} and what the \
             timer wheel adds",
            time(notice),
            time(fastest)
        ));
        return;
    }
    let idle_and_interval = outage.saturating_add(Duration::from_secs(2));
    lines.push(format!(
        "idle: an outage that begins just before the first probe is over in time only if the \
         last probe leaves after it: (count - 1) x interval must reach {} and a round trip",
        time(outage)
    ));
    if idle_and_interval > notice {
        lines.push(format!(
            "idle + interval + outage is at least 1 s + 1 s + {} = {}, more than {}",
            time(outage),
            time(idle_and_interval),
            time(notice)
        ));
    } else if let Some(patient) = patient.and_then(|p| p.worst.idle) {
        lines.push(format!(
            "with whole seconds and the timer wheel's lateness the least is {}, more than {}",
            time(patient.noticed),
            time(notice)
        ));
    }
}

fn sending(bounds: &Bounds<'_>, lines: &mut Vec<String>) {
    let promises = bounds.promises;
    let (notice, outage) = (promises.notice_within, promises.ride_out);
    lines.push(format!(
        "sending: unacknowledged data is tried again after about 0.2 s and a round trip, then \
         at doubling distances{}; an outage is over in time only if one of the tries falls \
         after it",
        bounds
            .rto_max_option()
            .map_or_else(String::new, |max| format!(
                " up to {} (TCP_RTO_MAX_MS)",
                time(max)
            ))
    ));
    if let Some(least) = bounds.least_user_timeout(outage) {
        lines.push(format!(
            "sending: for {} the try that is needed comes up to {} after the first \
             retransmission, so TCP_USER_TIMEOUT must be longer than that",
            time(outage),
            time(least)
        ));
    }
    match bounds.greatest_user_timeout(notice) {
        Some(greatest) => {
            let postponed = match promises.path {
                Path::Neighbour if greatest >= Duration::from_secs(3) => {
                    ", and its end may be put off by half of it, or by two questions for a \
                     neighbour, once its entry has failed"
                }
                Path::Unreachable => ", and unreachables may put its end off by half of it",
                _ => "",
            };
            lines.push(format!(
                "sending: TCP_USER_TIMEOUT counts from the first retransmission{postponed}; so to \
                 notice within {} it may be {} at most",
                time(notice),
                time(greatest)
            ));
        }
        None => lines.push(format!(
            "sending: TCP_USER_TIMEOUT counts from the first retransmission, which alone may \
             take longer than {}",
            time(notice)
        )),
    }
}

fn both(
    bounds: &Bounds<'_>,
    quick: Option<&Tuned>,
    patient: Option<&Tuned>,
    lines: &mut Vec<String>,
) {
    let alone = |when| {
        let promises = Promises {
            when,
            ..bounds.promises.clone()
        };
        bounds.with_promises(&promises).is_possible()
    };
    let (while_idle, while_sending) = (alone(While::Idle), alone(While::Sending));
    if !while_idle {
        idle(bounds.promises, quick, patient, lines);
    }
    if !while_sending {
        sending(bounds, lines);
    }
    if while_idle && while_sending {
        lines.push(
            "each state alone can keep both promises; but one TCP_USER_TIMEOUT serves both, and \
             while idle it takes the place of the number of probes"
                .into(),
        );
        sending(bounds, lines);
        if let Some(patient) = patient {
            lines.push(format!(
                "idle: with a user timeout in that range, whole seconds and the timer wheel's \
                 lateness, a crash is noticed after {} at best",
                time(patient.worst.noticed())
            ));
        }
    }
}
