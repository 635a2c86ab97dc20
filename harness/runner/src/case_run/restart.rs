//! Restarts a lane, once or over and over: a client whose program, or whose power
//! supply, is broken.

use std::time::Duration;

use super::agenda::{Agenda, Boot, Restart, Task, nanos};
use super::applied::{Applied, MarkTime};
use super::lanes::is_server;
use super::testbed::Testbed;
use halfopen_lab::LabError;
use halfopen_sys::clock::monotonic_ns;

/// How long a host without power is down. It is built again within some 20 ms
/// on an idle machine; the rest is for a busy one.
const DOWN_TIME: Duration = Duration::from_millis(100);

/// How long until it is checked again whether a lane is back.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Restarts the lane once. The next restart follows as a task; the last one sets
/// the event's mark.
pub(super) fn restart(testbed: &mut Testbed<'_>, this: Restart) -> Result<Applied, LabError> {
    let is_last = this.number >= this.times;
    let mark = is_last.then(|| this.event.clone());
    let mut applied = if this.fin {
        let asked_ns = monotonic_ns();
        testbed.lanes.kill_lane(&this.lane)?;
        let killed = Applied::now(asked_ns);
        testbed.start_again(&this.lane)?;
        Applied {
            mark: match mark {
                Some(_) => MarkTime::At(monotonic_ns()),
                None => MarkTime::Later,
            },
            ..killed
        }
    } else {
        power_cycle(testbed, &this.lane, mark)?
    };
    if !is_last {
        let next_ns = applied.at.effective_ns + nanos(this.every);
        let next = Restart {
            number: this.number + 1,
            ..this
        };
        applied.follow_up.push((next_ns, Task::Restart(next)));
    }
    Ok(applied)
}

/// The lane's host loses power and comes back; the lane is started when the
/// host's silence has ended, so that no SYN is lost.
fn power_cycle(
    testbed: &mut Testbed<'_>,
    lane: &str,
    mark: Option<String>,
) -> Result<Applied, LabError> {
    let planned = testbed
        .planned_lane(lane)
        .ok_or_else(|| LabError::Plan(format!("no lane is called {lane}")))?;
    let at = testbed.crash(&planned.host)?;
    Ok(Applied::power_loss(
        at,
        Boot {
            host: planned.host.clone(),
            same_mac: true,
            kept: Vec::new(),
            mark,
            // Booting a host starts its servers.
            restart: (!is_server(planned)).then(|| lane.to_owned()),
            back_ns: at.effective_ns + nanos(DOWN_TIME),
        },
    ))
}

/// Whether a restarted lane is where it was: its newest process has connected or
/// listens, or its script is over. On a busy machine that takes a while, and a
/// process that is ended before leaves no trace.
pub(super) fn is_back(testbed: &Testbed<'_>, agenda: &Agenda, lane: &str) -> bool {
    let Some(planned) = testbed.planned_lane(lane) else {
        return true;
    };
    let is_booting = testbed.is_booting_host(&planned.host) || agenda.will_boot(&planned.host);
    let mut processes = testbed.lanes.processes().iter();
    !is_booting
        && processes.rfind(|p| p.lane_name() == lane).is_none_or(|p| {
            let state = p.state();
            state.connected || state.listening || state.done || state.program.is_some()
        })
}
