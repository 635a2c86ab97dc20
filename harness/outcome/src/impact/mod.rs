//! What a change of sysctls changes: every case before and after it.
//!
//! Where timers stand and when neighbour entries fail follows from what else
//! runs in a guest, so some cases are never the same twice. A change that the
//! kernel's rules do not explain is therefore run again, twice on either side,
//! and only what then differs in every pair is put down to the sysctls.

pub mod scope;
mod steady;

use std::collections::BTreeMap;
use std::time::Duration;

use super::baseline::{Entry, Kept, Ran, Setting, Showed, definition};
use super::cause::{foretold, foretold_cause, name_causes, same};
use super::compare::{Compared, Difference, Field, What, runs, settings};
use super::compare_prediction::overridden;
use super::comparison::Comparison;
use super::environment::Environment;
use super::record::Outcome;
use super::verdict::in_words;
use halfopen_predict::{KernelFacts, Prediction, predict};
use halfopen_scenario::case::{Case, Heartbeat, Sign, SignKind, When};

/// Sysctls by host; `all` is every host.
pub type Sysctls = BTreeMap<String, BTreeMap<String, String>>;

/// A change of sysctls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Before it.
    pub then: Sysctls,
    /// After it.
    pub now: Sysctls,
}

/// Ends of the variants' ids, which are run as cases of their own.
const THEN: &str = "#then";
const NOW: &str = "#now";
/// And of those that are run again, on either side.
const AGAIN: [[&str; 2]; 2] = [["#then.2", "#then.3"], ["#now.2", "#now.3"]];

/// The longest that a case is drawn out: the keepalive defaults take 2 h 11 m.
const LONGEST: Duration = Duration::from_secs(3 * 3600);

impl Change {
    /// A case that lasts long enough to see what it would not have waited for,
    /// before or after the change, on any of these kernels. One with a
    /// heartbeat is left alone: it would go on beating for hours.
    pub fn patient(&self, case: &Case, kernels: &[KernelFacts]) -> Case {
        let mut patient = case.clone();
        let beats = |h: &Option<Heartbeat>| h.is_some();
        if case
            .lanes
            .iter()
            .any(|lane| beats(&lane.detector.heartbeat))
        {
            return patient;
        }
        let mut endless = case.clone();
        endless.give_up = Duration::from_secs(24 * 3600);
        let begins = case
            .events
            .iter()
            .filter_map(|event| match event.when {
                When::At(at) => Some(at),
                When::After { .. } => None,
            })
            .max()
            .unwrap_or_default();
        let mut needed = Duration::ZERO;
        for kernel in kernels {
            for set in [&self.then, &self.now] {
                let told = predict(&overridden(&endless, set), kernel);
                let comes = told.ok().filter(|told| told.sign != SignKind::Unnoticed);
                needed = needed.max(comes.map_or(Duration::ZERO, |told| told.latest));
            }
        }
        let needed = needed + begins;
        if needed > case.give_up && needed <= LONGEST {
            patient.give_up = needed + case.give_up;
        }
        patient
    }

    /// Each case before the change and after it, under ids of their own.
    pub fn variants(&self, cases: &[Case]) -> Vec<Case> {
        let both = |case| {
            [
                variant(case, &self.then, THEN),
                variant(case, &self.now, NOW),
            ]
        };
        cases.iter().flat_map(both).collect()
    }

    /// The cases that have to be run again to know that they change: each twice
    /// on either side.
    pub fn doubtful(&self, comparison: &Comparison, cases: &[Case]) -> Vec<Case> {
        let doubtful = |case: &&Case| {
            let compared = comparison.cases.iter().find(|c| c.id == case.id);
            compared.is_some_and(|c| c.what == What::Changed && !c.explained)
        };
        let again = |case: &Case| {
            let [before, after] = AGAIN;
            // Once in this order and once in the other: who starts first on a
            // busy processor must not look like the change.
            [
                variant(case, &self.then, before[0]),
                variant(case, &self.now, after[0]),
                variant(case, &self.now, after[1]),
                variant(case, &self.then, before[1]),
            ]
        };
        cases.iter().filter(doubtful).flat_map(again).collect()
    }

