//! What the lanes' processes hold.

use std::collections::BTreeMap;

use super::life::Running;
use halfopen_outcome::record::FdCount;

/// Open descriptors of the processes that run, by host. /proc counts them; the
/// processes are not asked.
pub(super) fn by_hosts(running: &[Running]) -> Vec<FdCount> {
    let mut hosts: BTreeMap<&str, u32> = BTreeMap::new();
    for r in running.iter().filter(|r| !r.collector.state.ended) {
        let children = &r.collector.state.children;
        for pid in children.iter().chain([&r.endpoint.pid]) {
            *hosts.entry(&r.lane.host).or_default() += descriptors(*pid);
        }
    }
    let held = |(host, descriptors): (&str, u32)| FdCount {
        host: host.to_owned(),
        descriptors,
    };
    hosts.into_iter().map(held).collect()
}

/// 0 for a process that has ended.
fn descriptors(pid: i32) -> u32 {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .map_or(0, |dir| u32::try_from(dir.count()).unwrap_or(u32::MAX))
}
