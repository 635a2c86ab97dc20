//! Descriptors: what the limit allows (RLIMIT_NOFILE) decides how many cases
//! are under way at once.

use super::marks::names_in;
use halfopen_lab::LabError;
use halfopen_scenario::case::{Case, Clock, EventAction, Lane};
use halfopen_sys::descriptors::raise_limit;

/// What the program has open besides its cases: standard descriptors, the
/// keeper, the pipes of signals and lifeline, and what two cases have open
/// for a moment while they are built.
const OWN: usize = 64;

/// Raises this process's limit as far as it may, and gives what is left for
/// the cases.
///
/// # Errors
/// When one of the cases alone needs more.
pub fn for_all(cases: &[Case]) -> Result<usize, LabError> {
    let limit = raise_limit().map_err(|e| LabError::system("read the limit of descriptors", e))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let left = limit.saturating_sub(OWN);
    let here = cases.iter().filter(|case| case.clock != Clock::Virtual);
    let Some(largest) = here.max_by_key(|case| of(case)) else {
        return Ok(left);
    };
    let needed = of(largest);
    if needed > left {
        return Err(LabError::Unsupported {
            what: format!("open enough files for {}: the limit is {limit}", largest.id),
            cure: format!(
                "cure: raise the hard limit, by `ulimit -Hn {0}` as root, or LimitNOFILE={0} in \
                 systemd",
                needed + OWN
            ),
        });
    }
    Ok(left)
}

/// How often a lane is started again: what it said before is kept, and so is
/// the end it said it by.
fn restarts(case: &Case, name: &str) -> usize {
    let times = case.events.iter().map(|event| match &event.action {
        EventAction::Restart { lane, times, .. } if lane == name => *times as usize,
        _ => 0,
    });
    times.sum()
}

/// How many descriptors a case has open at most.
///
/// Measured: a case of two hosts and one mark has 22 at once, of four nodes 30;
/// rather too many here than one too few there.
pub fn of(case: &Case) -> usize {
    // The capture, the wire's sockets, the runtime's epoll.
    let lab = 12;
    // Namespace, rtnetlink, sock_diag, nftables.
    let nodes = 4 * case.network.nodes.len();
    // Reports, keyboard, pidfd, the plan while it starts.
    let processes = |lane: &Lane| lane.count as usize * (1 + restarts(case, &lane.name));
    let lanes: usize = case.lanes.iter().map(|lane| 4 * processes(lane)).sum();
    // Both ends of a pipe.
    let marks = 2 * names_in(case).len();
    lab + nodes + lanes + marks
}
