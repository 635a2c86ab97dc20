//! Starts the lanes of a case: first those that listen; then, when the conditions
//! of the network are in place and the case's time begins, all others.

use std::io;
use std::time::Duration;

use super::agenda::{Task, nanos};
use super::event_loop::wait_and_read;
use super::lanes::LaneProcess;
use super::marks::{LISTENERS, OTHERS};
use super::state::CaseRun;
use super::tasks::apply_event;
use halfopen_lab::LabError;
use halfopen_scenario::case::Input;
use halfopen_sys::clock::{monotonic_ns, sleep_until};

/// How long processes may take to report that they are ready, or listening.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How often it is looked whether a program that is ready after a time is.
const READY_AFTER_STEP: Duration = Duration::from_millis(20);

/// Starts all lanes, at `start_at_ns` (CLOCK_MONOTONIC) if there is one, and
/// schedules the events that have a time.
pub(super) fn start_lanes(run: &mut CaseRun<'_>, start_at_ns: Option<i64>) -> Result<(), LabError> {
    for lane in &run.case.lanes {
        run.testbed.spawn(lane)?;
    }
    wait_for_all(run, "be ready", |p| p.state().ready)?;
    run.testbed.marks.set(LISTENERS, monotonic_ns());
    wait_for_all(run, "listen", |p| {
        !p.is_server() || p.is_up() || (p.state().done && !p.is_program())
    })?;
    apply_conditions(run)?;
    if let Some(at_ns) = start_at_ns {
        sleep_until(at_ns);
    }
    run.begin();
    let t0_ns = run.t0_ns();
    run.testbed.marks.set(OTHERS, t0_ns);
    run.agenda.add_timed_events(t0_ns, run.case);
    for lane in &run.case.lanes {
        if let Some(Input::At { after, text }) = lane.program.as_ref().map(|p| &p.stdin) {
            let (lane, text) = (lane.name.clone(), text.clone());
            let input = Task::Input { lane, text };
            run.agenda.add_at(t0_ns + nanos(*after), input);
        }
    }
    Ok(())
}

/// Applies the events that describe the network as it is from the beginning.
fn apply_conditions(run: &mut CaseRun<'_>) -> Result<(), LabError> {
    for (index, event) in run.case.events.iter().enumerate() {
        if event.is_condition() {
            run.agenda.take_up(index);
            apply_event(run, event)?;
        }
    }
    Ok(())
}

/// Reads reports until all processes of all lanes are `there`.
fn wait_for_all(
    run: &mut CaseRun<'_>,
    what: &str,
    there: impl Fn(&LaneProcess) -> bool,
) -> Result<(), LabError> {
    let deadline = monotonic_ns() + nanos(START_LIMIT);
    // Nothing may be reported any more that would end the wait.
    if run.testbed.lanes.processes().iter().all(&there) {
        return Ok(());
    }
    loop {
        let all = run.testbed.lanes.processes();
        let until = match all.iter().any(LaneProcess::is_asked_again) {
            true => deadline.min(monotonic_ns() + nanos(READY_AFTER_STEP)),
            false => deadline,
        };
        wait_and_read(run, until)?;
        let processes = run.testbed.lanes.processes();
        if let Some(p) = processes.iter().find(|p| p.state().broken.is_some()) {
            let why = p.state().broken.clone().unwrap_or_default();
            return Err(match p.is_program() {
                true => failed_to_start(p, why),
                false => LabError::Plan(format!("lane {}: {why}", p.name())),
            });
        }
        if processes.iter().all(&there) {
            return Ok(());
        }
        let late = monotonic_ns() >= deadline;
        if let Some(p) = processes
            .iter()
            .find(|p| p.is_program() && !there(p) && (late || p.state().done))
        {
            return Err(failed_to_start(p, p.instead()));
        }
        if let Some(p) = processes.iter().find(|p| p.state().ended) {
            let name = p.name();
            return Err(LabError::Plan(format!(
                "lane {name} ended before it could {what}"
            )));
        }
        if late {
            return Err(LabError::Plan(format!(
                "the lanes did not {what} within {START_LIMIT:?}: is the machine overloaded?"
            )));
        }
    }
}

fn failed_to_start(p: &LaneProcess, why: String) -> LabError {
    LabError::system(
        format!("start the program of lane {}", p.name()),
        io::Error::other(why),
    )
}
