//! Makes the events of a case happen.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::life::{Booting, Later, Life, Running, base_name, listens, nanos};
use super::restart::{self, Restarting};
use crate::fault::{self, EffectiveAt};
use halfopen_lab::Flow;
use halfopen_lab::LabError;
use halfopen_outcome::record::FaultRecord;
use halfopen_scenario::case::{Event, EventAction};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::process::pidfd_open;

/// Between the end of a host's last process and the host being off: what the
/// kernel still says (FIN) has left by then, as on a machine whose network
/// goes down after its services.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long a killed process may take to be gone, in milliseconds. It takes
/// well below one; the limit only keeps a stuck one from stopping everything.
const DEATH: u16 = 1000;

/// Makes the network what it is from the beginning.
pub(super) fn conditions(life: &mut Life<'_>) -> Result<(), LabError> {
    let case = life.case;
    for (index, event) in case.events.iter().enumerate() {
        if event.is_condition() {
            life.fired[index] = true;
            happen(life, event)?;
        }
    }
    Ok(())
}

/// The case begins now.
pub(super) fn begin(life: &mut Life<'_>) {
    let built_ns = life.t0_ns;
    life.t0_ns = monotonic_ns();
    for condition in &mut life.faults {
        condition.asked_ns -= life.t0_ns - built_ns;
        condition.effective_ns -= life.t0_ns - built_ns;
    }
}

/// Does what is due.
pub(super) fn do_later(life: &mut Life<'_>, due: Later) -> Result<(), LabError> {
    match due {
        Later::Event(number) => {
            let case = life.case;
            happen(life, &case.events[number])
        }
        Later::Netstat(moment) => life.look(&moment),
        Later::KillHost { host } => {
            signal_host(life, &host, Signal::SIGKILL);
            life.schedule(LAST_WORDS, Later::PowerOff { host });
            Ok(())
        }
        Later::PowerOff { host } => {
            life.forget_sockets(&host);
            life.lab.crash(&host, &mut || ()).map(drop)
        }
        Later::Boot {
            host,
            same_mac,
            kept,
            mark,
            restart,
            back_ns,
        } => {
            let booting = Booting {
                host,
                mark,
                restart,
                back_ns,
            };
            boot(life, booting, same_mac, &kept)
        }
        Later::Back => life.bring_back(),
        Later::Restart(what) => restart::once_more(life, what),
    }
}

fn happen(life: &mut Life<'_>, event: &Event) -> Result<(), LabError> {
    if event.is_fault() {
        life.look(&format!("before {}", event.name))?;
    }
    let asked_ns = monotonic_ns();
    let mut mark_now = true;
    let mut what = fault::in_words(&event.action);
    let took = match &event.action {
        EventAction::Netstat => {
            life.look(&event.name)?;
            now(asked_ns)
        }
        EventAction::Kill {
            lane,
            signal,
            child,
        } => {
            let signal = signal_named(signal)?;
            let mut dying = Vec::new();
            for r in lane_of(life, lane) {
                let pid = match (child, r.collector.state.children.last()) {
                    (true, Some(pid)) => *pid,
                    (true, None) => return Err(LabError::Plan(format!("{lane} has no child"))),
                    (false, _) => r.endpoint.pid,
                };
                // Before the signal: afterwards it may be gone already.
                dying.extend(pidfd_open(pid).ok());
                let sent = if *child {
                    r.endpoint.signal_child(pid, signal)
                } else {
                    r.endpoint.signal(signal)
                };
                sent.map_err(|e| LabError::system(format!("send {signal} to {lane}"), e))?;
            }
            if signal == Signal::SIGKILL {
                wait_for_the_end(&dying)?;
            }
            now(asked_ns)
        }
        EventAction::Freeze { lane } => signal_lane(life, lane, Signal::SIGSTOP, asked_ns)?,
        EventAction::Thaw { lane } => signal_lane(life, lane, Signal::SIGCONT, asked_ns)?,
        EventAction::Type { lane, text } => {
            for r in lane_of(life, lane) {
                r.endpoint
                    .type_text(text)
                    .map_err(|e| LabError::system(format!("type into {lane}"), e))?;
            }
            now(asked_ns)
        }
        EventAction::Shutdown { host, grace } => {
            signal_host(life, host, Signal::SIGTERM);
            let took = now(asked_ns);
            let kill = Later::KillHost { host: host.clone() };
            life.schedule(*grace, kill);
            took
        }
        EventAction::Crash { host } => crash(life, host)?,
        EventAction::Reboot {
            host,
            down_for,
            same_mac,
            keeps_state,
        } => {
            let kept = match keeps_state {
                true => life.lab.flows(host)?,
                false => Vec::new(),
            };
            let took = crash(life, host)?;
            let back_ns = took.effective_ns + nanos(*down_for);
            let boot = Later::Boot {
                host: host.clone(),
                same_mac: *same_mac,
                kept,
                mark: Some(event.name.clone()),
                restart: None,
                back_ns,
            };
            life.schedule(Duration::ZERO, boot);
            life.schedule_at(back_ns, Later::Back);
            mark_now = false;
            took
        }
        EventAction::Restart {
            lane,
            times,
            every,
            fin,
        } => {
            let what = Restarting {
                event: event.name.clone(),
                lane: lane.clone(),
                number: 1,
                times: *times,
                every: *every,
                fin: *fin,
            };
            // Set by the last restart.
            mark_now = false;
            restart::restart(life, what)?
        }
        EventAction::Heal { what } => {
            let mut healed = now(asked_ns);
            let (undo, kept) = std::mem::take(&mut life.undo)
                .into_iter()
                .partition(|(name, _)| what.as_ref().is_none_or(|w| w == name));
            life.undo = kept;
            for (_, undo) in Vec::into_iter(undo).rev() {
                healed = fault::heal(&mut life.lab, undo)?;
            }
            healed
        }
        network => {
            let (took, undo) = fault::apply(&mut life.lab, life.case.family, network)?;
            if let Some(mechanism) = undo.mechanism() {
                what = format!("{what}, by {mechanism}");
            }
            life.undo.push((event.name.clone(), undo));
            took
        }
    };
    life.faults.push(FaultRecord {
        name: event.name.clone(),
        what,
        is_fault: event.is_fault(),
        asked_ns: took.asked_ns - life.t0_ns,
        effective_ns: took.effective_ns - life.t0_ns,
    });
    if mark_now {
        life.set_mark(&event.name, took.effective_ns);
    }
    if event.is_fault() {
        life.netstat_soon(format!("after {}", event.name));
    }
    Ok(())
}

