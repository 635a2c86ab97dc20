//! Applies one event to the testbed: signals to lanes, power of hosts, changes of
//! the network. What follows from it later is returned as tasks.

use nix::sys::signal::Signal;

use super::agenda::{Boot, Restart, Task, nanos};
use super::restart;
use super::testbed::Testbed;
use crate::fault::EffectiveAt;
use halfopen_lab::error::LabError;
use halfopen_scenario::case::{Event, EventAction};
use halfopen_sys::clock::monotonic_ns;
use std::time::Duration;

/// From the end of a host's last process until its network goes down. The FINs
/// that the kernel sends for the processes have left by then, as on a machine
/// whose network is stopped after its services.
pub(super) const HOST_STOP_GRACE: Duration = Duration::from_millis(200);

/// What applying an event did.
pub(super) struct Applied {
    pub at: EffectiveAt,
    /// What does it, where that was for the lab to choose.
    pub mechanism: Option<String>,
    pub mark: MarkTime,
    /// What is to be done later.
    pub follow_up: Vec<(i64, Task)>,
}

/// When an event's mark is set.
pub(super) enum MarkTime {
    /// When the event took effect.
    Effective,
    /// At this moment.
    At(i64),
    /// By a task that follows.
    Later,
}

impl Applied {
    /// The whole event, done by now; it was asked for at `asked_ns`.
    pub fn now(asked_ns: i64) -> Self {
        Applied::at(EffectiveAt {
            asked_ns,
            effective_ns: monotonic_ns(),
        })
    }

    /// The whole event, done then.
    pub fn at(at: EffectiveAt) -> Self {
        Applied {
            at,
            mechanism: None,
            mark: MarkTime::Effective,
            follow_up: Vec::new(),
        }
    }
}

/// Applies `event`, which was asked for at `asked_ns`.
///
/// # Errors
/// When a signal cannot be sent, or the kernel refuses the change.
pub(super) fn apply(
    testbed: &mut Testbed<'_>,
    event: &Event,
    asked_ns: i64,
) -> Result<Applied, LabError> {
    let lanes = &mut testbed.lanes;
    Ok(match &event.action {
        // The caller has recorded the sockets.
        EventAction::Netstat => Applied::now(asked_ns),
        EventAction::Kill {
            lane,
            signal,
            child,
        } => {
            lanes.signal_process(lane, signal_by_name(signal)?, *child)?;
            Applied::now(asked_ns)
        }
        EventAction::Freeze { lane } => {
            lanes.signal_lane(lane, Signal::SIGSTOP)?;
            Applied::now(asked_ns)
        }
        EventAction::Thaw { lane } => {
            lanes.signal_lane(lane, Signal::SIGCONT)?;
            Applied::now(asked_ns)
        }
        EventAction::Type { lane, text } => {
            lanes.type_text(lane, text)?;
            Applied::now(asked_ns)
        }
        EventAction::Shutdown { host, grace } => {
            lanes.signal_host(host, Signal::SIGTERM);
            let mut applied = Applied::now(asked_ns);
            let kill = Task::KillHost { host: host.clone() };
            let kill_at_ns = monotonic_ns() + nanos(*grace);
            applied.follow_up.push((kill_at_ns, kill));
            applied
        }
        EventAction::Crash { host } => Applied::at(testbed.crash(host)?),
        EventAction::Reboot {
            host,
            down_for,
            same_mac,
            keeps_state,
        } => {
            let kept = match keeps_state {
                true => testbed.flows(host)?,
                false => Vec::new(),
            };
            let at = testbed.crash(host)?;
            power_on_later(
                at,
                Boot {
                    host: host.clone(),
                    same_mac: *same_mac,
                    kept,
                    mark: Some(event.name.clone()),
                    restart: None,
                    back_ns: at.effective_ns + nanos(*down_for),
                },
            )
        }
        EventAction::Restart {
            lane,
            times,
            every,
            fin,
        } => {
            let first = Restart {
                event: event.name.clone(),
                lane: lane.clone(),
                number: 1,
                times: *times,
                every: *every,
                fin: *fin,
            };
            restart::restart(testbed, first)?
        }
        EventAction::Heal { what } => match testbed.heal(what.as_deref())? {
            Some(at) => Applied::at(at),
            None => Applied::now(asked_ns),
        },
        change => {
            let (at, mechanism) = testbed.change_network(&event.name, change)?;
            Applied {
                mechanism,
                ..Applied::at(at)
            }
        }
    })
}

/// The host, which lost power at `at`, is built again at once, while it is still
/// silent, so that the cost of building does not add to the time it is down; its
/// silence ends at its time.
pub(super) fn power_on_later(at: EffectiveAt, boot: Boot) -> Applied {
    let back_ns = boot.back_ns;
    Applied {
        mark: MarkTime::Later,
        follow_up: vec![
            (monotonic_ns(), Task::Boot(boot)),
            (back_ns, Task::EndSilence),
        ],
        ..Applied::at(at)
    }
}

fn signal_by_name(name: &str) -> Result<Signal, LabError> {
    format!("SIG{}", name.trim_start_matches("SIG"))
        .parse()
        .map_err(|_| LabError::Plan(format!("no signal is called {name}")))
}
