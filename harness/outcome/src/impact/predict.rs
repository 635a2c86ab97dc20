//! What the kernel's rules predict for a change of sysctls, in the form of a
//! comparison.

use super::{Change, Sysctls};
use crate::baseline::{CaseResult, Entry, Observation, Setting, definition, interval};
use crate::cause::{cause_of_prediction, predict_both, same};
use crate::compare::{ChangeKind, ComparedCase, Difference, Field, settings};
use crate::comparison::Comparison;
use crate::verdict::sign_text;
use halfopen_predict::Prediction;
use halfopen_scenario::case::{Case, Sign, SignKind};

impl Change {
    /// What the kernel's rules predict for the change, without running anything.
    /// `setting` is where it would run.
    pub fn predict(&self, setting: &Setting, cases: &[Case]) -> Comparison {
        let with = |set: &Sysctls| Setting {
            overrides: set.clone(),
            ..setting.clone()
        };
        let (then, now) = (with(&self.then), with(&self.now));
        let mut compared: Vec<ComparedCase> = cases
            .iter()
            .map(|case| predicted_case(case, &then, &now))
            .collect();
        compared.sort_by(|a, b| a.id.cmp(&b.id));
        Comparison {
            environment: settings(&then, &now),
            then: Some(then),
            now: Some(now),
            cases: compared,
        }
    }
}

fn predicted_case(case: &Case, then: &Setting, now: &Setting) -> ComparedCase {
    let entry = |result: CaseResult| {
        Some(Entry {
            definition: definition(case),
            result,
            known: None,
        })
    };
    let mut compared = ComparedCase {
        id: case.id.clone(),
        kind: ChangeKind::NotRun,
        differences: Vec::new(),
        old: None,
        new: None,
        known: None,
        cause: None,
        explained: false,
        unsteady: false,
    };
    let (before, after) = match predict_both(case, then, now) {
        Some((Ok(before), Ok(after))) => (before, after),
        Some((Err(e), _) | (_, Err(e))) => {
            compared.new = entry(CaseResult::NotRun(format!("not predictable: {}", e.why)));
            return compared;
        }
        None => {
            let why = "the kernel's version or HZ is not known";
            compared.new = entry(CaseResult::NotRun(why.into()));
            return compared;
        }
    };
    compared.kind = ChangeKind::Unchanged;
    if !same(&before, &after) {
        compared.kind = ChangeKind::Changed;
        compared.differences = differences(&before, &after);
        compared.cause = Some(cause_of_prediction(case, &after, then, now));
    }
    compared.old = entry(as_result(&before));
    compared.new = entry(as_result(&after));
    compared
}

fn as_result(predicted: &Prediction) -> CaseResult {
    let noticed = predicted.sign != SignKind::Unnoticed;
    let byte = predicted.first_byte;
    CaseResult::Ran(Box::new(Observation {
        sign: Sign {
            sign: predicted.sign.clone(),
            call: predicted.call.clone(),
            lane: predicted.lane.clone(),
            after: noticed.then_some((predicted.earliest, predicted.latest)),
            first_byte: byte.map(|byte| (byte.earliest, byte.latest)),
            known: None,
        },
        states: Vec::new(),
        wire: None,
    }))
}

fn differences(before: &Prediction, after: &Prediction) -> Vec<Difference> {
    let none = || "-".to_owned();
    let times = |predicted: &Prediction| {
        let spans: Vec<String> = predicted
            .intervals()
            .map(|span| interval(span.earliest, span.latest))
            .collect();
        if predicted.sign == SignKind::Unnoticed {
            none()
        } else {
            spans.join(" or ")
        }
    };
    let name = |name: &Option<String>| name.clone().unwrap_or_else(none);
    let byte = |predicted: &Prediction| {
        let byte = predicted.first_byte;
        byte.map_or_else(none, |b| interval(b.earliest, b.latest))
    };
    let all = [
        (Field::FirstByte, byte(before), byte(after)),
        (Field::Sign, sign_text(&before.sign), sign_text(&after.sign)),
        (Field::Call, name(&before.call), name(&after.call)),
        (Field::Lane, name(&before.lane), name(&after.lane)),
        (Field::After, times(before), times(after)),
    ];
    all.into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(field, old, new)| Difference::of(field.name(), old, new))
        .collect()
}
