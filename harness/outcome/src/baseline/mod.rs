//! Baselines: what cases showed once, kept to compare with. Pure: a text of
//! YAML goes in or comes out.
//!
//! Only what is worth a review is kept: no process numbers, no wall time, no
//! packets. Keys are sorted, a case is a block, so that a diff of two files
//! shows what changed.

mod definition;
mod read;
mod update;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::environment::Environment;
use super::record::{Outcome, Packet, Status, WireCounts, WireRecord};
use super::states::states;
use halfopen_predict::Version;
use halfopen_scenario::case::{Case, Known, NodeKind, Sign, SignKind};

pub use definition::definition;
pub use read::read;
pub use update::{Mixed, Updated};
pub use write::{interval, spelled};

/// The version of the form; a file of a later one is refused.
pub const VERSION: u32 = 1;

/// A file of baselines: one run a kernel and clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baseline {
    /// The runs, by clock and kernel.
    pub runs: Vec<Kept>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Where it ran.
    pub setting: Setting,
    /// Its cases by id.
    pub cases: BTreeMap<String, Entry>,
}

/// What a run's results depend on besides its cases, as far as it is kept.
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

/// One case.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What the case was, as [`definition()`] sums it up.
    pub definition: String,
    /// What it showed.
    pub showed: Showed,
    /// Why it shows something else by now.
    pub known: Option<Known>,
}

/// What a case showed.
#[derive(Debug, Clone, PartialEq)]
pub enum Showed {
    /// It ran.
    Ran(Box<Ran>),
    /// It was not run, for this reason.
    NotRun(String),
    /// The harness failed, with this error.
    Failed(String),
}

/// What a case that ran showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// The first sign; its two times are one.
    pub sign: Sign,
    /// The connections' states.
    pub states: Vec<String>,
    /// Packets by kind, those with a meaning of their own; None when chance
    /// decides how many there are.
    pub wire: Option<BTreeMap<String, u32>>,
}

impl Setting {
    /// The part of an environment that is kept.
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

    /// Whether time is a guest's that jumps over idle time.
    pub fn is_virtual(&self) -> bool {
        self.clock == "virtual"
    }

    /// The kernel's series: 6.12.
    pub fn series(&self) -> Option<Version> {
        Version::parse(&self.kernel)
    }
}

impl Kept {
    /// A run as it is kept. Outcomes of cases that are not given are left out.
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
        Kept { setting, cases }
    }
}

impl Entry {
    /// A case's outcome as it is kept: in virtual time to the microsecond, in
    /// real time to the millisecond.
    pub fn of(case: &Case, outcome: &Outcome, virtual_time: bool) -> Self {
        let showed = match (&outcome.status, &outcome.first_sign) {
            (Status::NotRun(why), _) => Showed::NotRun(why.clone()),
            (Status::Failed(why), _) => Showed::Failed(why.clone()),
            (Status::Ran, None) => Showed::Failed("no sign was recorded".into()),
            (Status::Ran, Some(first)) => {
                let given = |text: &String| (!text.is_empty()).then(|| text.clone());
                let after = first.since_fault_ns.map(|ns| kept_time(ns, virtual_time));
                let byte = outcome.recovery.as_ref().and_then(|r| r.since_heal_ns);
                let byte = byte.map(|ns| kept_time(ns, virtual_time));
                Showed::Ran(Box::new(Ran {
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
            showed,
            known: None,
        }
    }

    /// What it showed, if it ran.
    pub fn ran(&self) -> Option<&Ran> {
        match &self.showed {
            Showed::Ran(ran) => Some(ran),
            Showed::NotRun(_) | Showed::Failed(_) => None,
        }
    }
}

impl Ran {
    /// When the sign came.
    pub fn after(&self) -> Option<Duration> {
        self.sign.after.map(|(at, _)| at)
    }

    /// How long after the last heal the first byte got through.
    pub fn first_byte(&self) -> Option<Duration> {
        self.sign.first_byte.map(|(at, _)| at)
    }
}

fn kept_time(ns: i64, virtual_time: bool) -> Duration {
    let ns = ns.max(0).unsigned_abs();
    let unit = if virtual_time { 1_000 } else { 1_000_000 };
    Duration::from_nanos((ns + unit / 2) / unit * unit)
}

/// Whether another run would count the same packets. Not when the capture lost
/// some; and not when a neighbour was asked for in vain: what waits for its
/// address never leaves the host, and when the entry fails is decided by a
/// random reachable time (neigh_rand_reach_time()).
fn repeatable(case: &Case, wire: &WireRecord) -> bool {
    let switch = |name: &str| {
        let node = case.network.nodes.iter().find(|node| node.name == name);
        node.is_some_and(|node| node.kind == NodeKind::Switch)
    };
    // A switch only passes them on.
    let made = |kinds: [&str; 2]| {
        let of_kind = |p: &&Packet| kinds.contains(&p.kind.as_str()) && !switch(&p.from);
        wire.packets.iter().filter(of_kind).count()
    };
    let asked = made(["arp-request", "neighbour-solicitation"]);
    let answered = made(["arp-reply", "neighbour-advertisement"]);
    wire.lost_by_capture == 0 && asked <= answered
}

/// Packets by kind, without those that are not there. Pure acknowledgments
/// and the neighbours' questions depend on delayed-ACK timers and on a random
/// reachable time (neigh_rand_reach_time()): they are left out.
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
