//! The likeliest cause of a change: the part of the environment without which
//! the kernel's rules would not predict it.

use std::collections::BTreeMap;

use super::baseline::{Entry, Ran, Setting};
use super::compare::{Compared, Field, What};
use super::compare_prediction::overridden;
use super::factor::Factor;
use super::tolerance::{REAL_TIME, WAKING};
use halfopen_predict::span::Span;
use halfopen_predict::{KernelFacts, Prediction, Unpredictable, predict};
use halfopen_scenario::case::{Case, SignKind};

/// Names the likeliest cause of each change, where one can be named. `cases`
/// are the cases as they are now.
pub fn name_causes(compared: &mut [Compared], cases: &[Case], then: &Setting, now: &Setting) {
    let cases: BTreeMap<&str, &Case> = cases.iter().map(|c| (c.id.as_str(), c)).collect();
    for compared in compared {
        let (Some(old), Some(new)) = (compared.old.clone(), compared.new.clone()) else {
            continue;
        };
        let differs = matches!(compared.what, What::Changed | What::Known);
        if differs && old.definition != new.definition {
            compared.cause = Some("the case itself is not what it was in the baseline".into());
            continue;
        }
        if old.ran().is_none() || new.ran().is_none() {
            // What kept a case from running is no rule of the kernel's.
            continue;
        }
        let case = cases.get(compared.id.as_str());
        let case = case.filter(|case| super::baseline::definition(case) == new.definition);
        let Some(case) = case else { continue };
        if by_phase(compared, case, then, now) {
            compared.what = What::Unchanged;
            compared.differences.clear();
        }
        compared.cause = match compared.what {
            What::Changed | What::Known => {
                let (words, explained) = cause(case, &new, then, now).unzip();
                compared.explained = explained.unwrap_or(false);
                words
            }
            What::Unchanged => unseen(case, then, now),
            What::New | What::Gone | What::NotRun => None,
        };
    }
}

/// Whether only the time differs, and both times lie where the same rules
/// allow any: where the timer wheel stands when a timer is armed follows from
/// everything that ran before it (calc_wheel_index() in kernel/time/timer.c).
/// Where the rules do not decide, the tolerance of real time allows for that.
fn by_phase(compared: &Compared, case: &Case, then: &Setting, now: &Setting) -> bool {
    let only = compared
        .differences
        .iter()
        .all(|d| d.what == Field::After.name());
    if !only || compared.differences.is_empty() {
        return false;
    }
    let at = |entry: &Option<Entry>| entry.as_ref().and_then(Entry::ran).and_then(Ran::after);
    let Some((Ok(before), Ok(after))) = foretold(case, then, now) else {
        let both = at(&compared.old).zip(at(&compared.new));
        return both.is_some_and(|(old, new)| REAL_TIME.agree(old, new));
    };
    let inside = |told: &Prediction, entry: &Option<Entry>| {
        at(entry).is_some_and(|at| {
            told.intervals()
                .any(|span| WAKING.allows(at, span.earliest, span.latest))
        })
    };
    same(&before, &after) && inside(&before, &compared.old) && inside(&after, &compared.new)
}

/// A change that the rules predict and nobody saw.
fn unseen(case: &Case, then: &Setting, now: &Setting) -> Option<String> {
    let (Ok(before), Ok(after)) = foretold(case, then, now)? else {
        return None;
    };
    let apart = |a: &Prediction, b: &Prediction| {
        let beyond = |a: Span, b: Span| a.latest < b.earliest;
        a.sign != b.sign
            || a.intervals()
                .all(|a| b.intervals().all(|b| beyond(a, b) || beyond(b, a)))
    };
    let comes = |told: &Prediction| told.sign != SignKind::Unnoticed;
    let apart = apart(&before, &after) && (comes(&before) || comes(&after));
    apart.then(|| after.because.clone())
}

/// What the rules predict in either environment. None: nobody knows the
/// kernels' versions or HZ.
pub(super) fn foretold(case: &Case, then: &Setting, now: &Setting) -> Option<(Foretold, Foretold)> {
    let case = &with_pinned(case, &Factor::all(then, now));
    Some((foretell(case, then)?, foretell(case, now)?))
}

pub(super) type Foretold = Result<Prediction, Unpredictable>;

