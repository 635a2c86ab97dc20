//! Collects what was observed while a case ran.

use super::state::CaseRun;
use crate::recorded::Recorded;
use halfopen_lab::LabError;

/// Takes a last look at the sockets, the wire and the lanes, and puts together
/// what was observed. The testbed is still there afterwards.
pub(super) fn collect(run: &mut CaseRun<'_>) -> Result<Recorded, LabError> {
    run.snapshot_sockets("end")?;
    run.testbed.wire.drain()?;
    for (mark, at_ns) in run.testbed.lanes.read_all_reports()? {
        run.set_mark(&mark, at_ns);
    }
    super::tasks::end_silence(run)?;
    let t0_ns = run.t0_ns();
    let captured = run.testbed.take_captured(t0_ns);
    run.testbed.lanes.check_programs()?;
    let mut surprises = run.testbed.impairment_errors();
    surprises.extend(run.testbed.lanes.failures());
    Ok(Recorded {
        programs: run.testbed.lanes.programs(t0_ns),
        endpoints: run.testbed.lanes.records(t0_ns),
        netstat: run.testbed.take_snapshots(),
        faults: run.take_faults(),
        kernel_events: Vec::new(),
        surprises,
        started_ns: Some(t0_ns),
        captured,
    })
}
