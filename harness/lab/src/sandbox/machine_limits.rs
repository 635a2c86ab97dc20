//! Limits of the machine that are not to be seen inside the sandbox: sysctls that only
//! the first network namespace shows, and how many processes the caller's user has,
//! which a new PID namespace hides. [`super::enter`] reads them before. The runner asks
//! how much room there is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::geteuid;

static LIMITS: OnceLock<MachineLimits> = OnceLock::new();

/// What cases have to share with the rest of the machine.
#[derive(Debug, Default)]
pub struct MachineLimits {
    /// net.ipv4.tcp_max_orphans: so many closed connections that nobody has any more
    /// may still be retransmitting. None: not shown here.
    pub max_orphans: Option<usize>,
    /// The second number of net.ipv4.tcp_mem, in pages: from there on TCP saves memory
    /// (tcp_enter_memory_pressure()). None: not shown here.
    pub tcp_memory_pressure: Option<u64>,
    /// How many more processes and threads the caller's user may have (RLIMIT_NPROC).
    /// None: root, or no limit.
    pub user_processes_left: Option<usize>,
    /// user.max_net_namespaces of the caller's user namespace. A namespace counts in its
    /// own user namespace and in all above it (inc_ucount()), and a new user namespace
    /// shows a limit of its own, which is none (create_user_ns()).
    pub max_net_namespaces: Option<usize>,
    /// How many bytes of memory the machine, or the caller's control group where that has
    /// less, could still give.
    pub memory_left: Option<u64>,
}

/// The limits, as they were when the sandbox was entered; None: it was not entered.
pub fn machine_limits() -> Option<&'static MachineLimits> {
    LIMITS.get()
}

/// Reads what can be read only outside the sandbox.
pub(super) fn remember() {
    LIMITS.get_or_init(|| MachineLimits {
        max_orphans: read("tcp_max_orphans").and_then(|text| text.trim().parse().ok()),
        tcp_memory_pressure: read("tcp_mem").and_then(|text| pressure(&text)),
        user_processes_left: user_processes_left(),
        max_net_namespaces: fs::read_to_string("/proc/sys/user/max_net_namespaces")
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        memory_left: memory_left(),
    });
}

fn memory_left() -> Option<u64> {
    let machine = available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = control_groups().into_iter().filter_map(|group| {
        let used = number(&group, "memory.current")?;
        let stat = fs::read_to_string(format!("{group}/memory.stat")).ok()?;
        let files = stat
            .lines()
            .find_map(|l| l.strip_prefix("inactive_file "))?;
        // Those pages are given back before anything is refused.
        let held = used.saturating_sub(files.parse().ok()?);
        Some(number(&group, "memory.max")?.saturating_sub(held))
    });
    groups.chain([machine]).min()
}

/// How many more processes and threads the caller's control groups may have; None: no
/// limit, or not known.
pub fn group_processes_left() -> Option<u64> {
    let groups = control_groups().into_iter().filter_map(|group| {
        let most = number(&group, "pids.max")?;
        Some(most.saturating_sub(number(&group, "pids.current")?))
    });
    groups.min()
}

/// The number in a control group's file; None: there is none, or `max`.
fn number(group: &str, file: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("{group}/{file}")).ok()?;
    text.trim().parse().ok()
}

/// MemAvailable of /proc/meminfo, which is in KiB.
fn available(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let kib = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib = kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(kib * 1024)
}

/// The directories of this process's control group, of version 2, and of those above it,
/// whose limits hold as well.
fn control_groups() -> Vec<String> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // cgroups(7): version 2 has one line, with an empty list of controllers.
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) else {
        return vec![];
    };
    let above = Path::new(path).ancestors();
    above
        .map(|path| format!("/sys/fs/cgroup{}", path.display()))
        .collect()
}

fn read(key: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/net/ipv4/{key}")).ok()
}

fn pressure(tcp_mem: &str) -> Option<u64> {
    tcp_mem.split_whitespace().nth(1)?.parse().ok()
}

fn user_processes_left() -> Option<usize> {
    // copy_process() asks whether the user is root.
    if geteuid().is_root() {
        return None;
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_NPROC).ok()?;
    if soft == RLIM_INFINITY {
        return None;
    }
    let left = usize::try_from(soft).ok()?;
    Some(left.saturating_sub(threads_of(geteuid().as_raw())))
}

/// The processes and threads of a user.
fn threads_of(user: u32) -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|of| of.uid() == user));
    own.filter_map(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let threads = status.lines().find_map(|l| l.strip_prefix("Threads:"))?;
        threads.trim().parse::<usize>().ok()
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_three_numbers_is_pressure() {
        assert_eq!(pressure("287898\t383866\t575796\n"), Some(383_866));
        assert_eq!(pressure(""), None);
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        let text = "MemTotal:       24606224 kB\nMemAvailable:   23456789 kB\n";
        assert_eq!(available(text), Some(23_456_789 * 1024));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn this_test_is_counted() {
        assert!(threads_of(geteuid().as_raw()) > 0);
    }
}
