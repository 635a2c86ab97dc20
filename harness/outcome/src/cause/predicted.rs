//! The predictions for a case in two environments, which is what causes are
//! derived from.

use super::factor::Factor;
use crate::baseline::Setting;
use crate::overrides::with_overrides;
use halfopen_predict::{KernelFacts, Prediction, Unpredictable, predict};
use halfopen_scenario::case::Case;

pub(crate) type Predicted = Result<Prediction, Unpredictable>;

/// The predictions in both environments. None: a kernel's version or HZ is not
/// known.
pub(crate) fn predict_both(
    case: &Case,
    then: &Setting,
    now: &Setting,
) -> Option<(Predicted, Predicted)> {
    let case = &with_pinned(case, &Factor::all(then, now));
    Some((predict_in(case, then)?, predict_in(case, now)?))
}

/// The prediction in one environment. None: the kernel's version or HZ is not
/// known.
pub(super) fn predict_in(case: &Case, setting: &Setting) -> Option<Predicted> {
    let facts = KernelFacts::new(setting.series()?, setting.hz?);
    let mut case = with_overrides(case, &setting.overrides);
    for set in case.sysctls.values_mut() {
        for (key, value) in set.iter_mut().filter(|(_, value)| *value == PINNED) {
            *value = setting.sysctls.get(key).cloned().unwrap_or_default();
        }
    }
    Some(predict(&case, &facts))
}

/// A placeholder for the value that a setting pins.
const PINNED: &str = "pinned";

/// The case with a placeholder for each pinned sysctl that differs, unless the
/// case sets the sysctl itself. The predictor assumes the kernel's defaults, and
/// those are the pinned values; they differ only between versions of halfopen.
pub(super) fn with_pinned(case: &Case, factors: &[Factor]) -> Case {
    let mut case = case.clone();
    let nodes: Vec<String> = case.network.nodes.iter().map(|n| n.name.clone()).collect();
    for factor in factors {
        let Factor::Pinned(key) = factor else {
            continue;
        };
        for node in &nodes {
            let own = case.sysctls.entry(node.clone()).or_default();
            own.entry(key.clone()).or_insert_with(|| PINNED.to_owned());
        }
    }
    case
}

/// Whether two predictions are the same, apart from their explanation.
pub(crate) fn same(a: &Prediction, b: &Prediction) -> bool {
    a.first_byte == b.first_byte
        && (&a.sign, &a.call, &a.lane) == (&b.sign, &b.call, &b.lane)
        && a.intervals().eq(b.intervals())
}
