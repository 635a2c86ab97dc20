//! How many descriptors a case needs.

use super::marks::mark_names;
use halfopen_scenario::case::{Case, EventAction, Lane};

/// How many descriptors a case has open at most.
///
/// Measured: a case of two hosts and one mark has 22 at once, of four nodes 30.
/// The estimate is rather too high than too low.
pub(crate) fn descriptors_needed(case: &Case) -> usize {
    // The capture, the wire's sockets, the runtime's epoll.
    let lab = 12;
    // Namespace, rtnetlink, sock_diag, nftables.
    let nodes = 4 * case.network.nodes.len();
    // Reports, keyboard, pidfd, the plan while it starts.
    let processes = |lane: &Lane| lane.count as usize * (1 + restarts(case, &lane.name));
    let lanes: usize = case.lanes.iter().map(|lane| 4 * processes(lane)).sum();
    // Both ends of a pipe.
    let marks = 2 * mark_names(case).len();
    lab + nodes + lanes + marks
}

/// How often a lane is started again. The pipe and the pidfd of each earlier
/// process stay open with what it reported.
fn restarts(case: &Case, name: &str) -> usize {
    let times = case.events.iter().map(|event| match &event.action {
        EventAction::Restart { lane, times, .. } if lane == name => *times as usize,
        _ => 0,
    });
    times.sum()
}
