//! What the phases of a case share: the testbed, the agenda, the case's time 0
//! and the faults applied so far.

use std::os::fd::OwnedFd;

use super::agenda::{Agenda, Task};
use super::testbed::Testbed;
use crate::fault::EffectiveAt;
use crate::options::Options;
use halfopen_lab::LabError;
use halfopen_outcome::record::FaultRecord;
use halfopen_scenario::case::Case;
use halfopen_sys::clock::monotonic_ns;

/// A case being run.
pub(super) struct CaseRun<'a> {
    pub case: &'a Case,
    pub testbed: Testbed<'a>,
    pub agenda: Agenda,
    /// Readable when the run is to end.
    pub interrupt: Option<&'a OwnedFd>,
    t0_ns: i64,
    faults: Vec<FaultRecord>,
}

impl<'a> CaseRun<'a> {
    /// Builds the testbed. Nothing runs yet.
    pub fn build(case: &'a Case, options: &'a Options) -> Result<Self, LabError> {
        let mut testbed = Testbed::build(case, &options.sysctls)?;
        let t0_ns = monotonic_ns();
        testbed.prepare_faults()?;
        Ok(CaseRun {
            case,
            testbed,
            agenda: Agenda::new(case),
            interrupt: options.interrupt.as_deref(),
            t0_ns,
            faults: Vec::new(),
        })
    }

    /// When the case began, CLOCK_MONOTONIC.
    pub fn t0_ns(&self) -> i64 {
        self.t0_ns
    }

    /// The case begins now. Conditions, which are applied before, get negative
    /// times.
    pub fn begin(&mut self) {
        let built_ns = self.t0_ns;
        self.t0_ns = monotonic_ns();
        for condition in &mut self.faults {
            condition.asked_ns -= self.t0_ns - built_ns;
            condition.effective_ns -= self.t0_ns - built_ns;
        }
    }

    /// Sets a mark and schedules the events that wait for it.
    pub fn set_mark(&mut self, mark: &str, at_ns: i64) {
        if self.testbed.marks.set(mark, at_ns) {
            self.agenda.add_events_after(mark, at_ns, self.case);
        }
    }

    /// Records the sockets of all hosts that run lanes.
    pub fn snapshot_sockets(&mut self, moment: &str) -> Result<(), LabError> {
        let at_ns = monotonic_ns() - self.t0_ns;
        self.testbed.snapshot_sockets(moment, at_ns)
    }

    /// Records the sockets once the network has settled.
    pub fn snapshot_sockets_soon(&mut self, moment: String) {
        self.agenda
            .add_after(super::agenda::SETTLE_TIME, Task::Snapshot(moment));
    }

    /// Records an event that has been applied.
    pub fn record_fault(&mut self, name: &str, what: String, is_fault: bool, at: EffectiveAt) {
        self.faults.push(FaultRecord {
            name: name.to_owned(),
            what,
            is_fault,
            due_ns: self.agenda.last_due_ns().map(|at_ns| at_ns - self.t0_ns),
            asked_ns: at.asked_ns - self.t0_ns,
            effective_ns: at.effective_ns - self.t0_ns,
        });
    }

    /// The events applied so far; none are left.
    pub fn take_faults(&mut self) -> Vec<FaultRecord> {
        std::mem::take(&mut self.faults)
    }

    /// Ends the lanes, then removes the lab, or leaves it to the end of its
    /// machine.
    pub fn tear_down(self, leave_lab: bool) {
        self.testbed.tear_down(leave_lab);
    }
}
