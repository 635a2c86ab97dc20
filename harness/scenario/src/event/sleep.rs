//! Checks `suspend` and `resume`. A sleeping machine's kernel counts no time
//! (CLOCK_MONOTONIC stops, clock_gettime(2)); in a lab all hosts share one kernel, whose
//! timers run on. What such a timer would decide is refused here.

use crate::case::{Case, Detector, Event, EventAction, Lane};
use crate::yaml::{Decoder, Problem, Span};

/// Notes hosts that wake up and never slept; `spans` are the places of the events.
pub(super) fn check_wakers(dec: &Decoder<'_, '_>, events: &[Event], spans: &[Span]) -> Option<()> {
    let sleeps = |name: &str| {
        let this =
            |action: &EventAction| matches!(action, EventAction::Suspend { host } if host == name);
        events.iter().any(|event| this(&event.action))
    };
    let mut valid = Some(());
    for (event, span) in events.iter().zip(spans) {
        if let EventAction::Resume { host } = &event.action
            && !sleeps(host)
        {
            let problem = Problem::new(*span, format!("`{host}` wakes up and never slept"))
                .expected(format!("an event `suspend: {host}` before it"));
            dec.problem(problem);
            valid = None;
        }
    }
    valid
}

/// Notes lanes of sleeping hosts whose timers would decide what the case shows. `place`
/// is where the scenario says who is watched, or its own place.
pub fn check_sleepers(dec: &Decoder<'_, '_>, case: &Case, place: Span) -> Option<()> {
    let suspends = |name: &str| {
        let this =
            |action: &EventAction| matches!(action, EventAction::Suspend { host } if host == name);
        case.events.iter().any(|event| this(&event.action))
    };
    let resumes = |name: &str| {
        let this =
            |action: &EventAction| matches!(action, EventAction::Resume { host } if host == name);
        case.events.iter().find(|event| this(&event.action))
    };
    let timers_decide = |lane: &&Lane| {
        let detector = &lane.detector;
        let in_the_kernel = detector.keepalive.is_some() || detector.user_timeout.is_some();
        suspends(&lane.host)
            && (in_the_kernel && resumes(&lane.host).is_some()
                || *detector != Detector::default() && case.watch.contains(&lane.name))
    };
    let Some(lane) = case.lanes.iter().find(timers_decide) else {
        return Some(());
    };
    let problem = Problem::new(
        place,
        format!(
            "`{}` has the detector `{}`, and its host sleeps",
            lane.name, lane.detector_name
        ),
    )
    .expected("detectors on lanes of other hosts")
    .help(
        "in a lab the timers of a sleeping host run on: what they show is not what a machine shows",
    );
    dec.problem(problem);
    None
}
