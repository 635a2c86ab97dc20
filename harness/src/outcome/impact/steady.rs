//! What a case varies in by itself.

use std::time::Duration;

use super::super::baseline::{Entry, Ran, Setting};
use super::super::compare::{self, Compared, Difference, Field, What};
use super::super::tolerance;

/// Takes from the differences of a case what differs between two runs of it
/// with nothing changed.
pub fn take_away(case: &mut Compared, again: Option<&Entry>, setting: &Setting) {
    let Some(old) = &case.old else { return };
    let control = compare::case(&case.id, Some(old), again, setting, setting);
    if control.what != What::Changed {
        return;
    }
    case.unsteady = true;
    let times = |entry: Option<&Entry>| entry.and_then(Entry::ran).and_then(Ran::after);
    let (then, once_more, now) = (times(Some(old)), times(again), times(case.new.as_ref()));
    let by_itself = |found: &Difference| {
        let Some(varies) = control.differences.iter().find(|d| d.what == found.what) else {
            return false;
        };
        match (then, once_more, now) {
            (Some(a), Some(b), Some(now)) if found.what == Field::After.name() => {
                let wide = a.abs_diff(b);
                let allowed = wide + tolerance::between(true, true).around(a.max(b));
                within(now, a.min(b), a.max(b), allowed)
            }
            _ => counts_within(found, varies).unwrap_or(found.new == varies.new),
        }
    };
    case.differences.retain(|found| !by_itself(found));
    if case.differences.is_empty() && case.what == What::Changed {
        case.what = What::Unchanged;
    }
}

fn within(now: Duration, least: Duration, most: Duration, allowed: Duration) -> bool {
    now + allowed >= least && now <= most + allowed
}

/// Whether a count lies no further from two others than they lie apart. None:
/// they are no counts.
fn counts_within(found: &Difference, varies: &Difference) -> Option<bool> {
    let count = |text: &str| text.parse::<u32>().ok();
    let (a, b) = (count(&varies.old)?, count(&varies.new)?);
    let (now, wide) = (count(&found.new)?, a.abs_diff(b));
    Some(now + wide >= a.min(b) && now <= a.max(b) + wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::baseline::Showed;
    use crate::outcome::baseline::tests::kept;
    use crate::scenario::case::SignKind;

    /// A case's entry with this time in milliseconds, retransmissions, and errno.
    fn entry(ms: u64, again: u32, errno: &str) -> Entry {
        let run = kept();
        let mut entry = run.cases["host-crash-while-writing/detector=none,network=lan"].clone();
        if let Showed::Ran(ran) = &mut entry.showed {
            let at = Duration::from_millis(ms);
            ran.sign.after = Some((at, at));
            ran.sign.sign = SignKind::Errno(errno.into());
            let wire = ran.wire.as_mut().expect("nothing was lost");
            wire.insert("retransmissions".into(), again);
        }
        entry
    }

    fn left(then: &Entry, again: &Entry, now: &Entry) -> (What, String) {
        let mut setting = kept().setting;
        setting.clock = "virtual".into();
        let mut case = compare::case("c", Some(then), Some(now), &setting, &setting);
        take_away(&mut case, Some(again), &setting);
        let left: Vec<_> = case.differences.into_iter().map(|d| d.what).collect();
        (case.what, left.join(" "))
    }

    #[test]
    fn a_steady_case_keeps_its_differences() {
        let then = entry(3_000, 4, "ETIMEDOUT");
        let now = entry(6_000, 5, "ETIMEDOUT");
        let all = "after retransmissions".to_owned();
        assert_eq!(left(&then, &then, &now), (What::Changed, all));
    }

    #[test]
    fn what_a_case_varies_in_by_itself_is_no_change_unless_it_is_far_more() {
        let (then, again) = (entry(3_000, 4, "ETIMEDOUT"), entry(3_500, 5, "ETIMEDOUT"));
        let near = entry(3_800, 6, "ETIMEDOUT");
        assert_eq!(left(&then, &again, &near), (What::Unchanged, String::new()));
        let far = entry(9_000, 6, "ETIMEDOUT");
        assert_eq!(left(&then, &again, &far), (What::Changed, "after".into()));
        let many = entry(3_800, 9, "ETIMEDOUT");
        assert_eq!(
            left(&then, &again, &many),
            (What::Changed, "retransmissions".into())
        );
        let other = entry(3_100, 4, "EHOSTUNREACH");
        assert_eq!(left(&then, &again, &other), (What::Changed, "sign".into()));
        let varies = entry(3_500, 5, "EHOSTUNREACH");
        assert_eq!(
            left(&then, &varies, &other),
            (What::Unchanged, String::new())
        );
    }
}
