//! Compares the saved results of cases: signs, times within the tolerance, states
//! and packets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{ChangeKind, ComparedCase, Difference, Field};
use crate::baseline::{CaseResult, Entry, Observation, SavedRun, Setting, duration_text};
use crate::tolerance::{self, Tolerance};
use crate::verdict::sign_text;
use halfopen_scenario::case::{Known, Sign, SignKind};

/// Compares every case of two runs, by id.
pub fn runs(old: &SavedRun, new: &SavedRun) -> Vec<ComparedCase> {
    let ids: BTreeSet<&String> = old.cases.keys().chain(new.cases.keys()).collect();
    ids.into_iter()
        .map(|id| {
            let (before, now) = (old.cases.get(id), new.cases.get(id));
            case(id, before, now, &old.setting, &new.setting)
        })
        .collect()
}

/// Compares one case.
pub fn case(
    id: &str,
    old: Option<&Entry>,
    new: Option<&Entry>,
    then: &Setting,
    now: &Setting,
) -> ComparedCase {
    let (kind, differences) = match (old.map(|e| &e.result), new.map(|e| &e.result)) {
        (None, None) => (ChangeKind::Gone, Vec::new()),
        (Some(_), None) => (ChangeKind::Gone, Vec::new()),
        (_, Some(CaseResult::NotRun(_))) => (ChangeKind::NotRun, Vec::new()),
        (None | Some(CaseResult::NotRun(_)), Some(_)) => (ChangeKind::New, Vec::new()),
        (Some(CaseResult::Ran(old)), Some(CaseResult::Ran(new))) => {
            let differences = differences(old, new, then, now);
            if differences.is_empty() {
                (ChangeKind::Unchanged, differences)
            } else {
                (ChangeKind::Changed, differences)
            }
        }
        (Some(CaseResult::Failed(_)), Some(CaseResult::Failed(_))) => {
            (ChangeKind::Unchanged, Vec::new())
        }
        (Some(old), Some(new)) => {
            let status = Difference::of(Field::Status.name(), status(old), status(new));
            (ChangeKind::Changed, vec![status])
        }
    };
    let known = old.and_then(|e| e.known.clone());
    let known = known.or_else(|| new.and_then(|e| e.known.clone()));
    let ran = new.and_then(Entry::observation);
    let tolerance = tolerance_of(then, now);
    let covered = known
        .as_ref()
        .is_some_and(|k| ran.is_some_and(|ran| covers(k, &ran.sign, &tolerance)));
    let kind = if kind == ChangeKind::Changed && covered {
        ChangeKind::Known
    } else {
        kind
    };
    ComparedCase {
        id: id.to_owned(),
        kind,
        differences,
        old: old.cloned(),
        new: new.cloned(),
        known,
        cause: None,
        explained: false,
        unsteady: false,
    }
}

fn covers(known: &Known, seen: &Sign, tolerance: &Tolerance) -> bool {
    let Some(shows) = &known.shows else {
        return true;
    };
    let in_time = match (shows.after, seen.after) {
        (Some((earliest, latest)), Some((at, _))) => tolerance.within(at, earliest, latest),
        _ => true,
    };
    let named = |said: &Option<String>, seen: &Option<String>| said.is_none() || said == seen;
    shows.sign == seen.sign
        && named(&shows.call, &seen.call)
        && named(&shows.lane, &seen.lane)
        && in_time
}

fn status(result: &CaseResult) -> String {
    match result {
        CaseResult::Ran(_) => "ran".into(),
        CaseResult::NotRun(why) => format!("not run: {why}"),
        CaseResult::Failed(why) => format!("failed: {why}"),
    }
}

fn tolerance_of(then: &Setting, now: &Setting) -> Tolerance {
    tolerance::between(
        then.is_virtual() && now.is_virtual(),
        then.kernel == now.kernel,
    )
}

fn differences(
    old: &Observation,
    new: &Observation,
    then: &Setting,
    now: &Setting,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut text = |field: Field, old: &str, new: &str| {
        if old != new {
            found.push(Difference::of(field.name(), old, new));
        }
    };
    let (a, b) = (&old.sign, &new.sign);
    text(Field::Sign, &sign_text(&a.sign), &sign_text(&b.sign));
    let given = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".into());
    text(Field::Call, &given(&a.call), &given(&b.call));
    text(Field::Lane, &given(&a.lane), &given(&b.lane));
    text(Field::States, &listed(&old.states), &listed(&new.states));
    let tolerance = tolerance_of(then, now);
    let times = [
        (Field::After, old.after(), new.after()),
        (Field::FirstByte, old.first_byte(), new.first_byte()),
    ];
    for (field, old, new) in times {
        let same = match (old, new) {
            (Some(old), Some(new)) => tolerance.agree(old, new),
            (None, None) => true,
            // Baselines of earlier versions do not have it.
            (None, Some(_)) => field == Field::FirstByte,
            (Some(_), None) => false,
        };
        if !same {
            found.push(Difference::of(field.name(), at(old), at(new)));
        }
    }
    if let (Some(a), Some(b)) = (&old.wire, &new.wire) {
        let exact = then.is_virtual() && now.is_virtual();
        let died = old.sign.sign != SignKind::Unnoticed && new.sign.sign != SignKind::Unnoticed;
        found.extend(counts(a, b, exact, died));
    }
    found
}

/// Compares packets by kind. In virtual time their numbers follow from the case
/// and are compared exactly. In real time the number of retransmissions depends on
/// the machine's load, so only whether there were any is compared; but the number
/// of keepalive probes before a connection dies is a setting, and is compared.
fn counts(
    old: &BTreeMap<String, u32>,
    new: &BTreeMap<String, u32>,
    exact: bool,
    died: bool,
) -> Vec<Difference> {
    let kinds: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    // With several connections, the others are probed on after the first sign,
    // until the case happens to end.
    let one = [old, new]
        .iter()
        .all(|counts| counts.get("syn").is_none_or(|n| *n <= 1));
    kinds
        .into_iter()
        .filter_map(|kind| {
            let n = |counts: &BTreeMap<String, u32>| counts.get(kind).copied().unwrap_or(0);
            let (a, b) = (n(old), n(new));
            let counted = exact || (died && one && kind == "keepalive-probes");
            // A busy machine that is late by one loss probe makes the difference.
            let late = kind == "retransmissions" && a.max(b) == 1;
            let same = match counted {
                true => a == b,
                false => late || (a > 0) == (b > 0),
            };
            (!same).then(|| Difference::of(kind, a.to_string(), b.to_string()))
        })
        .collect()
}

fn listed(states: &[String]) -> String {
    if states.is_empty() {
        "-".into()
    } else {
        states.join(", ")
    }
}

fn at(time: Option<Duration>) -> String {
    time.map_or("-".into(), duration_text)
}
