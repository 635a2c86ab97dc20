//! Runs of parts of the cases, merged from the JSON that each machine wrote: what
//! `run --partition` divided is one run again. Pure.

mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

use halfopen_outcome::baseline::Setting;
use halfopen_outcome::environment::Environment;
use halfopen_outcome::record::Verdict;

use super::{Layout, SCHEMA};
use crate::finished::Totals;
use crate::notes;
use crate::text;
use read::CaseText;
pub use read::{Part, read};

/// The parts of one run: same kernel and same clock.
#[derive(Serialize)]
pub struct Merged {
    schema: u32,
    environment: Environment,
    /// Whether any of the parts was.
    interrupted: bool,
    /// Of the part that took longest: machines run side by side.
    elapsed_ns: u64,
    totals: Totals,
    #[serde(serialize_with = "as_they_stand")]
    cases: Vec<CaseText>,
}

/// Merges parts: those of the same kernel and clock become one run, whose cases stand in
/// the order of the parts.
///
/// # Errors
/// As text: two parts have the same case, or ran with other settings.
pub fn merge(parts: Vec<Part>) -> Result<Vec<Merged>, String> {
    // With the file that was read first, for messages.
    let mut merged: Vec<(String, Merged)> = Vec::new();
    let mut seen: BTreeMap<(usize, String), String> = BTreeMap::new();
    for part in parts {
        let same = |one: &(String, Merged)| {
            let (a, b) = (&one.1.environment, &part.environment);
            a.kernel == b.kernel && a.time == b.time
        };
        let index = merged.iter().position(same);
        let index = index.unwrap_or(merged.len());
        for case in &part.cases {
            let key = (index, case.brief.id.clone());
            if let Some(first) = seen.insert(key, part.name.clone()) {
                return Err(format!(
                    "{first} and {} both have the case {}: merge what different parts of \
                     `run --partition` wrote, each once",
                    part.name, case.brief.id
                ));
            }
        }
        match merged.get_mut(index) {
            Some((name, run)) => run.add(name, part)?,
            None => merged.push((part.name.clone(), Merged::of(part))),
        }
    }
    Ok(merged.into_iter().map(|(_, run)| run).collect())
}

impl Merged {
    fn of(part: Part) -> Self {
        Merged {
            schema: SCHEMA,
            environment: part.environment,
            interrupted: part.interrupted,
            elapsed_ns: part.elapsed_ns,
            totals: part.totals,
            cases: part.cases,
        }
    }

    fn add(&mut self, first: &str, part: Part) -> Result<(), String> {
        let (here, there) = (&self.environment, &part.environment);
        if let Some((what, a, b)) = difference(here, there) {
            return Err(format!(
                "{first} and {} are not parts of one run: {what} is {a} in the first and {b} in \
                 the second; run all parts with the same halfopen and the same options",
                part.name
            ));
        }
        if self.environment.wheel != part.environment.wheel {
            self.environment.wheel = None;
        }
        self.interrupted |= part.interrupted;
        self.elapsed_ns = self.elapsed_ns.max(part.elapsed_ns);
        self.totals.add(&part.totals);
        self.cases.extend(part.cases);
        Ok(())
    }

    /// How many cases ended with which verdict.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Whether Ctrl-C or SIGTERM ended one of the parts.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// A line for each case that somebody should look at, then the totals.
    pub fn summary(&self) -> String {
        let mut lines = String::new();
        let mut reasons: IndexMap<&str, usize> = IndexMap::new();
        for CaseText { brief, .. } in &self.cases {
            let reason = brief.reason.as_deref().unwrap_or_default();
            let outside = brief.prediction.as_ref().and_then(|p| p.outside.as_deref());
            let mut remarks = Vec::new();
            match brief.verdict {
                Verdict::NotRun => *reasons.entry(reason).or_default() += 1,
                Verdict::AsExpected | Verdict::Observed => {}
                verdict if reason.is_empty() => remarks.push(text::verdict(verdict).to_owned()),
                verdict => remarks.push(format!("{}: {reason}", text::verdict(verdict))),
            }
            remarks.extend(outside.map(|outside| format!("outside the prediction: {outside}")));
            if !remarks.is_empty() {
                lines.push_str(&format!("{}: {}\n", brief.id, remarks.join("; ")));
            }
        }
        let reasons: Vec<(&str, usize)> = reasons.into_iter().collect();
        let Environment { kernel, time, .. } = &self.environment;
        let totals = notes::totals_of(
            &self.totals,
            &reasons,
            self.interrupted,
            Duration::from_nanos(self.elapsed_ns),
        );
        lines + &format!("kernel {kernel}, {time} time: {totals}")
    }
}

/// The first thing in which two environments differ that a result depends on, and both
/// values.
fn difference(a: &Environment, b: &Environment) -> Option<(String, String, String)> {
    // Without what is empty of --sysctl.
    let (x, y) = (Setting::of(a), Setting::of(b));
    let pairs = [
        ("halfopen", x.halfopen, y.halfopen),
        ("hz", format!("{:?}", x.hz), format!("{:?}", y.hz)),
        ("privileges", a.privileges.clone(), b.privileges.clone()),
        (
            "--sysctl",
            format!("{:?}", x.overrides),
            format!("{:?}", y.overrides),
        ),
    ];
    let pairs = pairs
        .into_iter()
        .map(|(what, a, b)| (what.to_owned(), a, b));
    let keys: BTreeSet<&String> = x.sysctls.keys().chain(y.sysctls.keys()).collect();
    let value = |all: &BTreeMap<String, String>, key: &String| {
        all.get(key).map_or("not set", String::as_str).to_owned()
    };
    let sysctls = keys.into_iter().map(|key| {
        let (a, b) = (value(&x.sysctls, key), value(&y.sysctls, key));
        (format!("the pinned sysctl {key}"), a, b)
    });
    pairs.chain(sysctls).find(|(_, a, b)| a != b)
}

/// Writes merged runs: one as `run --format json` does, several as with several kernels.
///
/// # Errors
/// Those of the writer.
pub fn write(runs: &[Merged], layout: Layout, to: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Several<'a> {
        schema: u32,
        kernels: &'a [Merged],
    }
    match runs {
        [one] => layout.write(one, to),
        kernels => layout.write(
            &Several {
                schema: SCHEMA,
                kernels,
            },
            to,
        ),
    }
}

fn as_they_stand<S: Serializer>(cases: &[CaseText], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(cases.iter().map(|case| &case.text))
}
