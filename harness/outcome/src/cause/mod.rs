//! Names the likeliest cause of a change: the part of the environment without
//! which the kernel's rules would not predict it. It needs both environments and
//! the predictions in them; comparisons and `halfopen impact` show the text.

mod factor;
mod predicted;

use std::collections::BTreeMap;

use super::baseline::{Entry, Observation, Setting, definition};
use super::compare::{ChangeKind, ComparedCase, Field};
use super::tolerance::{PREDICTED_REAL_TIME, REAL_TIME};
use factor::Factor;
use halfopen_predict::Prediction;
use halfopen_predict::span::Span;
use halfopen_scenario::case::{Case, SignKind};
use predicted::{predict_in, with_pinned};

pub(crate) use predicted::{predict_both, same};

/// Names the likeliest cause of each change, where one can be named. `cases`
/// are the current cases.
pub fn name_causes(compared: &mut [ComparedCase], cases: &[Case], then: &Setting, now: &Setting) {
    let cases: BTreeMap<&str, &Case> = cases.iter().map(|c| (c.id.as_str(), c)).collect();
    for compared in compared {
        let (Some(old), Some(new)) = (compared.old.clone(), compared.new.clone()) else {
            continue;
        };
        let differs = matches!(compared.kind, ChangeKind::Changed | ChangeKind::Known);
        if differs && old.definition != new.definition {
            compared.cause = Some("the case itself is not what it was in the baseline".into());
            continue;
        }
        if old.observation().is_none() || new.observation().is_none() {
            // The kernel's rules do not say why a case could not be run.
            continue;
        }
        let case = cases.get(compared.id.as_str());
        let case = case.filter(|case| definition(case) == new.definition);
        let Some(case) = case else { continue };
        if differs_by_phase(compared, case, then, now) {
            compared.kind = ChangeKind::Unchanged;
            compared.differences.clear();
        }
        compared.cause = match compared.kind {
            ChangeKind::Changed | ChangeKind::Known => {
                let (text, explained) = cause(case, &new, then, now).unzip();
                compared.explained = explained.unwrap_or(false);
                text
            }
            ChangeKind::Unchanged => predicted_change(case, then, now),
            ChangeKind::New | ChangeKind::Gone | ChangeKind::NotRun => None,
        };
    }
}

/// Whether only the time differs, and both times lie within the same prediction:
/// the phase of the timer wheel when a timer is armed depends on everything that
/// ran before it (calc_wheel_index() in kernel/time/timer.c). Where the rules do
/// not decide, the tolerance of real time covers the phase.
fn differs_by_phase(compared: &ComparedCase, case: &Case, then: &Setting, now: &Setting) -> bool {
    let only_time = compared
        .differences
        .iter()
        .all(|d| d.what == Field::After.name());
    if !only_time || compared.differences.is_empty() {
        return false;
    }
    let at = |entry: &Option<Entry>| {
        let observation = entry.as_ref().and_then(Entry::observation);
        observation.and_then(Observation::after)
    };
    let Some((Ok(before), Ok(after))) = predict_both(case, then, now) else {
        let both = at(&compared.old).zip(at(&compared.new));
        return both.is_some_and(|(old, new)| REAL_TIME.agree(old, new));
    };
    let inside = |predicted: &Prediction, entry: &Option<Entry>| {
        at(entry).is_some_and(|at| {
            predicted
                .intervals()
                .any(|span| PREDICTED_REAL_TIME.allows(at, span.earliest, span.latest))
        })
    };
    same(&before, &after) && inside(&before, &compared.old) && inside(&after, &compared.new)
}

/// The reason for a change that the rules predict although none was observed.
fn predicted_change(case: &Case, then: &Setting, now: &Setting) -> Option<String> {
    let (Ok(before), Ok(after)) = predict_both(case, then, now)? else {
        return None;
    };
    let apart = |a: &Prediction, b: &Prediction| {
        let before = |a: Span, b: Span| a.latest < b.earliest;
        a.sign != b.sign
            || a.intervals()
                .all(|a| b.intervals().all(|b| before(a, b) || before(b, a)))
    };
    let noticed = |predicted: &Prediction| predicted.sign != SignKind::Unnoticed;
    let apart = apart(&before, &after) && (noticed(&before) || noticed(&after));
    apart.then(|| after.because.clone())
}

/// The cause as text, and whether it explains the new result.
fn cause(case: &Case, new: &Entry, then: &Setting, now: &Setting) -> Option<(String, bool)> {
    let factors = Factor::all(then, now);
    if factors.is_empty() {
        let text = "the environment is the same: neither the kernel nor a sysctl explains it";
        return Some((text.into(), false));
    }
    let (before, after) = predict_both(case, then, now)?;
    let case = &with_pinned(case, &factors);
    let after = match (&before, &after) {
        (Err(e), _) | (_, Err(e)) => {
            let text = format!(
                "unknown, because the kernel's rules do not decide: {}",
                e.why
            );
            return Some((text, false));
        }
        (Ok(before), Ok(after)) if same(before, after) => {
            let text = "none that the kernel's rules know: they predict the same sign in both environments";
            return Some((text.into(), false));
        }
        (Ok(_), Ok(after)) => after,
    };
    let decisive = decisive_factors(case, &factors, after, then, now);
    let because = &after.because;
    let explained = fits(after, new);
    let text = if explained {
        format!("{decisive}: {because}")
    } else {
        format!(
            "perhaps {decisive}, but by the kernel's rules something else would be seen: {because}"
        )
    };
    Some((text, explained))
}

/// Why the prediction changes to `predicted`, as text.
pub(crate) fn cause_of_prediction(
    case: &Case,
    predicted: &Prediction,
    then: &Setting,
    now: &Setting,
) -> String {
    let factors = Factor::all(then, now);
    let case = &with_pinned(case, &factors);
    let decisive = decisive_factors(case, &factors, predicted, then, now);
    format!("{decisive}: {}", predicted.because)
}

/// The factors that lead to the new prediction on their own; if there are none,
/// those without which it is not reached.
fn decisive_factors(
    case: &Case,
    factors: &[Factor],
    after: &Prediction,
    then: &Setting,
    now: &Setting,
) -> String {
    let sufficient = |factor: &&Factor| leads_to(case, &factor.apply(then, now), after);
    let mut decisive: Vec<&Factor> = factors.iter().filter(sufficient).collect();
    if decisive.is_empty() {
        let necessary = |factor: &&Factor| !leads_to(case, &factor.apply(now, then), after);
        decisive = factors.iter().filter(necessary).collect();
    }
    let texts: Vec<String> = decisive
        .iter()
        .map(|f| f.text(case, after.lane.as_deref(), then, now))
        .collect();
    if texts.is_empty() {
        "the environment as a whole".to_owned()
    } else {
        texts.join(" and ")
    }
}

fn leads_to(case: &Case, setting: &Setting, predicted: &Prediction) -> bool {
    matches!(predict_in(case, setting), Some(Ok(other)) if same(&other, predicted))
}

/// Whether a prediction agrees with a result by the tolerance of real time, which
/// is enough to tell whether it explains the change.
fn fits(predicted: &Prediction, entry: &Entry) -> bool {
    let Some(observation) = entry.observation() else {
        return false;
    };
    let in_time = predicted.sign == SignKind::Unnoticed
        || observation.after().is_some_and(|at| {
            predicted
                .intervals()
                .any(|span| REAL_TIME.within(at, span.earliest, span.latest))
        });
    predicted.sign == observation.sign.sign && in_time
}
