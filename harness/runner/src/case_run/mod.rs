//! Runs one case: [`run_case`] builds its lab, starts its lanes, applies its
//! events, collects what was observed, and tears the lab down.
//!
//! Needs a sandbox (namespaces, CAP_NET_ADMIN in them) and a program whose copies
//! can be endpoints. `schedule` calls it, on one thread for each case.
//!
//! | phase | file |
//! |---|---|
//! | build | `testbed`: lab, capture, marks; `sysctls` says what the hosts get |
//! | start | `start`: the lanes' processes, conditions, the case's time 0 |
//! | drive | `event_loop` waits; `tasks` does what is due; `apply`, `restart` change the testbed |
//! | collect, tear down | `collect` |
//!
//! `state` is what the phases share; `testbed` and `lanes` keep their state to
//! themselves.

mod agenda;
mod applied;
mod apply;
mod collect;
mod descriptors;
mod event_loop;
mod lanes;
mod marks;
mod orphan_retries;
mod restart;
mod start;
mod state;
mod sysctls;
mod tasks;
mod testbed;

use halfopen_lab::LabError;
use halfopen_outcome::record::Status;
use halfopen_scenario::case::Case;
use halfopen_sys::schedule::{Prompt, wake_promptly};

use crate::endpoint::find_program;
use crate::observe::kernel_trace::KernelTrace;
use crate::options::Options;
use crate::recorded::Ended;
pub(crate) use descriptors::descriptors_needed;
use state::CaseRun;

/// What the schedule grants a case.
pub(crate) struct Grant<P> {
    /// A processor, for as long as the case keeps one busy: dropped once the
    /// case mostly waits.
    pub processor: P,
    /// When the lanes are to start, CLOCK_MONOTONIC; None: when they are ready.
    pub start_at_ns: Option<i64>,
    /// Leave the lab standing instead of tearing it down.
    pub leave_lab: bool,
}

/// Builds the lab, runs the case, collects its record, and tears the lab down.
///
/// # Errors
/// When the lab cannot be built, a lane cannot be started, or the kernel refuses
/// an event.
pub(crate) fn run_case<P>(
    case: &Case,
    options: &Options,
    grant: Grant<P>,
) -> Result<Ended, LabError> {
    for lane in &case.lanes {
        if let Some(program) = &lane.program {
            find_program(&lane.name, program)?;
        }
    }
    let mut run = CaseRun::build(case, options)?;
    let kernel_trace = match options.explain {
        true => Some(KernelTrace::start()?),
        false => None,
    };
    start::start_lanes(&mut run, grant.start_at_ns)?;
    // In virtual time waiting costs nothing and the only processor is slow, so the
    // case keeps it until its first faults have been applied.
    let processor = options.virtual_time.then_some(grant.processor);
    // Faults are to be applied, and stamped, without delay. Only from here on:
    // building is work that can wait for its turn.
    wake_promptly(Prompt::Runner);
    if !event_loop::drive_events(&mut run, processor)? {
        return Ok(Ended::Not(Status::NotRun("interrupted".into())));
    }
    let mut recorded = collect::collect(&mut run)?;
    if let Some(trace) = kernel_trace {
        let captured = &recorded.captured;
        recorded.kernel_events = trace.read(&captured.node_of, captured.t0_ns)?;
    }
    run.tear_down(grant.leave_lab);
    // In real time the start differs in every run and explains nothing.
    recorded.started_ns = recorded.started_ns.filter(|_| options.virtual_time);
    Ok(Ended::Ran(Box::new(recorded)))
}
