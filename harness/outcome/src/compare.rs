//! Two runs of the same cases: what is not the same any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::baseline::{Baseline, Entry, Kept, Ran, Setting, Showed, spelled};
use super::tolerance::{self, Tolerance};
use halfopen_scenario::case::{Known, Sign, SignKind};

/// A case, then and now.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Its id.
    pub id: String,
    /// What became of it.
    pub what: What,
    /// How it differs; empty unless it was run both times.
    pub differences: Vec<Difference>,
    /// Then.
    pub old: Option<Entry>,
    /// Now.
    pub new: Option<Entry>,
    /// Why it is put up with.
    pub known: Option<Known>,
    /// The likeliest cause, when one can be named.
    pub cause: Option<String>,
    /// The rules predict what is seen, and something else for what was seen.
    pub explained: bool,
    /// It was run again, and is not the same from one run to the next.
    pub unsteady: bool,
}

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It shows something else.
    Changed,
    /// It shows something else, and is known to.
    Known,
    /// It was not there, or was not run, before.
    New,
    /// It is not there any more.
    Gone,
    /// It ran before and was not run now, or was never run.
    NotRun,
    /// It shows the same.
    Unchanged,
}

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: see [`Field`] for a case's, a setting's name for an environment's.
    pub what: String,
    /// Then.
    pub old: String,
    /// Now.
    pub new: String,
}

/// What of a case can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The first sign: an errno, a signal, end of file, unnoticed.
    Sign,
    /// The call that shows it.
    Call,
    /// The lane that notices.
    Lane,
    /// When it comes.
    After,
    /// When a byte gets through after a heal.
    FirstByte,
    /// The connections' states.
    States,
    /// Whether it ran.
    Status,
}

impl Field {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Field::Sign => "sign",
            Field::Call => "call",
            Field::Lane => "lane",
            Field::After => "after",
            Field::FirstByte => "first byte",
            Field::States => "states",
            Field::Status => "status",
        }
    }
}

impl Difference {
    fn of(what: &str, old: impl Into<String>, new: impl Into<String>) -> Self {
        Difference {
            what: what.to_owned(),
            old: old.into(),
            new: new.into(),
        }
    }
}

/// Two runs, then and now; None when one of them has no counterpart.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// Then.
    pub old: Option<&'a Kept>,
    /// Now.
    pub new: Option<&'a Kept>,
}

