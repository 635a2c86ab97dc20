//! Tells changes from the variation between runs of the same case.

use std::time::Duration;

use crate::baseline::{Entry, Observation, Setting};
use crate::compare::{self, ChangeKind, ComparedCase, Difference, Field};

/// Keeps the differences of a case that occur in every pair of runs, one from
/// either side, the case's own two runs included. The numbers of both sides must
/// lie at least as far apart as those of one side vary: counts that depend on
/// chance differ in nearly every pair.
pub fn keep_repeatable(
    case: &mut ComparedCase,
    mut before: Vec<Entry>,
    mut after: Vec<Entry>,
    then: &Setting,
    now: &Setting,
) {
    if before.is_empty() || after.is_empty() {
        return;
    }
    before.extend(case.old.clone());
    after.extend(case.new.clone());
    let mut always: Vec<String> = names(&case.differences);
    for a in &before {
        for b in &after {
            let pair = compare::case(&case.id, Some(a), Some(b), then, now);
            let here = names(&pair.differences);
            always.retain(|what| here.contains(what));
        }
    }
    always.retain(|what| apart(what, &before, &after));
    let found = case.differences.len();
    case.differences.retain(|d| always.contains(&d.what));
    case.unsteady = case.differences.len() < found;
    if case.differences.is_empty() {
        case.kind = ChangeKind::Unchanged;
        case.cause = None;
    }
}

/// Whether a number changes by at least its variation on either side. A field that
/// is not a number counts as changed.
fn apart(what: &str, before: &[Entry], after: &[Entry]) -> bool {
    let range = |side: &[Entry]| {
        let numbers: Option<Vec<u128>> = side.iter().map(|entry| number(what, entry)).collect();
        let numbers = numbers?;
        Some((*numbers.iter().min()?, *numbers.iter().max()?))
    };
    let (Some((a, b)), Some((c, d))) = (range(before), range(after)) else {
        return true;
    };
    let gap = if b < c { c - b } else { a.saturating_sub(d) };
    gap >= (b - a).max(d - c).max(1)
}

/// The field as a number: a count, or a time in nanoseconds.
fn number(what: &str, entry: &Entry) -> Option<u128> {
    let ran = entry.observation()?;
    let time = |of: fn(&Observation) -> Option<Duration>| of(ran).map(|at| at.as_nanos());
    if what == Field::After.name() {
        time(Observation::after)
    } else if what == Field::FirstByte.name() {
        time(Observation::first_byte)
    } else if [
        Field::Sign,
        Field::Call,
        Field::Lane,
        Field::States,
        Field::Status,
    ]
    .iter()
    .any(|field| field.name() == what)
    {
        None
    } else {
        let counts = ran.wire.as_ref()?;
        Some(u128::from(counts.get(what).copied().unwrap_or_default()))
    }
}

fn names(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(|d| d.what.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::CaseResult;
    use crate::testing::saved_run;

    /// An entry with this time in milliseconds and this many retransmissions.
    fn entry(ms: u64, again: u32) -> Entry {
        let run = saved_run();
        let mut entry = run.cases["host-crash-while-writing/detector=none,network=lan"].clone();
        if let CaseResult::Ran(ran) = &mut entry.result {
            let at = Duration::from_millis(ms);
            ran.sign.after = Some((at, at));
            let wire = ran.wire.as_mut().expect("nothing was lost");
            wire.insert("retransmissions".into(), again);
        }
        entry
    }

    fn left(before: [Entry; 3], after: [Entry; 3]) -> (ChangeKind, String, bool) {
        let mut setting = saved_run().setting;
        setting.clock = "virtual".into();
        let [then, before @ ..] = before;
        let [now, after @ ..] = after;
        let mut case = compare::case("c", Some(&then), Some(&now), &setting, &setting);
        keep_repeatable(&mut case, before.into(), after.into(), &setting, &setting);
        (case.kind, names(&case.differences).join(" "), case.unsteady)
    }

    #[test]
    fn what_every_pair_shows_is_a_change() {
        let before = [entry(3_000, 4), entry(3_010, 4), entry(3_000, 4)];
        let after = [entry(6_000, 5), entry(6_500, 6), entry(6_000, 5)];
        let all = "after retransmissions".to_owned();
        assert_eq!(left(before, after), (ChangeKind::Changed, all, false));
    }

    #[test]
    fn what_one_pair_does_not_show_is_none() {
        let before = [entry(3_000, 4), entry(3_500, 5), entry(3_000, 4)];
        let after = [entry(9_000, 5), entry(9_000, 5), entry(9_000, 6)];
        let left_over = (ChangeKind::Changed, "after".to_owned(), true);
        assert_eq!(left(before.clone(), after), left_over);
        let after = [entry(3_500, 5), entry(3_000, 4), entry(3_500, 5)];
        assert_eq!(
            left(before, after),
            (ChangeKind::Unchanged, String::new(), true)
        );
    }

    #[test]
    fn counts_that_differ_in_every_pair_by_chance_are_none() {
        let before = [entry(3_000, 14), entry(3_000, 7), entry(3_000, 11)];
        let after = [entry(3_000, 9), entry(3_000, 12), entry(3_000, 8)];
        let nothing = (ChangeKind::Unchanged, String::new(), true);
        assert_eq!(left(before.clone(), after), nothing);
        let after = [entry(3_000, 15), entry(3_000, 17), entry(3_000, 20)];
        assert_eq!(left(before.clone(), after), nothing, "not as far as 7");
        let after = [entry(3_000, 25), entry(3_000, 27), entry(3_000, 30)];
        let again = (ChangeKind::Changed, "retransmissions".to_owned(), false);
        assert_eq!(left(before, after), again);
    }
}
