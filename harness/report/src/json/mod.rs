//! Runs as JSON, for programs. The keys and their order are an interface: keys are
//! never removed, new ones are added, and a change of meaning raises `schema`.

mod crowd;
mod layout;
pub mod merge;
pub mod schema;
mod views;

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use serde::Serialize;

use halfopen_outcome::cost::cost;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{
    DisturbedTry, FaultRecord, KernelEvent, Outcome, ProgramRecord, Recovery, Status, UserSees,
    Verdict,
};

use super::finished::{Finished, Totals, verdict};
pub use crowd::Detail;
use crowd::{EndpointView, NetstatView, WireView};
pub use layout::Layout;
use views::{CostView, LaneSignsView, SignView};
pub use views::{FirstSignView, KnownView, PredictionView};

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// Writes a run as one JSON object.
///
/// # Errors
/// Those of the writer.
pub fn write(
    run: &Finished<'_>,
    detail: Detail,
    layout: Layout,
    to: &mut dyn Write,
) -> io::Result<()> {
    layout.write(&Document::of(run, detail), to)
}

/// Writes runs on several kernels: an object with one run each in `kernels`.
///
/// # Errors
/// Those of the writer.
pub fn write_several(
    runs: &[Finished<'_>],
    detail: Detail,
    layout: Layout,
    to: &mut dyn Write,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Several<'a> {
        schema: u32,
        kernels: Vec<Document<'a>>,
    }
    let all = Several {
        schema: SCHEMA,
        kernels: runs.iter().map(|run| Document::of(run, detail)).collect(),
    };
    layout.write(&all, to)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    environment: &'a Environment,
    interrupted: bool,
    elapsed_ns: u64,
    totals: Totals,
    cases: Vec<CaseView<'a>>,
}

impl<'a> Document<'a> {
    fn of(run: &Finished<'a>, detail: Detail) -> Self {
        let view = |case| CaseView::of(case, detail);
        Document {
            schema: SCHEMA,
            environment: run.environment,
            interrupted: run.interrupted,
            elapsed_ns: u64::try_from(run.elapsed.as_nanos()).unwrap_or(u64::MAX),
            totals: Totals::of(run.outcomes),
            cases: run.outcomes.iter().map(view).collect(),
        }
    }
}

#[derive(Serialize)]
struct CaseView<'a> {
    id: &'a str,
    scenario: &'a str,
    axes: &'a indexmap::IndexMap<String, String>,
    source: &'a [String],
    book: Option<SignView<'a>>,
    expect: Option<SignView<'a>>,
    notes: Option<&'a str>,
    first_sign: Option<FirstSignView<'a>>,
    faults: &'a [FaultRecord],
    /// What each watched lane showed, where several are watched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lane_signs: Vec<LaneSignsView<'a>>,
    endpoints: Vec<EndpointView<'a>>,
    /// What programs wrote and set; left out without programs.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    programs: &'a [ProgramRecord],
    /// The first thing that the user of a watched program sees after the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_sees: Option<&'a UserSees>,
    /// Null unless the case has a `heal`.
    recovery: Option<&'a Recovery>,
    netstat: Vec<NetstatView<'a>>,
    /// What the kernel itself said; only where it was asked.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kernel_events: &'a [KernelEvent],
    wire: WireView<'a>,
    /// Null unless the case has no fault and is long enough.
    cost: Option<CostView>,
    prediction: Option<PredictionView<'a>>,
    /// Why there is no prediction.
    unpredictable: Option<&'a str>,
    verdict: Verdict,
    surprises: &'a [String],
    status: &'static str,
    /// Why it was not run, or what failed.
    reason: Option<&'a str>,
    /// How late the machine was at most; only where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ns: Option<u64>,
    /// Which shared tables overflowed while it ran; only where any did.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    overflows: &'a [String],
    /// The tries on a disturbed machine; only where there were any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    disturbed_tries: &'a [DisturbedTry],
}

impl<'a> CaseView<'a> {
    fn of(outcome: &'a Outcome, detail: Detail) -> Self {
        let full = detail.is_full(outcome);
        let (status, reason) = match &outcome.status {
            Status::Ran => ("ran", None),
            Status::NotRun(why) => ("not_run", Some(why.as_str())),
            Status::Failed(why) => ("failed", Some(why.as_str())),
        };
        CaseView {
            id: &outcome.id,
            scenario: &outcome.scenario,
            axes: &outcome.axes,
            source: &outcome.source,
            book: outcome.book.as_ref().map(SignView::of),
            expect: outcome.expect.as_ref().map(SignView::of),
            notes: outcome.notes.as_deref(),
            first_sign: outcome.first_sign.as_ref().map(FirstSignView::of),
            faults: &outcome.faults,
            lane_signs: match outcome.lane_signs.as_slice() {
                [] | [_] => Vec::new(),
                several => several.iter().map(LaneSignsView::of).collect(),
            },
            endpoints: outcome
                .endpoints
                .iter()
                .map(|endpoint| EndpointView::of(endpoint, full))
                .collect(),
            programs: &outcome.programs,
            user_sees: outcome.user_sees.as_ref(),
            recovery: outcome.recovery.as_ref(),
            netstat: outcome
                .netstat
                .iter()
                .map(|moment| NetstatView::of(moment, full))
                .collect(),
            kernel_events: &outcome.kernel_events,
            wire: WireView::of(outcome, full),
            cost: cost(outcome).as_ref().map(CostView::of),
            prediction: PredictionView::of_outcome(outcome),
            unpredictable: outcome.unpredictable.as_deref(),
            verdict: verdict(outcome),
            surprises: &outcome.surprises,
            status,
            reason,
            lag_ns: outcome.lag_ns,
            overflows: &outcome.overflows,
            disturbed_tries: &outcome.disturbed_tries,
        }
    }
}
