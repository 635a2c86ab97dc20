//! The likeliest cause of a change: the part of the environment without which
//! the kernel's rules would not predict it.

use std::collections::BTreeMap;

use super::baseline::{Entry, Setting};
use super::compare::{Compared, What, of_host, overrides};
use super::foresight::overridden;
use super::tolerance::REAL_TIME;
use crate::predict::{KernelFacts, Prediction, Unpredictable, predict};
use crate::scenario::case::{Case, SignKind};

/// Names the likeliest cause of each change, where one can be named. `cases`
/// are the cases as they are now.
pub fn name_causes(compared: &mut [Compared], cases: &[Case], then: &Setting, now: &Setting) {
    let cases: BTreeMap<&str, &Case> = cases.iter().map(|c| (c.id.as_str(), c)).collect();
    for compared in compared {
        if !matches!(compared.what, What::Changed | What::Known) {
            continue;
        }
        let (Some(old), Some(new)) = (&compared.old, &compared.new) else {
            continue;
        };
        if old.definition != new.definition {
            compared.cause = Some("the case itself is not what it was in the baseline".into());
            continue;
        }
        let case = cases.get(compared.id.as_str());
        let case = case.filter(|case| super::baseline::definition(case) == new.definition);
        compared.cause = case.and_then(|case| cause(case, new, then, now));
    }
}

/// One thing that is not the same in two environments.
enum Factor {
    Kernel,
    Hz,
    Pinned(String),
    Override(String, String),
}

impl Factor {
    fn all(then: &Setting, now: &Setting) -> Vec<Factor> {
        let mut factors = Vec::new();
        if then.kernel != now.kernel {
            factors.push(Factor::Kernel);
        }
        if then.hz != now.hz {
            factors.push(Factor::Hz);
        }
        let keys = then.sysctls.keys().chain(now.sysctls.keys());
        let keys: std::collections::BTreeSet<&String> = keys.collect();
        let differ = keys
            .into_iter()
            .filter(|key| then.sysctls.get(*key) != now.sysctls.get(*key));
        factors.extend(differ.map(|key| Factor::Pinned(key.clone())));
        let value = |setting: &Setting, host: &str, key: &str| {
            setting
                .overrides
                .get(host)
                .and_then(|set| set.get(key))
                .cloned()
        };
        let set = overrides(then, now)
            .into_iter()
            .filter(|(host, key)| value(then, host, key) != value(now, host, key));
        factors.extend(set.map(|(host, key)| Factor::Override(host, key)));
        factors
    }

    /// An environment with this one thing as it is in another.
    fn put(&self, into: &Setting, from: &Setting) -> Setting {
        let mut mixed = into.clone();
        match self {
            Factor::Kernel => mixed.kernel = from.kernel.clone(),
            Factor::Hz => mixed.hz = from.hz,
            Factor::Pinned(key) => {
                match from.sysctls.get(key) {
                    Some(value) => mixed.sysctls.insert(key.clone(), value.clone()),
                    None => mixed.sysctls.remove(key),
                };
            }
            Factor::Override(host, key) => {
                let set = mixed.overrides.entry(host.clone()).or_default();
                match from.overrides.get(host).and_then(|set| set.get(key)) {
                    Some(value) => set.insert(key.clone(), value.clone()),
                    None => set.remove(key),
                };
            }
        }
        mixed
    }

    fn in_words(&self, then: &Setting, now: &Setting) -> String {
        let changed = |what: &str, old: Option<String>, new: Option<String>| match (old, new) {
            (Some(old), Some(new)) => format!("{what}, {old} -> {new}"),
            (None, Some(new)) => format!("{what} = {new}"),
            (Some(old), None) => format!("{what} is no longer {old}"),
            (None, None) => what.to_owned(),
        };
        match self {
            Factor::Kernel => changed(
                "the kernel",
                Some(then.kernel.clone()),
                Some(now.kernel.clone()),
            ),
            Factor::Hz => changed(
                "HZ",
                then.hz.map(|hz| hz.to_string()),
                now.hz.map(|hz| hz.to_string()),
            ),
            Factor::Pinned(key) => changed(
                key,
                then.sysctls.get(key).cloned(),
                now.sysctls.get(key).cloned(),
            ),
            Factor::Override(host, key) => {
                let value = |setting: &Setting| {
                    setting
                        .overrides
                        .get(host)
                        .and_then(|set| set.get(key))
                        .cloned()
                };
                changed(&of_host(host, key), value(then), value(now))
            }
        }
    }
}

type Foretold = Result<Prediction, Unpredictable>;

fn cause(case: &Case, new: &Entry, then: &Setting, now: &Setting) -> Option<String> {
    let factors = Factor::all(then, now);
    if factors.is_empty() {
        return Some(
            "the environment is the same: neither the kernel nor a sysctl explains it".into(),
        );
    }
    let case = &with_pinned(case, &factors);
    let (before, after) = (foretell(case, then)?, foretell(case, now)?);
    let after_told = match (&before, &after) {
        (Err(e), _) | (_, Err(e)) => {
            return Some(format!("the kernel's rules do not decide: {}", e.why));
        }
        (Ok(before), Ok(after)) if same(before, after) => {
            return Some("the kernel's rules predict the same in both environments".into());
        }
        (Ok(_), Ok(after)) => after,
    };
    // What alone leads to the new prediction; else what each alone changes it.
    let alone = |factor: &&Factor| leads_to(case, &factor.put(then, now), after_told);
    let mut named: Vec<&Factor> = factors.iter().filter(alone).collect();
    if named.is_empty() {
        let matters = |factor: &&Factor| !leads_to(case, &factor.put(now, then), after_told);
        named = factors.iter().filter(matters).collect();
    }
    let named: Vec<String> = named.iter().map(|f| f.in_words(then, now)).collect();
    let named = if named.is_empty() {
        "the environment as a whole".to_owned()
    } else {
        named.join(" and ")
    };
    let because = &after_told.because;
    Some(if fits(after_told, new) {
        format!("{named}: {because}")
    } else {
        format!(
            "perhaps {named}, but by the kernel's rules something else would be seen: {because}"
        )
    })
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

fn same(a: &Prediction, b: &Prediction) -> bool {
    (&a.sign, &a.call, &a.lane) == (&b.sign, &b.call, &b.lane) && a.intervals().eq(b.intervals())
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
