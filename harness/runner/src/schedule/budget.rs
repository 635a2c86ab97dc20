//! What a machine has for the cases of a run, as one table: how much of each resource
//! a case needs at most, and how much of it this program takes. `resources` admits a
//! case when all of what it needs is free.
//!
//! Descriptors belong to this process. The others are the machine's, and all runs of
//! this process share them; a guest has the machine to itself and needs no budget.

use std::sync::OnceLock;

use super::order::connections;
use super::slots::Slots;
use crate::case_run::descriptors_needed;
use halfopen_lab::LabError;
use halfopen_lab::internal::neighbour_entries;
use halfopen_lab::sandbox::{
    NeighbourTable, group_processes_left, machine_limits, neighbour_tables,
};
use halfopen_scenario::case::{Case, Clock, Family};
use halfopen_sys::descriptors::raise_limit;

/// What the program has open besides its cases: standard descriptors, the
/// keeper, the pipes of signals and lifeline, and what two cases have open
/// for a moment while they are built.
const RESERVED_DESCRIPTORS: usize = 64;

/// A resource that cases use up.
pub(super) struct Row {
    /// What it is, in the plural.
    pub name: &'static str,
    /// What decides how much there is.
    pub key: String,
    /// How much this program may take of it.
    pub available: usize,
    /// How much a case needs at most.
    pub needed: fn(&Case) -> usize,
    /// What to do where it is not enough for a case that needs so much.
    cure: Box<dyn Fn(usize) -> String + Send + Sync>,
}

/// A row and what of it is free.
pub(super) struct Budgeted {
    row: Row,
    pub slots: Slots,
}

impl Budgeted {
    fn of(row: Row) -> Self {
        let slots = Slots::new(row.available);
        Budgeted { row, slots }
    }

    /// How much a case takes of it.
    pub fn needed(&self, case: &Case) -> usize {
        (self.row.needed)(case)
    }
}

/// The machine's resources, for all runs of this process.
pub(super) fn of_machine() -> &'static [Budgeted] {
    static MACHINE: OnceLock<Vec<Budgeted>> = OnceLock::new();
    MACHINE.get_or_init(|| machine_rows().into_iter().map(Budgeted::of).collect())
}

/// Raises the limit of descriptors as far as it may, and returns what is left.
///
/// # Errors
/// None on Linux.
pub(super) fn descriptors() -> Result<Budgeted, LabError> {
    let limit = raise_limit().map_err(|e| LabError::system("read the limit of descriptors", e))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(Budgeted::of(Row {
        name: "open files",
        key: format!("the limit is {limit}"),
        available: limit.saturating_sub(RESERVED_DESCRIPTORS),
        needed: descriptors_needed,
        cure: Box::new(|needed| {
            format!(
                "raise the hard limit, by `ulimit -Hn {0}` as root, or LimitNOFILE={0} in systemd",
                needed + RESERVED_DESCRIPTORS
            )
        }),
    }))
}

/// Refuses cases of which one alone needs more than there is.
///
/// # Errors
/// With the largest such case, the resource and the cure.
pub(super) fn check<'a>(
    cases: &[Case],
    budget: impl Iterator<Item = &'a Budgeted>,
) -> Result<(), LabError> {
    for budgeted in budget {
        let here = cases.iter().filter(|case| case.clock != Clock::Virtual);
        let Some(largest) = here.max_by_key(|case| budgeted.needed(case)) else {
            continue;
        };
        let (row, needed) = (&budgeted.row, budgeted.needed(largest));
        if needed > row.available {
            return Err(LabError::Unsupported {
                what: format!("get enough {} for {}: {}", row.name, largest.id, row.key),
                cure: format!("cure: {}", (row.cure)(needed)),
            });
        }
    }
    Ok(())
}

/// What limits how many of these cases run at once, as text; None: nothing does.
pub(super) fn limit(cases: &[Case]) -> Option<String> {
    let most = |budgeted: &Budgeted| {
        let needed: usize = cases.iter().map(|case| budgeted.needed(case)).sum();
        let available = budgeted.row.available.saturating_mul(cases.len());
        available.checked_div(needed)
    };
    let limited = of_machine()
        .iter()
        .filter_map(|row| Some((most(row)?, row)));
    let (most, budgeted) = limited.min_by_key(|(most, _)| *most)?;
    let (name, key) = (budgeted.row.name, &budgeted.row.key);
    (most < cases.len()).then(|| format!("about {most} cases at once: {name} are shared ({key})"))
}

/// Each resource of the machine as a line: its name, what there is, what decides it.
pub fn describe() -> Vec<(&'static str, usize, &'static str)> {
    let rows = of_machine().iter();
    rows.map(|b| (b.row.name, b.row.available, b.row.key.as_str()))
        .collect()
}

