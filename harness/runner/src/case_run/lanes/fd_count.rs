//! Counts the open descriptors of lanes' processes.

use std::collections::BTreeMap;

use super::Lanes;
use halfopen_outcome::record::FdCount;

impl Lanes {
    /// Open descriptors of the processes that run, by host, counted in /proc; the
    /// processes are not involved.
    pub fn fd_count_by_host(&self) -> Vec<FdCount> {
        let mut hosts: BTreeMap<&str, u32> = BTreeMap::new();
        for p in self.processes.iter().filter(|p| !p.state().ended) {
            let own = match p.is_program() {
                true => p.state().program,
                false => Some(p.endpoint.pid),
            };
            for pid in p.state().children.iter().chain(&own) {
                *hosts.entry(p.host()).or_default() += fd_count(*pid);
            }
        }
        let count = |(host, descriptors): (&str, u32)| FdCount {
            host: host.to_owned(),
            descriptors,
        };
        hosts.into_iter().map(count).collect()
    }
}

/// 0 for a process that has ended.
fn fd_count(pid: i32) -> u32 {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .map_or(0, |dir| u32::try_from(dir.count()).unwrap_or(u32::MAX))
}