/// Finds each run's counterpart: the same clock and kernel, else the same clock
/// and series, else what is left when it is one on either side.
pub fn pairs<'a>(old: &'a Baseline, new: &'a Baseline) -> Vec<Pair<'a>> {
    let mut left: Vec<&Kept> = old.runs.iter().collect();
    let mut found: Vec<Option<&Kept>> = vec![None; new.runs.len()];
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

/// Every case of two runs, by id.
pub fn runs(old: &Kept, new: &Kept) -> Vec<Compared> {
    let ids: BTreeSet<&String> = old.cases.keys().chain(new.cases.keys()).collect();
    ids.into_iter()
        .map(|id| {
            let (before, now) = (old.cases.get(id), new.cases.get(id));
            case(id, before, now, &old.setting, &new.setting)
        })
        .collect()
}

/// One case, then and now.
pub fn case(
    id: &str,
    old: Option<&Entry>,
    new: Option<&Entry>,
    then: &Setting,
    now: &Setting,
) -> Compared {
    let (what, differences) = match (old.map(|e| &e.showed), new.map(|e| &e.showed)) {
        (None, None) => (What::Gone, Vec::new()),
        (Some(_), None) => (What::Gone, Vec::new()),
        (_, Some(Showed::NotRun(_))) => (What::NotRun, Vec::new()),
        (None | Some(Showed::NotRun(_)), Some(_)) => (What::New, Vec::new()),
        (Some(Showed::Ran(old)), Some(Showed::Ran(new))) => {
            let differences = differences(old, new, then, now);
            if differences.is_empty() {
                (What::Unchanged, differences)
            } else {
                (What::Changed, differences)
            }
        }
        (Some(Showed::Failed(_)), Some(Showed::Failed(_))) => (What::Unchanged, Vec::new()),
        (Some(old), Some(new)) => {
            let status = Difference::of(Field::Status.name(), status(old), status(new));
            (What::Changed, vec![status])
        }
    };
    let known = old.and_then(|e| e.known.clone());
    let known = known.or_else(|| new.and_then(|e| e.known.clone()));
    let ran = new.and_then(Entry::ran);
    let tolerance = tolerance_of(then, now);
    let covered = known
        .as_ref()
        .is_some_and(|k| ran.is_some_and(|ran| covers(k, &ran.sign, &tolerance)));
    let what = if what == What::Changed && covered {
        What::Known
    } else {
        what
    };
    Compared {
        id: id.to_owned(),
        what,
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

fn status(showed: &Showed) -> String {
    match showed {
        Showed::Ran(_) => "ran".into(),
        Showed::NotRun(why) => format!("not run: {why}"),
        Showed::Failed(why) => format!("failed: {why}"),
    }
}

fn tolerance_of(then: &Setting, now: &Setting) -> Tolerance {
    tolerance::between(
        then.is_virtual() && now.is_virtual(),
        then.kernel == now.kernel,
    )
}

fn differences(old: &Ran, new: &Ran, then: &Setting, now: &Setting) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut text = |field: Field, old: &str, new: &str| {
        if old != new {
            found.push(Difference::of(field.name(), old, new));
        }
    };
    let (a, b) = (&old.sign, &new.sign);
    text(Field::Sign, &kind(&a.sign), &kind(&b.sign));
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
            // Then nobody looked for it.
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

/// Packets by kind. In virtual time all of them follow from the case and are
/// held to be equal. In real time a retransmission more or less is a busy
/// machine's: only whether there were any is compared; but the number of
/// keepalive probes that a connection died of is a setting.
fn counts(
    old: &BTreeMap<String, u32>,
    new: &BTreeMap<String, u32>,
    exact: bool,
    died: bool,
) -> Vec<Difference> {
    let kinds: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    // Of several connections, the others go on being probed after the first
    // sign, for as long as the case happens to last.
    let one = [old, new]
        .iter()
        .all(|counts| counts.get("syn").is_none_or(|n| *n <= 1));
    kinds
        .into_iter()
        .filter_map(|kind| {
            let n = |counts: &BTreeMap<String, u32>| counts.get(kind).copied().unwrap_or(0);
            let (a, b) = (n(old), n(new));
            let counted = exact || (died && one && kind == "keepalive-probes");
            // One loss probe is all that it takes a busy machine to be late for.
            let late = kind == "retransmissions" && a.max(b) == 1;
            let same = match counted {
                true => a == b,
                false => late || (a > 0) == (b > 0),
            };
            (!same).then(|| Difference::of(kind, a.to_string(), b.to_string()))
        })
        .collect()
}

/// What differs between two environments.
pub fn settings(old: &Setting, new: &Setting) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut text = |what: &str, old: &str, new: &str| {
        if old != new {
            found.push(Difference::of(what, old, new));
        }
    };
    text("kernel", &old.kernel, &new.kernel);
    let hz = |hz: Option<u32>| hz.map_or("unknown".to_owned(), |hz| hz.to_string());
    text("HZ", &hz(old.hz), &hz(new.hz));
    text("clock", &old.clock, &new.clock);
    text("halfopen", &old.halfopen, &new.halfopen);
    let keys: BTreeSet<&String> = old.sysctls.keys().chain(new.sysctls.keys()).collect();
    for key in keys {
        let value = |setting: &Setting| setting.sysctls.get(key).cloned().unwrap_or_default();
        text(key, &value(old), &value(new));
    }
    for (host, key) in overrides(old, new) {
        let value = |setting: &Setting| {
            let set = setting.overrides.get(&host);
            // What nobody set is as it is pinned, where no case sets it.
            let value = set.and_then(|set| set.get(&key));
            let value = value.or_else(|| setting.sysctls.get(&key));
            value.map_or("not set".to_owned(), Clone::clone)
        };
        text(&of_host(&host, &key), &value(old), &value(new));
    }
    found
}

/// Host and key of everything that either run set.
pub(super) fn overrides(old: &Setting, new: &Setting) -> BTreeSet<(String, String)> {
    [old, new]
        .into_iter()
        .flat_map(|setting| &setting.overrides)
        .flat_map(|(host, set)| set.keys().map(|key| (host.clone(), key.clone())))
        .collect()
}

/// `net.ipv4.tcp_retries2 on client`.
pub(super) fn of_host(host: &str, key: &str) -> String {
    if host == "all" {
        format!("{key} on every host")
    } else {
        format!("{key} on {host}")
    }
}

fn kind(kind: &SignKind) -> String {
    super::verdict::in_words(kind)
}

fn listed(states: &[String]) -> String {
    if states.is_empty() {
        "-".into()
    } else {
        states.join(", ")
    }
}

fn at(time: Option<Duration>) -> String {
    time.map_or("-".into(), spelled)
}

/// How many cases became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The same.
    pub unchanged: usize,
    /// Not the same.
    pub changed: usize,
    /// Not the same, and known to be so.
    pub known: usize,
    /// Known to differ, and the same.
    pub mended: usize,
    /// New.
    pub new: usize,
    /// Gone.
    pub gone: usize,
    /// Not run now.
    pub not_run: usize,
}

impl Totals {
    /// Counts cases.
    pub fn of(cases: &[Compared]) -> Self {
        let mut totals = Totals::default();
        for case in cases {
            totals.mended += usize::from(case.is_mended());
            *match case.what {
                What::Changed => &mut totals.changed,
                What::Known => &mut totals.known,
                What::New => &mut totals.new,
                What::Gone => &mut totals.gone,
                What::NotRun => &mut totals.not_run,
                What::Unchanged => &mut totals.unchanged,
            } += 1;
        }
        totals
    }

    /// Whether something changed that nobody knows of. A case that was not run
    /// has shown nothing, neither the same nor something else.
    pub fn any_change(&self) -> bool {
        self.changed + self.new + self.gone > 0
    }
}

impl Compared {
    /// It is known to differ, and does not any more.
    pub fn is_mended(&self) -> bool {
        self.what == What::Unchanged && self.known.is_some()
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