/// The rows that can be read on this machine. Half of what is left is the caller's.
fn machine_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for table in neighbour_tables().into_iter().flatten() {
        rows.push(neighbour_row(table));
    }
    let left = group_processes_left().and_then(|left| usize::try_from(left).ok());
    rows.extend(left.map(|left| Row {
        name: "processes",
        key: format!("pids.max of this control group leaves {left}"),
        available: left / 2,
        needed: processes_needed,
        cure: Box::new(|needed| format!("raise pids.max by {} (TasksMax= in systemd)", 2 * needed)),
    }));
    if let Some(limits) = machine_limits() {
        rows.extend(limits.max_net_namespaces.map(|most| Row {
            name: "network namespaces",
            key: format!("user.max_net_namespaces = {most}"),
            available: most / 2,
            // The nodes, the wire, and one that a host leaves behind when it reboots.
            needed: |case| case.network.nodes.len() + 2,
            cure: Box::new(|needed| format!("sysctl user.max_net_namespaces={}", 4 * needed)),
        }));
        let left = limits
            .memory_left
            .and_then(|left| usize::try_from(left >> 20).ok());
        rows.extend(left.map(|left| Row {
            name: "MiB of memory",
            key: format!("{left} MiB are left"),
            available: left / 2,
            needed: memory_needed,
            cure: Box::new(|needed| format!("{} MiB of memory", 2 * needed)),
        }));
        rows.extend(limits.user_processes_left.map(|left| Row {
            name: "processes of a user",
            key: format!("RLIMIT_NPROC leaves {left}"),
            available: left / 2,
            needed: processes_needed,
            cure: Box::new(|needed| format!("raise `ulimit -u` by {}", 2 * needed)),
        }));
        rows.extend(limits.max_orphans.map(|most| Row {
            name: "orphaned connections",
            key: format!("net.ipv4.tcp_max_orphans = {most}"),
            available: most / 2,
            needed: orphans_needed,
            cure: Box::new(|needed| format!("sysctl net.ipv4.tcp_max_orphans={}", 2 * needed)),
        }));
    }
    rows
}

fn neighbour_row(table: &'static NeighbourTable) -> Row {
    let (name, needed): (_, fn(&Case) -> usize) = match table.family {
        Family::Ipv4 => ("IPv4 neighbour entries", |case| entries(case, Family::Ipv4)),
        Family::Ipv6 => ("IPv6 neighbour entries", |case| entries(case, Family::Ipv6)),
    };
    let (in_use, most) = (table.in_use, table.gc_thresh3);
    let key = table.key();
    Row {
        name,
        key: format!("{key} = {most}, {in_use} in use"),
        available: share_of_table(in_use, table.gc_thresh2, most),
        needed,
        cure: Box::new(move |needed| {
            let (second, third) = (in_use + 2 * needed, in_use + 4 * needed);
            let lower = key.replace("thresh3", "thresh2");
            format!("sysctl {lower}={second} {key}={third}")
        }),
    }
}

/// How many entries cases may have together: half of what is left below the limit,
/// and not so many that new ones make the kernel collect the caller's own, which it
/// does from gc_thresh2 on. A quarter of the distance to that is for entries of labs
/// that are gone: cleanup_net() frees their namespaces later.
fn share_of_table(in_use: usize, gc_thresh2: usize, gc_thresh3: usize) -> usize {
    let half = gc_thresh3.saturating_sub(in_use) / 2;
    let uncollected = gc_thresh2.saturating_sub(in_use) / 4 * 3;
    half.min(uncollected)
}

fn entries(case: &Case, family: Family) -> usize {
    match case.family == family {
        true => neighbour_entries(&case.network, family),
        false => 0,
    }
}

/// Each connection may be closed and go on retransmitting.
fn orphans_needed(case: &Case) -> usize {
    usize::try_from(connections(case)).unwrap_or(usize::MAX)
}

/// In MiB: measured were 1 for a case with its lab and 18 more for a thousand connections.
/// What programs need is theirs to know; most of those in programs.yaml take less than 64.
fn memory_needed(case: &Case) -> usize {
    let programs = case.lanes.iter().filter(|lane| lane.program.is_some());
    2 + orphans_needed(case) / 50 + 64 * programs.count()
}

/// The processes of the lanes, and the threads of the case and of its relays.
fn processes_needed(case: &Case) -> usize {
    let lanes = case.lanes.iter().map(|lane| lane.count as usize);
    lanes.sum::<usize>() + 1 + case.network.cables.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_keeps_a_margin_of_the_table() {
        assert_eq!(share_of_table(5, 512, 1024), 378);
        assert_eq!(share_of_table(0, 4096, 1024), 512);
        assert_eq!(share_of_table(600, 512, 1024), 0);
        assert_eq!(share_of_table(2000, 512, 1024), 0);
    }

    fn case() -> Case {
        let cases = halfopen_outcome::testing::cases();
        cases.into_iter().next().expect("there are some")
    }

    fn row(available: usize) -> Budgeted {
        Budgeted::of(Row {
            name: "IPv4 neighbour entries",
            key: "net.ipv4.neigh.default.gc_thresh3 = 1".into(),
            available,
            needed: |case| entries(case, Family::Ipv4),
            cure: Box::new(|needed| format!("sysctl net.ipv4.neigh.default.gc_thresh3={needed}")),
        })
    }

    #[test]
    fn what_can_never_fit_is_refused_with_the_key_and_the_cure() {
        assert!(check(&[case()], [&row(2)].into_iter()).is_ok());
        let refused = check(&[case()], [&row(1)].into_iter());
        let text = refused
            .map_err(|e| e.to_string())
            .expect_err("2 are needed");
        assert!(
            text.contains("cure: sysctl net.ipv4.neigh.default.gc_thresh3=2"),
            "{text}"
        );
        assert!(text.contains(&case().id), "{text}");
    }
}