/// SIGKILL has taken effect once the processes are gone: their descriptors are
/// closed by then (do_exit() closes files before it notifies pidfds), so the
/// FINs are out.
pub(super) fn wait_for_the_end(dying: &[OwnedFd]) -> Result<(), LabError> {
    for pidfd in dying {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(DEATH))
            .map_err(|e| LabError::system("wait for a killed process", e))?;
    }
    Ok(())
}

/// Silence first, then death.
pub(super) fn crash(life: &mut Life<'_>, host: &str) -> Result<EffectiveAt, LabError> {
    life.forget_sockets(host);
    let running = &mut life.running;
    life.lab.crash(host, &mut || {
        for r in running.iter_mut().filter(|r| r.lane.host == host) {
            // It may have ended by itself.
            let _ = r.endpoint.signal_group(Signal::SIGKILL);
        }
    })
}

/// Builds the host again while it is still silent, so that what that costs
/// does not add to the time it is down.
fn boot(
    life: &mut Life<'_>,
    booting: Booting,
    same_mac: bool,
    kept: &[Flow],
) -> Result<(), LabError> {
    let host = booting.host.clone();
    life.lab.boot(&host, same_mac)?;
    if !kept.is_empty() {
        life.lab.restore_flows(&host, kept)?;
    }
    life.note_ports();
    let boot = life.boots.entry(host.clone()).or_insert(0);
    *boot += 1;
    let boot = *boot;
    let case = life.case;
    for lane in case.lanes.iter().filter(|l| l.host == host && listens(l)) {
        life.spawn(lane, boot)?;
    }
    life.booting.push(booting);
    Ok(())
}

fn signal_host(life: &mut Life<'_>, host: &str, signal: Signal) {
    for r in life.running.iter_mut().filter(|r| r.lane.host == host) {
        // It may have ended by itself.
        let _ = r.endpoint.signal_group(signal);
    }
}

fn signal_lane(
    life: &mut Life<'_>,
    lane: &str,
    signal: Signal,
    asked_ns: i64,
) -> Result<EffectiveAt, LabError> {
    for r in lane_of(life, lane) {
        r.endpoint
            .signal_group(signal)
            .map_err(|e| LabError::system(format!("send {signal} to {lane}"), e))?;
    }
    Ok(now(asked_ns))
}

/// The processes of a lane that are still there.
pub(super) fn lane_of<'l>(
    life: &'l mut Life<'_>,
    lane: &str,
) -> impl Iterator<Item = &'l mut Running> {
    life.running
        .iter_mut()
        .filter(move |r| base_name(&r.lane.name) == lane && !r.collector.state.ended)
}

fn signal_named(name: &str) -> Result<Signal, LabError> {
    format!("SIG{}", name.trim_start_matches("SIG"))
        .parse()
        .map_err(|_| LabError::Plan(format!("no signal is called {name}")))
}

pub(super) fn now(asked_ns: i64) -> EffectiveAt {
    EffectiveAt {
        asked_ns,
        effective_ns: monotonic_ns(),
    }
}
