//! The kernel's neighbour tables: one for IPv4 and one for IPv6, which all network
//! namespaces of the machine share. Their limits and counters can be read only in
//! the first network namespace, so [`super::enter`] reads them before it leaves
//! that, and keeps the counters open. The runner asks how much room there is.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Mutex, OnceLock, PoisonError};

use halfopen_net::Family;

/// What a table of limits unknown is taken to have: the kernel's own (arp_tbl,
/// nd_tbl). In a container whose network namespace is not the first the files do
/// not exist.
const DEFAULT_THRESHOLDS: (usize, usize) = (512, 1024);

static TABLES: OnceLock<[NeighbourTable; 2]> = OnceLock::new();

/// One of the two tables.
#[derive(Debug)]
pub struct NeighbourTable {
    /// Whose.
    pub family: Family,
    /// From so many entries on, a new one makes the kernel collect others that were
    /// not used for 5 s (neigh_alloc(), neigh_forced_gc()).
    pub gc_thresh2: usize,
    /// With so many, a new one is refused.
    pub gc_thresh3: usize,
    /// How many there were before this program made any.
    pub in_use: usize,
    /// /proc/net/stat/arp_cache or ndisc_cache, opened where it exists.
    counters: Option<Mutex<File>>,
}

/// What tells that a table was too small, since the machine was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overflows {
    /// Entries that were refused.
    pub table_fulls: u64,
    /// How often entries of others were collected for a new one.
    pub forced_gc_runs: u64,
}

/// The tables, as they were when the sandbox was entered; None: it was not entered.
pub fn neighbour_tables() -> Option<&'static [NeighbourTable; 2]> {
    TABLES.get()
}

/// Reads what can be read only outside the sandbox.
pub(super) fn remember() {
    TABLES.get_or_init(|| {
        [
            NeighbourTable::read(Family::Ipv4, "ipv4", "arp_cache"),
            NeighbourTable::read(Family::Ipv6, "ipv6", "ndisc_cache"),
        ]
    });
}

impl NeighbourTable {
    fn read(family: Family, directory: &str, counters: &str) -> Self {
        let threshold = |number: u8| -> Option<usize> {
            let key = format!("/proc/sys/net/{directory}/neigh/default/gc_thresh{number}");
            fs::read_to_string(key).ok()?.trim().parse().ok()
        };
        let counters = File::open(format!("/proc/net/stat/{counters}")).ok();
        let mut table = NeighbourTable {
            family,
            gc_thresh2: threshold(2).unwrap_or(DEFAULT_THRESHOLDS.0),
            gc_thresh3: threshold(3).unwrap_or(DEFAULT_THRESHOLDS.1),
            in_use: 0,
            counters: counters.map(Mutex::new),
        };
        table.in_use = table.entries().unwrap_or(0);
        table
    }

    /// The sysctl that decides how many entries there may be.
    pub fn key(&self) -> &'static str {
        match self.family {
            Family::Ipv4 => "net.ipv4.neigh.default.gc_thresh3",
            Family::Ipv6 => "net.ipv6.neigh.default.gc_thresh3",
        }
    }

    /// How many entries there are now; None: not known here.
    pub fn entries(&self) -> Option<usize> {
        usize::try_from(parse(&self.text()?)?.0).ok()
    }

    /// The counters of overflows; None: not known here.
    pub fn overflows(&self) -> Option<Overflows> {
        Some(parse(&self.text()?)?.1)
    }

    fn text(&self) -> Option<String> {
        let counters = self.counters.as_ref()?;
        let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        counters.seek(SeekFrom::Start(0)).ok()?;
        counters.read_to_string(&mut text).ok()?;
        Some(text)
    }
}

/// The number of entries and the overflows in the text of a counters' file: a line
/// of titles, and a line of hexadecimal numbers for each processor. Each line has
/// the table's entries, and its processor's part of the rest
/// (neigh_stat_seq_show()).
fn parse(text: &str) -> Option<(u64, Overflows)> {
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next()?.split_whitespace().collect();
    let column = |title: &str| titles.iter().position(|t| *t == title);
    let (entries, fulls, forced) = (
        column("entries")?,
        column("table_fulls")?,
        column("forced_gc_runs")?,
    );
    let mut now = 0;
    let mut overflows = Overflows::default();
    for line in lines {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let cell = |at: usize| u64::from_str_radix(cells.get(at)?, 16).ok();
        now = cell(entries)?;
        overflows.table_fulls += cell(fulls)?;
        overflows.forced_gc_runs += cell(forced)?;
    }
    Some((now, overflows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_and_entries_are_not() {
        let text = "entries  allocs forced_gc_runs unresolved_discards table_fulls\n\
                    0000001f 000021a5 00000002 00000000 00000010\n\
                    0000001f 00002365 00000001 00000000 00000001\n";
        let overflows = Overflows {
            table_fulls: 17,
            forced_gc_runs: 3,
        };
        assert_eq!(parse(text), Some((31, overflows)));
        assert_eq!(parse("entries allocs\n1 2\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn the_sandbox_remembers_the_tables() {
        let tables = neighbour_tables().expect("these tests are in a sandbox");
        for table in tables {
            assert!(table.gc_thresh2 > 0 && table.gc_thresh3 > 0, "{table:?}");
        }
    }
}
