//! The cases of a grid and their cells.

use std::time::Duration;

use indexmap::IndexMap;

use super::{Detector, Fault, State, detector, fault, yaml};
use halfopen_scenario::case::Case;
use halfopen_scenario::internal::nearest;

/// The requested part of the grid.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    /// Names of detectors; empty: all.
    pub detectors: &'a [String],
    /// Names of faults; empty: all.
    pub faults: &'a [String],
    /// The states.
    pub states: &'a [State],
    /// The detectors of a file, instead of the built-in ones.
    pub declared: Option<&'a IndexMap<String, halfopen_scenario::case::Detector>>,
    /// How long after the fault a sign is waited for.
    pub limit: Duration,
    /// Whether the cases run in virtual time only.
    pub virtual_time: bool,
}

/// A grid that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The detectors, in order.
    pub detectors: Vec<Detector>,
    /// The faults, in order.
    pub faults: Vec<Fault>,
    /// The states, in order.
    pub states: Vec<State>,
    /// How long after the fault a sign is waited for.
    pub limit: Duration,
    /// The file of scenarios that the cases come from.
    pub text: String,
    /// The cases, cell by cell.
    pub cases: Vec<Case>,
    /// The cells, in the order of the cases.
    pub cells: Vec<Cell>,
}

/// The cell of a case: indices of its state, fault and detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Which of [`Plan::states`].
    pub state: usize,
    /// Which of [`Plan::faults`].
    pub fault: usize,
    /// Which of [`Plan::detectors`].
    pub detector: usize,
}

/// Why a grid cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// There is no such name.
    #[error("there is no {what} `{name}` in the grid{}\n  there are: {}",
        meant.as_ref().map_or_else(String::new, |m| format!("\n  did you mean `{m}`?")),
        known.join(", "))]
    Unknown {
        /// `detector` or `fault`.
        what: &'static str,
        /// The name.
        name: String,
        /// The most similar name.
        meant: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// The scenarios are invalid, or too many.
    #[error("this grid makes no scenarios:\n{0}")]
    Scenarios(String),
}

impl Plan {
    /// The grid of a selection.
    ///
    /// # Errors
    /// When there is no such name, or there are more cases than a file may have.
    pub fn of(selection: &Selection<'_>) -> Result<Plan, PlanError> {
        let detectors = match selection.declared {
            None => detector::built_in(),
            Some(own) => own
                .iter()
                .map(|(name, one)| detector::declared(name, one))
                .collect(),
        };
        let detectors = pick("detector", detectors, selection.detectors, |d| &d.name)?;
        let faults = pick("fault", fault::ALL.to_vec(), selection.faults, |f| f.name)?;
        let text = yaml::file(&detectors, &faults, selection.limit, selection.virtual_time);
        let all = halfopen_scenario::parse("grid", &text)
            .map_err(|e| PlanError::Scenarios(e.to_string()))?
            .cases;
        let mut placed: Vec<(Cell, Case)> = all
            .into_iter()
            .filter_map(|case| Some((cell_of(&case, &detectors, &faults, selection.states)?, case)))
            .collect();
        placed.sort_by_key(|(cell, _)| *cell);
        let (cells, cases) = placed.into_iter().unzip();
        Ok(Plan {
            detectors,
            faults,
            states: selection.states.to_vec(),
            limit: selection.limit,
            text,
            cases,
            cells,
        })
    }
}

fn cell_of(
    case: &Case,
    detectors: &[Detector],
    faults: &[Fault],
    states: &[State],
) -> Option<Cell> {
    let (state, detector) = (case.axes.get("while")?, case.axes.get("detector")?);
    let state = states.iter().position(|s| s.name() == state)?;
    let detector = detectors.iter().position(|d| d.name == *detector)?;
    let fault = faults
        .iter()
        .position(|f| yaml::scenario_name(f, &detectors[detector]) == case.scenario)?;
    Some(Cell {
        state,
        fault,
        detector,
    })
}

/// The named ones in the order of `all`; all when none is named.
fn pick<T>(
    what: &'static str,
    all: Vec<T>,
    named: &[String],
    name_of: impl Fn(&T) -> &str,
) -> Result<Vec<T>, PlanError> {
    if named.is_empty() {
        return Ok(all);
    }
    if let Some(name) = named.iter().find(|n| !all.iter().any(|t| name_of(t) == *n)) {
        let known: Vec<String> = all.iter().map(|t| name_of(t).to_owned()).collect();
        return Err(PlanError::Unknown {
            what,
            name: name.clone(),
            meant: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
            known,
        });
    }
    let picked = all
        .into_iter()
        .filter(|t| named.iter().any(|n| n == name_of(t)));
    Ok(picked.collect())
}