    /// Holds what changed against the runs of [`Change::doubtful`].
    pub fn confirm(
        &self,
        comparison: &mut Comparison,
        environment: &Environment,
        cases: &[Case],
        outcomes: &[Outcome],
    ) {
        let sides = AGAIN.iter().zip([&self.then, &self.now]);
        let kept: Vec<Vec<Kept>> = sides
            .map(|(ends, set)| {
                let of = |end: &&str| side(environment, set, cases, outcomes, end);
                ends.iter().map(of).collect()
            })
            .collect();
        let [thens, nows] = kept.as_slice() else {
            return;
        };
        for case in comparison
            .cases
            .iter_mut()
            .filter(|c| c.what == What::Changed)
        {
            let of = |runs: &[Kept]| -> Vec<Entry> {
                let entries = runs.iter().filter_map(|run| run.cases.get(&case.id));
                entries.cloned().collect()
            };
            let (then, now) = (of(thens), of(nows));
            if let (Some(a), Some(b)) = (thens.first(), nows.first()) {
                steady::keep_steady(case, then, now, &a.setting, &b.setting);
            }
        }
    }

    /// The variants of every case, compared. `cases` are those that went into
    /// [`Change::variants`].
    pub fn compare(
        &self,
        environment: &Environment,
        cases: &[Case],
        outcomes: &[Outcome],
    ) -> Comparison {
        let then = side(environment, &self.then, cases, outcomes, THEN);
        let now = side(environment, &self.now, cases, outcomes, NOW);
        let mut compared = runs(&then, &now);
        name_causes(&mut compared, cases, &then.setting, &now.setting);
        Comparison {
            environment: settings(&then.setting, &now.setting),
            then: Some(then.setting),
            now: Some(now.setting),
            cases: compared,
        }
    }

