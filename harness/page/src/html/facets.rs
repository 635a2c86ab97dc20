//! What cases are filtered by: verdict, sign, detector, fault.

use std::collections::BTreeSet;

use halfopen_outcome::record::{Outcome, Status};
use halfopen_report::finished::verdict;
use halfopen_report::text;
use halfopen_scenario::case::Case;

use crate::plot::Row;

/// The facets of one case on all its kernels. Each value is a word without blanks.
pub(super) struct Facets {
    pub(super) verdicts: BTreeSet<String>,
    pub(super) signs: BTreeSet<String>,
    pub(super) detectors: BTreeSet<String>,
    pub(super) faults: BTreeSet<String>,
}

impl Facets {
    pub(super) fn of(row: &Row<'_>, case: Option<&Case>) -> Self {
        let outcomes = || row.on.iter().flatten().copied();
        let mut verdicts: BTreeSet<String> = outcomes()
            .map(|o| word(&text::verdict(verdict(o)).to_lowercase()))
            .collect();
        if outcomes().any(|o| o.outside.is_some()) {
            verdicts.insert("outside-its-prediction".into());
        }
        Facets {
            verdicts,
            signs: outcomes().filter_map(sign).collect(),
            detectors: detectors(row.first(), case),
            faults: outcomes().flat_map(faults).collect(),
        }
    }
}

fn sign(outcome: &Outcome) -> Option<String> {
    let first = outcome
        .first_sign
        .as_ref()
        .filter(|_| outcome.status == Status::Ran)?;
    Some(word(&text::kind(&first.outcome)))
}

/// Of lanes that are watched, else the value of the matrix.
fn detectors(outcome: &Outcome, case: Option<&Case>) -> BTreeSet<String> {
    let lanes = case.into_iter().flat_map(|case| &case.lanes);
    let mut names: BTreeSet<String> = lanes
        .map(|lane| lane.detector_name.clone())
        .filter(|name| name != "none")
        .collect();
    names.extend(outcome.axes.get("detector").cloned());
    if names.is_empty() {
        names.insert("none".into());
    }
    names.iter().map(|name| word(name)).collect()
}

/// `crash`, `cut`, `drop`: the verbs of the events that are faults.
fn faults(outcome: &Outcome) -> BTreeSet<String> {
    let faults = outcome.faults.iter().filter(|fault| fault.is_fault);
    faults
        .map(|fault| {
            // `client's route is removed`: what happens is in the noun.
            let mut words = fault.what.split_whitespace();
            let first = words.next().unwrap_or_default();
            let verb = if first.ends_with("'s") {
                words.next().unwrap_or(first)
            } else {
                first
            };
            word(verb)
        })
        .collect()
}

fn word(text: &str) -> String {
    text.replace(' ', "-")
}