/// The cause in words, and whether it explains what is seen.
fn cause(case: &Case, new: &Entry, then: &Setting, now: &Setting) -> Option<(String, bool)> {
    let factors = Factor::all(then, now);
    if factors.is_empty() {
        let words = "the environment is the same: neither the kernel nor a sysctl explains it";
        return Some((words.into(), false));
    }
    let (before, after) = foretold(case, then, now)?;
    let case = &with_pinned(case, &factors);
    let after_told = match (&before, &after) {
        (Err(e), _) | (_, Err(e)) => {
            let words = format!(
                "unknown, because the kernel's rules do not decide: {}",
                e.why
            );
            return Some((words, false));
        }
        (Ok(before), Ok(after)) if same(before, after) => {
            let words = "none that the kernel's rules know: they predict the same sign in both environments";
            return Some((words.into(), false));
        }
        (Ok(_), Ok(after)) => after,
    };
    let named = named(case, &factors, after_told, then, now);
    let because = &after_told.because;
    let explained = fits(after_told, new);
    let words = if explained {
        format!("{named}: {because}")
    } else {
        format!(
            "perhaps {named}, but by the kernel's rules something else would be seen: {because}"
        )
    };
    Some((words, explained))
}

/// Why the prediction is another one, or that it is none.
pub(super) fn foretold_cause(
    case: &Case,
    told: &Prediction,
    then: &Setting,
    now: &Setting,
) -> String {
    let factors = Factor::all(then, now);
    let case = &with_pinned(case, &factors);
    let named = named(case, &factors, told, then, now);
    format!("{named}: {}", told.because)
}

/// What alone leads to the new prediction; else what each alone takes it away.
fn named(
    case: &Case,
    factors: &[Factor],
    after_told: &Prediction,
    then: &Setting,
    now: &Setting,
) -> String {
    let alone = |factor: &&Factor| leads_to(case, &factor.put(then, now), after_told);
    let mut named: Vec<&Factor> = factors.iter().filter(alone).collect();
    if named.is_empty() {
        let matters = |factor: &&Factor| !leads_to(case, &factor.put(now, then), after_told);
        named = factors.iter().filter(matters).collect();
    }
    let named: Vec<String> = named
        .iter()
        .map(|f| f.in_words(case, after_told.lane.as_deref(), then, now))
        .collect();
    if named.is_empty() {
        "the environment as a whole".to_owned()
    } else {
        named.join(" and ")
    }
}

fn leads_to(case: &Case, setting: &Setting, told: &Prediction) -> bool {
    matches!(foretell(case, setting), Some(Ok(other)) if same(&other, told))
}

/// None: nobody knows the kernel's version or HZ.
fn foretell(case: &Case, setting: &Setting) -> Option<Foretold> {
    let facts = KernelFacts::new(setting.series()?, setting.hz?);
    let mut case = overridden(case, &setting.overrides);
    for set in case.sysctls.values_mut() {
        for (key, value) in set.iter_mut().filter(|(_, value)| *value == PINNED) {
            *value = setting.sysctls.get(key).cloned().unwrap_or_default();
        }
    }
    Some(predict(&case, &facts))
}

/// Stands for the value that a setting pins.
const PINNED: &str = "pinned";

/// The case with a place for each pinned sysctl that differs, below what the
/// case sets itself. The predictor knows the kernel's defaults, which are what
/// is pinned; this matters only to another version of halfopen.
fn with_pinned(case: &Case, factors: &[Factor]) -> Case {
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

/// Whether two predictions are one.
pub(super) fn same(a: &Prediction, b: &Prediction) -> bool {
    a.first_byte == b.first_byte
        && (&a.sign, &a.call, &a.lane) == (&b.sign, &b.call, &b.lane)
        && a.intervals().eq(b.intervals())
}

/// Whether a prediction is right about what was seen, by the tolerance of
/// real time: which of two predictions fits better is not the question.
fn fits(told: &Prediction, entry: &Entry) -> bool {
    let Some(ran) = entry.ran() else {
        return false;
    };
    let in_time = told.sign == SignKind::Unnoticed
        || ran.after().is_some_and(|at| {
            told.intervals()
                .any(|span| REAL_TIME.within(at, span.earliest, span.latest))
        });
    told.sign == ran.sign.sign && in_time
}
