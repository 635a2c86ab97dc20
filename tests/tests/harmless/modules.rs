//! The kernel's modules, but for those that `halfopen doctor` says a run may load.

use std::collections::BTreeSet;
use std::fs;

use halfopen_runner::modules::GROUPS;

/// /proc/modules; empty: this kernel loads none.
pub fn loaded() -> String {
    fs::read_to_string("/proc/modules").unwrap_or_default()
}

/// modules.dep of this kernel: each module's file, and those that it needs.
pub fn files() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let path = format!("/lib/modules/{}/modules.dep", kernel.trim());
    fs::read_to_string(path).unwrap_or_default()
}

/// The loaded ones that no run loads, neither by itself nor because one of its own
/// needs them.
pub fn others(loaded: &str, files: &str) -> Vec<String> {
    let own = GROUPS.iter().flat_map(|(_, names)| names.iter());
    let mut own: BTreeSet<String> = own.map(|name| (*name).to_owned()).collect();
    for line in files.lines() {
        let mut names = line.split([':', ' ']).filter(|w| !w.is_empty()).map(name);
        if names.next().is_some_and(|module| own.contains(&module)) {
            own.extend(names);
        }
    }
    let names = loaded.lines().filter_map(|line| line.split(' ').next());
    let mut others: Vec<String> = names.map(str::to_owned).collect();
    others.retain(|name| !own.contains(name));
    others.sort_unstable();
    others
}

/// `kernel/net/bridge/br_netfilter.ko.xz` is `br_netfilter`; files may be written with `-`
/// (kmod's underscores()).
fn name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    base.split(".ko").next().unwrap_or(base).replace('-', "_")
}

#[test]
fn what_a_run_may_load_is_left_out_with_what_that_needs() {
    let files = "\
kernel/net/bridge/bridge.ko.xz: kernel/net/802/stp.ko.xz kernel/net/llc/llc.ko.xz
kernel/net/sctp/sctp.ko.xz: kernel/lib/libcrc32c.ko.xz
";
    let loaded = "bridge 1 0 - Live\nstp 1 1 bridge, Live\nsctp 1 0 - Live\n";
    assert_eq!(others(loaded, files), ["sctp"]);
}
