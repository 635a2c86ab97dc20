//! What tells that something which all network namespaces share was full while a case
//! ran: counters of the neighbour tables and of the packets that a processor could not
//! queue, and what TCP holds at the end. A case that is wrong then is not trusted
//! (`rerun`).

use std::fs;

use halfopen_lab::sandbox::{NeighbourTable, Overflows, machine_limits, neighbour_tables};

/// The counters at one moment, as far as they can be read here.
pub(super) struct Counters {
    tables: Vec<(&'static NeighbourTable, Overflows)>,
    softnet_drops: u64,
}

impl Counters {
    /// As they are now.
    pub fn now() -> Self {
        let tables = neighbour_tables().into_iter().flatten();
        let tables = tables.filter_map(|table| Some((table, table.overflows()?)));
        Counters {
            tables: tables.collect(),
            softnet_drops: softnet_drops(),
        }
    }

    /// What has overflowed since, as text with the key that decides.
    pub fn since(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (table, before) in &self.tables {
            let now = table.overflows().unwrap_or(*before);
            let fulls = now.table_fulls.saturating_sub(before.table_fulls);
            let forced = now.forced_gc_runs.saturating_sub(before.forced_gc_runs);
            let key = table.key();
            if fulls > 0 {
                found.push(format!(
                    "the kernel refused {fulls} neighbour entries (table_fulls; cure: a higher \
                     {key})"
                ));
            }
            if forced > 0 {
                found.push(format!(
                    "the kernel collected neighbour entries {forced} times for new ones \
                     (forced_gc_runs; cure: a higher {})",
                    key.replace("thresh3", "thresh2")
                ));
            }
        }
        let dropped = softnet_drops().saturating_sub(self.softnet_drops);
        if dropped > 0 {
            found.push(format!(
                "the kernel dropped {dropped} packets that it could not queue (softnet_stat; \
                 cure: a higher net.core.netdev_max_backlog, or fewer --jobs)"
            ));
        }
        found.extend(tcp_overflows());
        found
    }
}

/// What TCP holds in all network namespaces, where that is too much now.
fn tcp_overflows() -> Vec<String> {
    let limits = machine_limits();
    let (pressure, most_orphans) = (
        limits.and_then(|limits| limits.tcp_memory_pressure),
        limits.and_then(|limits| limits.max_orphans),
    );
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let Some(held) = parse_sockstat(&text) else {
        return vec![];
    };
    let mut found = Vec::new();
    if let Some(pressure) = pressure.filter(|pressure| held.pages > *pressure) {
        found.push(format!(
            "TCP held {} pages, and from {pressure} on the kernel saves memory (cure: a higher \
             net.ipv4.tcp_mem, or fewer --jobs)",
            held.pages
        ));
    }
    if let Some(most) = most_orphans.filter(|most| held.orphans > *most as u64) {
        found.push(format!(
            "there were {} orphaned connections, and the kernel resets those beyond {most} (cure: \
             a higher net.ipv4.tcp_max_orphans)",
            held.orphans
        ));
    }
    found
}

/// What TCP has in all network namespaces together.
#[derive(Debug, PartialEq, Eq)]
struct TcpHeld {
    orphans: u64,
    pages: u64,
}

/// Of the line `TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0`: `orphan` and `mem` are the
/// machine's (sockstat_seq_show()).
fn parse_sockstat(text: &str) -> Option<TcpHeld> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP: "))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    Some(TcpHeld {
        orphans: value("orphan")?,
        pages: value("mem")?,
    })
}

/// Packets that processors have dropped because their queue had
/// net.core.netdev_max_backlog already: the second number of each processor's line
/// (softnet_seq_show()). 0 where it cannot be read.
fn softnet_drops() -> u64 {
    let text = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    parse_softnet(&text)
}

fn parse_softnet(text: &str) -> u64 {
    let dropped = text.lines().filter_map(|line| {
        let second = line.split_whitespace().nth(1)?;
        u64::from_str_radix(second, 16).ok()
    });
    dropped.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_s_drops_are_added() {
        let text = "0094c9b7 0000000a 00000001 00000000\n00954f76 00000010 00000001 00000000\n";
        assert_eq!(parse_softnet(text), 26);
        assert_eq!(parse_softnet(""), 0);
    }

    #[test]
    fn sockstat_has_orphans_and_pages() {
        let text = "sockets: used 15\nTCP: inuse 1 orphan 7 tw 0 alloc 1 mem 42\nUDP: inuse 0\n";
        let held = TcpHeld {
            orphans: 7,
            pages: 42,
        };
        assert_eq!(parse_sockstat(text), Some(held));
        assert_eq!(parse_sockstat("sockets: used 15\n"), None);
    }
}
