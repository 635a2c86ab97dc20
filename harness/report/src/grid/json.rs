//! A grid as JSON, for programs. The keys are an interface, as those of a run.

use std::io::{self, Write};

use serde::Serialize;

use super::Grid;
use crate::finished::Totals;
use crate::grid_plan::State;
use crate::json::{FirstSignView, Layout, PredictionView};
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::{DisturbedTry, FirstSign, Outcome, Status, Verdict};
use halfopen_predict::Prediction;

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// Writes grids of the same plan: `kernels` has one entry for each kernel.
///
/// # Errors
/// Those of the writer.
pub fn write(
    grids: &[Grid<'_>],
    interrupted: bool,
    layout: Layout,
    to: &mut dyn Write,
) -> io::Result<()> {
    let Some(first) = grids.first() else {
        return Ok(());
    };
    let plan = first.plan;
    let document = Document {
        schema: SCHEMA,
        interrupted,
        limit_ns: u64::try_from(plan.limit.as_nanos()).unwrap_or(u64::MAX),
        detectors: plan
            .detectors
            .iter()
            .map(|d| Named {
                name: &d.name,
                about: &d.about,
            })
            .collect(),
        faults: plan
            .faults
            .iter()
            .map(|f| Named {
                name: f.name,
                about: f.title,
            })
            .collect(),
        states: plan
            .states
            .iter()
            .map(|s| Named {
                name: s.name(),
                about: s.about(),
            })
            .collect(),
        kernels: grids.iter().map(KernelView::of).collect(),
    };
    layout.write(&document, to)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    interrupted: bool,
    /// How long after the fault a sign was waited for.
    limit_ns: u64,
    detectors: Vec<Named<'a>>,
    faults: Vec<Named<'a>>,
    states: Vec<Named<'a>>,
    kernels: Vec<KernelView<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    about: &'a str,
}

#[derive(Serialize)]
struct KernelView<'a> {
    environment: &'a Environment,
    totals: Totals,
    cells: Vec<CellView<'a>>,
}

impl<'a> KernelView<'a> {
    fn of(grid: &'a Grid<'a>) -> Self {
        let outcomes: Vec<Outcome> = grid.outcomes.values().map(|o| (*o).clone()).collect();
        let cells = grid.plan.cells.iter().zip(&grid.plan.cases);
        KernelView {
            environment: grid.environment,
            totals: Totals::of(&outcomes),
            cells: cells
                .filter_map(|(cell, case)| {
                    let outcome = grid.outcomes.get(case.id.as_str())?;
                    Some(CellView {
                        detector: &grid.plan.detectors[cell.detector].name,
                        fault: grid.plan.faults[cell.fault].name,
                        state: grid.plan.states[cell.state],
                        ..CellView::of(outcome, grid.beyond_limit.get(case.id.as_str()))
                    })
                })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct CellView<'a> {
    detector: &'a str,
    fault: &'a str,
    state: State,
    /// The id of the case.
    id: &'a str,
    first_sign: Option<FirstSignView<'a>>,
    prediction: Option<PredictionView<'a>>,
    /// Why there is no prediction.
    unpredictable: Option<&'a str>,
    /// When nobody noticed within the limit: the prediction for a whole day.
    prediction_beyond_limit: Option<PredictionView<'a>>,
    status: &'static str,
    /// Why it was not run, or what failed.
    reason: Option<&'a str>,
    /// Present, and true, only when the machine was disturbed in every try.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disturbed: bool,
    /// How late the machine was at most; only where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ns: Option<u64>,
    /// The tries on a disturbed machine; only where there were any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    disturbed_tries: &'a [DisturbedTry],
}

impl<'a> CellView<'a> {
    fn of(outcome: &'a Outcome, beyond_limit: Option<&'a Prediction>) -> Self {
        let (status, reason) = match &outcome.status {
            Status::Ran => ("ran", None),
            Status::NotRun(why) => ("not_run", Some(why.as_str())),
            Status::Failed(why) => ("failed", Some(why.as_str())),
        };
        let sign = |first: &'a FirstSign| FirstSignView::of(first);
        CellView {
            detector: "",
            fault: "",
            state: State::Idle,
            id: &outcome.id,
            first_sign: outcome.first_sign.as_ref().map(sign),
            prediction: PredictionView::of_outcome(outcome),
            unpredictable: outcome.unpredictable.as_deref(),
            prediction_beyond_limit: beyond_limit.map(PredictionView::of),
            status,
            reason,
            disturbed: outcome.verdict == Verdict::Disturbed,
            lag_ns: outcome.lag_ns,
            disturbed_tries: &outcome.disturbed_tries,
        }
    }
}