    /// What the kernel's rules say of the change, without running anything.
    /// `setting` is where it would run.
    pub fn foretell(&self, setting: &Setting, cases: &[Case]) -> Comparison {
        let with = |set: &Sysctls| Setting {
            overrides: set.clone(),
            ..setting.clone()
        };
        let (then, now) = (with(&self.then), with(&self.now));
        let mut compared: Vec<Compared> = cases
            .iter()
            .map(|case| foretell(case, &then, &now))
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

fn variant(case: &Case, set: &Sysctls, end: &str) -> Case {
    let mut variant = overridden(case, set);
    variant.id.push_str(end);
    variant
}

/// The outcomes of one side, under the cases' own ids.
fn side(
    environment: &Environment,
    set: &Sysctls,
    cases: &[Case],
    outcomes: &[Outcome],
    end: &str,
) -> Kept {
    let environment = Environment {
        overrides: set.clone(),
        ..environment.clone()
    };
    let outcomes: Vec<Outcome> = outcomes
        .iter()
        .filter_map(|outcome| {
            let id = outcome.id.strip_suffix(end)?.to_owned();
            Some(Outcome {
                id,
                ..outcome.clone()
            })
        })
        .collect();
    Kept::of(&environment, cases, &outcomes)
}

fn foretell(case: &Case, then: &Setting, now: &Setting) -> Compared {
    let entry = |showed: Showed| {
        Some(Entry {
            definition: definition(case),
            showed,
            known: None,
        })
    };
    let mut compared = Compared {
        id: case.id.clone(),
        what: What::NotRun,
        differences: Vec::new(),
        old: None,
        new: None,
        known: None,
        cause: None,
        explained: false,
        unsteady: false,
    };
    let (before, after) = match foretold(case, then, now) {
        Some((Ok(before), Ok(after))) => (before, after),
        Some((Err(e), _) | (_, Err(e))) => {
            compared.new = entry(Showed::NotRun(format!("not predictable: {}", e.why)));
            return compared;
        }
        None => {
            let why = "the kernel's version or HZ is not known";
            compared.new = entry(Showed::NotRun(why.into()));
            return compared;
        }
    };
    compared.what = What::Unchanged;
    if !same(&before, &after) {
        compared.what = What::Changed;
        compared.differences = differences(&before, &after);
        compared.cause = Some(foretold_cause(case, &after, then, now));
    }
    compared.old = entry(shows(&before));
    compared.new = entry(shows(&after));
    compared
}

fn shows(told: &Prediction) -> Showed {
    Showed::Ran(Box::new(Ran {
        sign: Sign {
            sign: told.sign.clone(),
            call: told.call.clone(),
            lane: told.lane.clone(),
            after: (told.sign != SignKind::Unnoticed).then_some((told.earliest, told.latest)),
            first_byte: told.first_byte.map(|byte| (byte.earliest, byte.latest)),
            known: None,
        },
        states: Vec::new(),
        wire: None,
    }))
}

fn differences(before: &Prediction, after: &Prediction) -> Vec<Difference> {
    let none = || "-".to_owned();
    let when = |told: &Prediction| {
        let spans: Vec<String> = told
            .intervals()
            .map(|span| super::baseline::interval(span.earliest, span.latest))
            .collect();
        if told.sign == SignKind::Unnoticed {
            none()
        } else {
            spans.join(" or ")
        }
    };
    let name = |name: &Option<String>| name.clone().unwrap_or_else(none);
    let byte = |told: &Prediction| {
        told.first_byte
            .map_or_else(none, |b| super::baseline::interval(b.earliest, b.latest))
    };
    let all = [
        (Field::FirstByte, byte(before), byte(after)),
        (Field::Sign, in_words(&before.sign), in_words(&after.sign)),
        (Field::Call, name(&before.call), name(&after.call)),
        (Field::Lane, name(&before.lane), name(&after.lane)),
        (Field::After, when(before), when(after)),
    ];
    all.into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(field, old, new)| Difference {
            what: field.name().to_owned(),
            old,
            new,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use halfopen_predict::Version;
    use halfopen_scenario::parse;

    const FILE: &str = include_str!("../../../../fixtures/impact.yaml");

    fn cases() -> Vec<Case> {
        parse("impact.yaml", FILE)
            .expect("the fixture is right")
            .cases
    }

    fn setting() -> Setting {
        Setting {
            kernel: "6.12.1".into(),
            hz: Some(250),
            clock: "virtual".into(),
            halfopen: "0.1.0".into(),
            sysctls: BTreeMap::new(),
            overrides: BTreeMap::new(),
        }
    }

    fn change(host: &str, key: &str, value: &str) -> Change {
        let set = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        Change {
            then: BTreeMap::new(),
            now: BTreeMap::from([(host.to_owned(), set)]),
        }
    }

    fn foretold_changes(change: &Change) -> Vec<String> {
        let facts = KernelFacts::new(Version(6, 12), 250);
        let cases: Vec<Case> = cases()
            .iter()
            .map(|c| change.patient(c, &[facts]))
            .collect();
        let comparison = change.foretell(&setting(), &cases);
        let changed = comparison.cases.into_iter();
        changed
            .filter(|case| case.what == What::Changed)
            .map(|case| case.id)
            .collect()
    }

    #[test]
    fn the_rules_name_the_cases_that_hang_on_a_sysctl() {
        let retries2 = change("all", "net.ipv4.tcp_retries2", "8");
        assert_eq!(foretold_changes(&retries2), ["sending", "sending-short"]);
        let keepalive = change("all", "net.ipv4.tcp_keepalive_time", "600");
        assert_eq!(
            foretold_changes(&keepalive),
            [
                "idle/detector=keepalive",
                "idle/detector=keepalive-30-by-sysctl"
            ]
        );
        let elsewhere = change("server", "net.ipv4.tcp_retries2", "8");
        assert!(foretold_changes(&elsewhere).is_empty());
        let nothing = change("all", "net.ipv4.tcp_fin_timeout", "30");
        assert!(foretold_changes(&nothing).is_empty());
    }

    #[test]
    fn a_case_lasts_as_long_as_either_side_takes() {
        let retries2 = change("all", "net.ipv4.tcp_retries2", "8");
        let facts = KernelFacts::new(Version(6, 12), 250);
        let lasts = |id: &str| {
            let cases = cases();
            let case = cases.iter().find(|c| c.id == id).expect("it has it");
            retries2.patient(case, &[facts]).give_up.as_secs()
        };
        assert!(
            (900..1300).contains(&lasts("sending")),
            "tcp_retries2 = 15 takes 15 min"
        );
        assert!((7800..9000).contains(&lasts("idle/detector=keepalive")));
        assert_eq!(lasts("idle/detector=none"), 60, "nobody ever notices");
        assert_eq!(lasts("killed"), 3);
    }

    #[test]
    fn variants_have_names_of_their_own() {
        let retries2 = change("client", "net.ipv4.tcp_retries2", "8");
        let cases = cases();
        let variants = retries2.variants(&cases);
        assert_eq!(variants.len(), cases.len() * 2);
        let ids: std::collections::BTreeSet<&str> =
            variants.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids.len(), variants.len());
        let own = |case: &Case| case.sysctls["client"]["net.ipv4.tcp_retries2"].clone();
        let short: Vec<String> = variants
            .iter()
            .filter(|c| c.scenario == "sending-short")
            .map(own)
            .collect();
        assert_eq!(short, ["5", "8"], "over the scenario's own");
    }
}
