//! Baselines: saved results of cases, to compare later runs with. This module
//! turns outcomes into baselines, and baselines into YAML text and back. The
//! command reads and writes the files.
//!
//! A baseline holds only what is worth reviewing: no process numbers, no wall
//! clock time, no packets. Keys are sorted and each case is a block, so that a diff
//! of two files shows what changed.

mod definition;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment::Environment;
use super::record::{Outcome, Packet, Status, Verdict, WireCounts, WireRecord};
use super::states::states;
use halfopen_predict::Version;
use halfopen_scenario::case::{Case, Known, NodeKind, Sign, SignKind};

pub use definition::definition;
pub use read::read;
pub use write::{duration_text, interval};

/// The version of the file format. Files of a later version are refused.
pub const VERSION: u32 = 1;

/// Why a case is not run, in the saved form of one whose machine was disturbed: what
/// it showed is no result.
pub const DISTURBED: &str = "the machine was disturbed";

/// A baseline file: one run for each kernel and clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baseline {
    /// The runs, sorted by clock and kernel.
    pub runs: Vec<SavedRun>,
}

/// The saved results of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedRun {
    /// Where it ran.
    pub setting: Setting,
    /// Its cases by id.
    pub cases: BTreeMap<String, Entry>,
}

/// The part of a run's environment that is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The kernel's release.
    pub kernel: String,
    /// Its ticks a second.
    pub hz: Option<u32>,
    /// `real` or `virtual`.
    pub clock: String,
    /// The version of halfopen.
    pub halfopen: String,
    /// Sysctls pinned on every host; congestion control is one of them.
    pub sysctls: BTreeMap<String, String>,
    /// Sysctls set for the run, by host.
    pub overrides: BTreeMap<String, BTreeMap<String, String>>,
}

/// The saved result of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The hash of the case, by [`definition()`].
    pub definition: String,
    /// What it showed.
    pub result: CaseResult,
    /// Why later runs show something else, if that is known.
    pub known: Option<Known>,
}

/// How a case ended, and what it showed.
#[derive(Debug, Clone, PartialEq)]
pub enum CaseResult {
    /// It ran.
    Ran(Box<Observation>),
    /// It was not run, for this reason.
    NotRun(String),
    /// The harness failed, with this error.
    Failed(String),
}

/// What a case that ran showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The first sign. Both ends of its interval are the measured time.
    pub sign: Sign,
    /// The connections' states.
    pub states: Vec<String>,
    /// Packets by kind, as far as a run repeats their number; None when it does
    /// not.
    pub wire: Option<BTreeMap<String, u32>>,
}

impl Setting {
    /// The saved part of an environment.
    pub fn of(environment: &Environment) -> Self {
        let overrides = &environment.overrides;
        Setting {
            kernel: environment.kernel.clone(),
            hz: environment.hz,
            clock: environment.time.clone(),
            halfopen: environment.halfopen.clone(),
            sysctls: environment.sysctls.clone(),
            overrides: overrides
                .iter()
                .filter(|(_, set)| !set.is_empty())
                .map(|(host, set)| (host.clone(), set.clone()))
                .collect(),
        }
    }

    /// Whether the run was in virtual time.
    pub fn is_virtual(&self) -> bool {
        self.clock == "virtual"
    }

    /// The kernel's series, such as 6.12.
    pub fn series(&self) -> Option<Version> {
        Version::parse(&self.kernel)
    }
}

impl SavedRun {
    /// The saved form of a run. Outcomes of cases that are not in `cases` are
    /// left out.
    pub fn of(environment: &Environment, cases: &[Case], outcomes: &[Outcome]) -> Self {
        let setting = Setting::of(environment);
        let cases = outcomes
            .iter()
            .filter_map(|outcome| {
                let case = cases.iter().find(|case| case.id == outcome.id)?;
                let entry = Entry::of(case, outcome, setting.is_virtual());
                Some((outcome.id.clone(), entry))
            })
            .collect();
        SavedRun { setting, cases }
    }
}

