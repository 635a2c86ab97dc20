//! Makes an outcome of what was recorded while a case ran: finds the first sign,
//! judges it, measures the recovery. `schedule` calls it on the case's thread; for a
//! guest's cases the host does.

use std::path::Path;

use crate::pcapng;
use crate::recorded::{Ended, Recorded};
use halfopen_outcome::checks::{self, Shown};
use halfopen_outcome::first_sign::{ended_before, first_sign, lane_signs, user_sees};
use halfopen_outcome::record::{Outcome, OutputLine, Status, Verdict};
use halfopen_outcome::recovery::recovery;
use halfopen_outcome::setup::wrong_before;
use halfopen_outcome::tolerance::REAL_TIME;
use halfopen_outcome::verdict::{judge, with_checks, with_setup};
use halfopen_scenario::case::Case;

/// The outcome of a case that ended like this. Its packets are kept in the directory
/// `pcap`.
pub fn evaluate(case: &Case, ended: Ended, pcap: Option<&Path>) -> Outcome {
    match ended {
        Ended::Ran(recorded) => {
            let kept = pcap.map(|to| pcapng::write(to, &case.id, &recorded));
            let mut outcome = of_run(case, *recorded);
            if let Some(Err(e)) = kept {
                let note = format!("its packets could not be kept: {e}");
                outcome.surprises.push(note);
            }
            outcome
        }
        Ended::Not(status) => without_run(case, status),
    }
}

fn of_run(case: &Case, recorded: Recorded) -> Outcome {
    let Recorded {
        faults,
        endpoints,
        programs,
        netstat,
        kernel_events,
        mut surprises,
        started_ns,
        captured,
    } = recorded;
    let wire = captured.wire();
    let sign = first_sign(&case.watch, &faults, &endpoints, &wire);
    let lane_signs = lane_signs(&case.watch, &faults, &endpoints, &wire);
    let user_sees = user_sees(&case.watch, &faults, &endpoints, &programs);
    surprises.extend(programs.iter().flat_map(|program| {
        let note = |note: &OutputLine| format!("lane {}: {}", program.lane, note.text);
        program.notes.iter().map(note)
    }));
    surprises.extend(ended_before(&case.watch, &faults, &endpoints, &programs));
    let recovery = recovery(case, &faults, &endpoints, &wire);
    let (verdict, differences) = judge(case.expect.as_ref(), &sign, recovery.as_ref(), &REAL_TIME);
    surprises.extend(differences);
    let shown = Shown {
        lane_signs: &lane_signs,
        endpoints: &endpoints,
        netstat: &netstat,
    };
    let failed = checks::failed(&case.checks, &shown);
    let verdict = with_checks(verdict, case, &failed);
    surprises.extend(failed);
    let wrong = wrong_before(case, &faults, &endpoints);
    let verdict = with_setup(verdict, &wrong);
    surprises.extend(wrong);
    if wire.lost_by_capture > 0 {
        surprises.push(format!(
            "the capture lost {} packets: counts are too low",
            wire.lost_by_capture
        ));
    }
    Outcome {
        status: Status::Ran,
        started_ns,
        first_sign: Some(sign),
        lane_signs,
        recovery,
        faults,
        endpoints,
        programs,
        user_sees,
        netstat,
        kernel_events,
        wire,
        verdict,
        surprises,
        ..Outcome::not_run(case)
    }
}

fn without_run(case: &Case, status: Status) -> Outcome {
    let verdict = match &status {
        Status::Failed(_) => Verdict::Failed,
        Status::Ran | Status::NotRun(_) => Verdict::NotRun,
    };
    Outcome {
        status,
        verdict,
        ..Outcome::not_run(case)
    }
}
