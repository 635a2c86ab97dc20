//! Applies one event to the testbed: signals to lanes, power of hosts, changes of
//! the network. What follows from it later is returned as tasks.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::agenda::{Boot, Restart, Task, nanos};
use super::applied::Applied;
use super::restart;
use super::testbed::Testbed;
use halfopen_lab::LabError;
use halfopen_scenario::case::{Event, EventAction};
use halfopen_sys::clock::monotonic_ns;

/// From the end of a host's last process until its network goes down. The FINs
/// that the kernel sends for the processes have left by then, as on a machine
/// whose network is stopped after its services.
pub(super) const HOST_STOP_GRACE: Duration = Duration::from_millis(200);

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
        EventAction::Suspend { host } => Applied::at(testbed.suspend(host)?),
        EventAction::Resume { host } => Applied::at(testbed.resume(host)?),
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
            Applied::power_loss(
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

fn signal_by_name(name: &str) -> Result<Signal, LabError> {
    format!("SIG{}", name.trim_start_matches("SIG"))
        .parse()
        .map_err(|_| LabError::Plan(format!("no signal is called {name}")))
}