impl Entry {
    /// The saved form of an outcome. Times are rounded to the microsecond in
    /// virtual time and to the millisecond in real time.
    pub fn of(case: &Case, outcome: &Outcome, virtual_time: bool) -> Self {
        let result = match (&outcome.status, &outcome.first_sign) {
            (Status::Ran, _) if outcome.verdict == Verdict::Disturbed => {
                CaseResult::NotRun(DISTURBED.into())
            }
            (Status::NotRun(why), _) => CaseResult::NotRun(why.clone()),
            (Status::Failed(why), _) => CaseResult::Failed(why.clone()),
            (Status::Ran, None) => CaseResult::Failed("no sign was recorded".into()),
            (Status::Ran, Some(first)) => {
                let given = |text: &String| (!text.is_empty()).then(|| text.clone());
                let after = first.since_fault_ns.map(|ns| rounded(ns, virtual_time));
                let byte = outcome.recovery.as_ref().and_then(|r| r.since_heal_ns);
                let byte = byte.map(|ns| rounded(ns, virtual_time));
                CaseResult::Ran(Box::new(Observation {
                    sign: Sign {
                        sign: first.outcome.clone(),
                        call: given(&first.call),
                        lane: given(&first.endpoint),
                        after: after
                            .map(|t| (t, t))
                            .filter(|_| first.outcome != SignKind::Unnoticed),
                        known: None,
                        first_byte: byte.map(|t| (t, t)),
                    },
                    states: states(outcome),
                    wire: repeatable(case, &outcome.wire).then(|| counted(&outcome.wire.counts)),
                }))
            }
        };
        Entry {
            definition: definition(case),
            result,
            known: None,
        }
    }

    /// What it showed, if it ran.
    pub fn observation(&self) -> Option<&Observation> {
        match &self.result {
            CaseResult::Ran(ran) => Some(ran),
            CaseResult::NotRun(_) | CaseResult::Failed(_) => None,
        }
    }
}

impl Observation {
    /// The time of the sign.
    pub fn after(&self) -> Option<Duration> {
        self.sign.after.map(|(at, _)| at)
    }

    /// How long after the last heal the first byte got through.
    pub fn first_byte(&self) -> Option<Duration> {
        self.sign.first_byte.map(|(at, _)| at)
    }
}

fn rounded(ns: i64, virtual_time: bool) -> Duration {
    let ns = ns.max(0).unsigned_abs();
    let unit = if virtual_time { 1_000 } else { 1_000_000 };
    Duration::from_nanos((ns + unit / 2) / unit * unit)
}

/// Whether another run would count the same packets. It would not when the capture
/// lost some, nor when an ARP request or neighbour solicitation was not answered:
/// packets that wait for the address never leave the host, and when the entry fails
/// depends on a random reachable time (neigh_rand_reach_time()).
fn repeatable(case: &Case, wire: &WireRecord) -> bool {
    let switch = |name: &str| {
        let node = case.network.nodes.iter().find(|node| node.name == name);
        node.is_some_and(|node| node.kind == NodeKind::Switch)
    };
    // Those that a switch forwards are counted where they were sent.
    let sent = |kinds: [&str; 2]| {
        let of_kind = |p: &&Packet| kinds.contains(&p.kind.as_str()) && !switch(&p.from);
        wire.packets.iter().filter(of_kind).count()
    };
    let asked = sent(["arp-request", "neighbour-solicitation"]);
    let answered = sent(["arp-reply", "neighbour-advertisement"]);
    wire.lost_by_capture == 0 && asked <= answered
}

/// The kinds of packets that occurred, with their numbers. Pure acknowledgments,
/// ARP and neighbour discovery are left out: they depend on delayed-ACK timers and
/// on a random reachable time (neigh_rand_reach_time()).
fn counted(counts: &WireCounts) -> BTreeMap<String, u32> {
    let WireCounts {
        syn,
        syn_ack,
        fin,
        rst,
        data,
        keepalive_probes,
        window_probes,
        retransmissions,
        icmp,
        psh: _,
        pure_ack: _,
        arp: _,
        ndp: _,
    } = counts;
    let kinds = [
        ("syn", *syn),
        ("syn-ack", *syn_ack),
        ("fin", *fin),
        ("rst", *rst),
        ("data", *data),
        ("keepalive-probes", *keepalive_probes),
        ("window-probes", *window_probes),
        ("retransmissions", *retransmissions),
    ];
    let kinds = kinds.into_iter().map(|(kind, n)| (kind.to_owned(), n));
    let icmp = icmp.iter().map(|(kind, n)| (format!("icmp-{kind}"), *n));
    kinds.chain(icmp).filter(|(_, n)| *n > 0).collect()
}
