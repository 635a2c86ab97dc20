//! Puts an outcome together.

use crate::outcome::first_sign::first_sign;
use crate::outcome::record::{
    EndpointRecord, FaultRecord, Netstat, Outcome, Status, Verdict, WireRecord,
};
use crate::outcome::recovery::recovery;
use crate::outcome::tolerance::REAL_TIME;
use crate::outcome::verdict::judge;
use crate::scenario::case::Case;

/// What was collected while a case ran.
#[derive(Debug, Default)]
pub struct Collected {
    pub faults: Vec<FaultRecord>,
    pub endpoints: Vec<EndpointRecord>,
    pub netstat: Vec<Netstat>,
    pub wire: WireRecord,
    pub surprises: Vec<String>,
    pub started_ns: Option<i64>,
}

/// The outcome of a case that ran.
pub fn outcome(case: &Case, collected: Collected) -> Outcome {
    let Collected {
        faults,
        endpoints,
        netstat,
        wire,
        mut surprises,
        started_ns,
    } = collected;
    let sign = first_sign(&case.watch, &faults, &endpoints, &wire);
    let recovery = recovery(case, &faults, &endpoints, &wire);
    let (verdict, differences) = judge(case.expect.as_ref(), &sign, recovery.as_ref(), &REAL_TIME);
    surprises.extend(differences);
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
        recovery,
        faults,
        endpoints,
        netstat,
        wire,
        verdict,
        surprises,
        ..blank(case)
    }
}

/// The outcome of a case that did not run, or not to its end.
pub fn without_run(case: &Case, status: Status) -> Outcome {
    let verdict = match &status {
        Status::Failed(_) => Verdict::Failed,
        Status::Ran | Status::NotRun(_) => Verdict::NotRun,
    };
    Outcome {
        status,
        verdict,
        ..blank(case)
    }
}

fn blank(case: &Case) -> Outcome {
    Outcome {
        id: case.id.clone(),
        scenario: case.scenario.clone(),
        axes: case.axes.clone(),
        source: case.source.clone(),
        book: case.book.clone(),
        expect: case.expect.clone(),
        notes: case.notes.clone(),
        status: Status::Ran,
        started_ns: None,
        first_sign: None,
        faults: Vec::new(),
        endpoints: Vec::new(),
        netstat: Vec::new(),
        wire: WireRecord::default(),
        verdict: Verdict::NotRun,
        surprises: Vec::new(),
        prediction: None,
        unpredictable: None,
        outside: None,
        recovery: None,
    }
}
