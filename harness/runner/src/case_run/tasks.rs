//! Does the tasks of a case's agenda, and records what came of them: what
//! happened when, the marks it set, the sockets before and after.

use super::agenda::{Restart, Task};
use super::applied::{Applied, MarkTime};
use super::apply::{self, HOST_STOP_GRACE};
use super::restart;
use super::state::CaseRun;
use crate::fault::{self, EffectiveAt};
use halfopen_lab::LabError;
use halfopen_scenario::case::{Event, EventAction};
use halfopen_sys::clock::monotonic_ns;
use nix::sys::signal::Signal;

/// Does one task that is due.
pub(super) fn do_task(run: &mut CaseRun<'_>, task: Task) -> Result<(), LabError> {
    match task {
        Task::Event(index) => apply_event(run, &run.case.events[index]),
        Task::Snapshot(moment) => run.snapshot_sockets(&moment),
        Task::KillHost { host } => {
            run.testbed.lanes.signal_host(&host, Signal::SIGKILL);
            run.agenda
                .add_after(HOST_STOP_GRACE, Task::PowerOff { host });
            Ok(())
        }
        Task::Input { lane, text } => run.testbed.lanes.write_to_program(&lane, &text),
        Task::PowerOff { host } => run.testbed.power_off(&host),
        Task::Boot(boot) => run.testbed.boot(boot),
        Task::EndSilence => end_silence(run),
        Task::Restart(restart) => restart_again(run, restart),
    }
}

/// Applies an event of the case and records it.
pub(super) fn apply_event(run: &mut CaseRun<'_>, event: &Event) -> Result<(), LabError> {
    if event.is_fault() {
        run.snapshot_sockets(&format!("before {}", event.name))?;
    }
    let asked_ns = monotonic_ns();
    let mut what = fault::describe(&event.action);
    if matches!(event.action, EventAction::Netstat) {
        run.snapshot_sockets(&event.name)?;
    }
    let silent = silence_first(run, event)?;
    let mut applied = apply::apply(&mut run.testbed, event, asked_ns)?;
    if let Some(at) = silent {
        applied.at = at;
    }
    if let Some(mechanism) = &applied.mechanism {
        what = format!("{what}, by {mechanism}");
    }
    record(run, &event.name, what, event.is_fault(), applied);
    if event.is_fault() {
        run.snapshot_sockets_soon(format!("after {}", event.name));
    }
    Ok(())
}

/// A crash takes effect when the host is silent, and lanes that wait for it go on at
/// that moment. Deleting the host's interfaces, which nobody can see any more, takes
/// tens of milliseconds while other labs do the same (rtnl_lock() is one for all
/// namespaces): their writes would come as much later after the fault.
fn silence_first(run: &mut CaseRun<'_>, event: &Event) -> Result<Option<EffectiveAt>, LabError> {
    let EventAction::Crash { host } = &event.action else {
        return Ok(None);
    };
    let at = run.testbed.silence(host)?;
    run.set_mark(&event.name, at.effective_ns);
    Ok(Some(at))
}

/// A restart after the first, unless the lane is not back from the last one:
/// then it is tried again a little later.
fn restart_again(run: &mut CaseRun<'_>, this: Restart) -> Result<(), LabError> {
    if !restart::is_back(&run.testbed, &run.agenda, &this.lane) {
        run.agenda
            .add_after(restart::RETRY_INTERVAL, Task::Restart(this));
        return Ok(());
    }
    let (event, number) = (this.event.clone(), this.number);
    let what = format!("restart {}, {number} of {}", this.lane, this.times);
    let applied = restart::restart(&mut run.testbed, this)?;
    record(run, &event, what, true, applied);
    run.snapshot_sockets_soon(format!("after {event}, number {number}"));
    Ok(())
}

fn record(run: &mut CaseRun<'_>, name: &str, what: String, is_fault: bool, applied: Applied) {
    for (at_ns, task) in applied.follow_up {
        run.agenda.add_at(at_ns, task);
    }
    run.record_fault(name, what, is_fault, applied.at);
    match applied.mark {
        MarkTime::Effective => run.set_mark(name, applied.at.effective_ns),
        MarkTime::At(at_ns) => run.set_mark(name, at_ns),
        MarkTime::Later => {}
    }
}

/// Ends the silence of hosts that have been down long enough and whose servers
/// listen, starts the lanes that wait for that, and sets the marks.
pub(super) fn end_silence(run: &mut CaseRun<'_>) -> Result<(), LabError> {
    for (mark, at_ns) in run.testbed.end_silence()? {
        run.set_mark(&mark, at_ns);
    }
    Ok(())
}
