//! Pairs the runs of two baselines.

use crate::baseline::{Baseline, SavedRun, Setting};

/// Two runs to compare; None for a side that has no counterpart.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The earlier run.
    pub old: Option<&'a SavedRun>,
    /// The later run.
    pub new: Option<&'a SavedRun>,
}

/// Finds each run's counterpart: the same clock and kernel, else the same clock
/// and series, else the only run that is left when one is left on each side.
pub fn pairs<'a>(old: &'a Baseline, new: &'a Baseline) -> Vec<Pair<'a>> {
    let mut left: Vec<&SavedRun> = old.runs.iter().collect();
    let mut found: Vec<Option<&SavedRun>> = vec![None; new.runs.len()];
    let rules: [fn(&Setting, &Setting) -> bool; 2] = [
        |a, b| a.clock == b.clock && a.kernel == b.kernel,
        |a, b| a.clock == b.clock && a.series().is_some() && a.series() == b.series(),
    ];
    for rule in rules {
        for (run, place) in new.runs.iter().zip(&mut found) {
            if place.is_none()
                && let Some(at) = left.iter().position(|l| rule(&l.setting, &run.setting))
            {
                *place = Some(left.remove(at));
            }
        }
    }
    let alone = found.iter().filter(|place| place.is_none()).count() == 1 && left.len() == 1;
    if let (true, Some(place)) = (alone, found.iter_mut().find(|place| place.is_none())) {
        *place = left.pop();
    }
    let both = new.runs.iter().zip(found).map(|(run, old)| Pair {
        old,
        new: Some(run),
    });
    let gone = left.into_iter().map(|old| Pair {
        old: Some(old),
        new: None,
    });
    both.chain(gone).collect()
}
