//! The event loop of a case: one thread waits in ppoll() for reports of the
//! lanes, ends of their processes, frames of the capture, an interrupt, and the
//! next task's time.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::time::TimeSpec;

use super::agenda::{SETTLE_TIME, nanos};
use super::state::CaseRun;
use super::tasks::{do_task, end_silence};
use halfopen_lab::LabError;
use halfopen_sys::clock::monotonic_ns;

/// How long a case has the processor to itself in virtual time.
const ALONE: Duration = Duration::from_millis(700);

/// Does every task at its time until the case is over. `processor` is dropped
/// when the case no longer needs one for itself. `false`: interrupted.
pub(super) fn drive_events<P>(
    run: &mut CaseRun<'_>,
    processor: Option<P>,
) -> Result<bool, LabError> {
    if let Some(processor) = processor {
        let alone_until = run.t0_ns() + nanos(ALONE);
        if !drive_until(run, Some(alone_until))? {
            return Ok(false);
        }
        drop(processor);
    }
    drive_until(run, None)
}

/// Does every task at its time until the case is over, or until `pause_ns`
/// (CLOCK_MONOTONIC). `false`: interrupted.
fn drive_until(run: &mut CaseRun<'_>, pause_ns: Option<i64>) -> Result<bool, LabError> {
    let give_up = run.t0_ns() + nanos(run.case.give_up);
    let mut end = give_up;
    loop {
        while let Some(due) = run.agenda.take_due() {
            do_task(run, due)?;
        }
        if end == give_up && is_over(run) {
            end = give_up.min(monotonic_ns() + nanos(SETTLE_TIME));
        }
        if monotonic_ns() >= end || pause_ns.is_some_and(|at| monotonic_ns() >= at) {
            return Ok(true);
        }
        let next = run.agenda.next_ns().into_iter().chain(pause_ns).min();
        if !wait_and_read(run, next.unwrap_or(end).min(end))? {
            return Ok(false);
        }
    }
}

/// Whether nothing that anybody watches for can happen any more.
fn is_over(run: &CaseRun<'_>) -> bool {
    let watched = run.testbed.lanes.processes().iter();
    run.agenda.is_done()
        && !run.testbed.is_booting()
        && watched
            .filter(|p| run.case.watch.iter().any(|lane| lane == p.lane_name()))
            .all(|p| p.state().done || p.state().ended)
}

/// Sleeps until there is something to read or until `deadline_ns`
/// (CLOCK_MONOTONIC), and reads it. `false`: interrupted.
pub(super) fn wait_and_read(run: &mut CaseRun<'_>, deadline_ns: i64) -> Result<bool, LabError> {
    let mut fds = vec![PollFd::new(run.testbed.wire.as_fd(), PollFlags::POLLIN)];
    if let Some(fd) = run.interrupt {
        fds.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    }
    run.testbed.lanes.add_poll_fds(&mut fds);
    let wait = Duration::from_nanos(u64::try_from(deadline_ns - monotonic_ns()).unwrap_or(0));
    match nix::poll::ppoll(&mut fds, Some(TimeSpec::from_duration(wait)), None) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(e) => return Err(LabError::system("wait for endpoints", e)),
    }
    let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
    let has_interrupt = run.interrupt.is_some();
    let interrupted = has_interrupt && is_ready(&fds[1]);
    let has_frames = is_ready(&fds[0]);
    let of_lanes = &fds[1 + usize::from(has_interrupt)..];
    let ready_lanes: Vec<bool> = of_lanes
        .chunks(super::lanes::FDS_OF_A_PROCESS)
        .map(|process| process.iter().any(is_ready))
        .collect();
    drop(fds);
    if has_frames {
        run.testbed.wire.drain()?;
    }
    for (mark, at_ns) in run.testbed.lanes.read_reports(&ready_lanes)? {
        run.set_mark(&mark, at_ns);
    }
    end_silence(run)?;
    Ok(!interrupted)
}
