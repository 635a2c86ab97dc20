//! How long cases are likely to take, and how many connections they make: what
//! the order of cases depends on, here and in guests.

use std::time::Duration;

use halfopen_scenario::case::{Action, Case, Step};

/// Whether a case opens connections by the hundred.
pub fn has_many_connections(case: &Case) -> bool {
    connections(case) >= 100
}

/// How many connections the busiest of its programs makes or accepts.
pub fn connections(case: &Case) -> u64 {
    let each = case.lanes.iter().map(|lane| connections_of(&lane.steps));
    each.max().unwrap_or_default()
}

/// How many connections steps make or accept.
fn connections_of(steps: &[Step]) -> u64 {
    let one = |step: &Step| match &step.action {
        Action::Pool { connections, .. } => u64::from(*connections),
        Action::Connect { count, .. } | Action::Accept { count } => u64::from(*count),
        Action::Repeat { times, steps } => u64::from(*times).saturating_mul(connections_of(steps)),
        _ => 0,
    };
    steps.iter().map(one).fold(0, u64::saturating_add)
}

/// How long a case is likely to take: until its expected sign, or until it gives
/// up.
pub fn expected_length(case: &Case) -> Duration {
    case.expect
        .as_ref()
        .and_then(|e| e.after)
        .map_or(case.give_up, |(_, latest)| latest)
}
