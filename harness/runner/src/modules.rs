//! The kernel modules that a run may make this machine's kernel load. The kernel loads
//! them by itself when a link, a rule or a socket of their kind is asked for, also for
//! root of a user namespace, and they stay when the run has ended. `--no-module-loading`
//! asks here first; `doctor` shows the list.

use std::collections::BTreeMap;
use std::fs;

use halfopen_net::NodeKind;
use halfopen_scenario::case::{Case, EventAction};

use crate::machine;

const EVERY_RUN: &[&str] = &[
    "veth",
    "nf_tables",
    "nft_fwd_netdev",
    "inet_diag",
    "tcp_diag",
];
const SWITCHES: &[&str] = &["bridge"];
const NAT: &[&str] = &[
    "nf_conntrack",
    "nf_conntrack_netlink",
    "nf_nat",
    "nft_chain_nat",
    "nft_ct",
    "nft_masq",
    "nft_nat",
];
const REJECTS: &[&str] = &["nft_reject_inet", "nft_reject_netdev"];
/// Which of them is chosen depends on what the kernel has (halfopen-lab's
/// `impair::choose`).
const LOSSES: &[&str] = &[
    "cls_bpf",
    "nft_limit",
    "nft_numgen",
    "sch_ingress",
    "sch_netem",
    "sch_tbf",
];
const CONGESTION_CONTROL: &str = "net.ipv4.tcp_congestion_control";

/// Which modules a run may load, by what needs them.
pub const GROUPS: [(&str, &[&str]); 5] = [
    ("every run", EVERY_RUN),
    ("switches", SWITCHES),
    ("`nat`", NAT),
    ("`reject`", REJECTS),
    ("`drop`, `impair`", LOSSES),
];

/// What this machine's kernel would do for a module.
#[derive(Debug)]
pub enum Loading {
    /// This kernel loads none: it has no support for them (CONFIG_MODULES), or no longer
    /// (kernel.modules_disabled).
    Never,
    /// It may load these.
    May(Known),
}

/// What is known of a kernel's modules.
#[derive(Debug, Default)]
pub struct Known {
    /// /proc/modules.
    loaded: String,
    /// modules.builtin and modules.dep in /lib/modules/RELEASE; None: they are not here.
    installed: Option<(String, String)>,
}

impl Loading {
    /// Of this machine.
    pub fn of_machine() -> Self {
        let Ok(loaded) = fs::read_to_string("/proc/modules") else {
            return Loading::Never;
        };
        let disabled = fs::read_to_string("/proc/sys/kernel/modules_disabled");
        if disabled.is_ok_and(|text| text.trim() == "1") {
            return Loading::Never;
        }
        let folder = format!("/lib/modules/{}", machine::kernel());
        let read = |name: &str| fs::read_to_string(format!("{folder}/{name}")).ok();
        let installed = read("modules.builtin").zip(read("modules.dep"));
        Loading::May(Known { loaded, installed })
    }

    /// Those of these modules that are neither loaded nor built in, and may be loaded.
    pub fn would_load<'a>(&self, modules: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        match self {
            Loading::Never => vec![],
            Loading::May(known) => modules.filter(|name| known.may_load(name)).collect(),
        }
    }
}

impl Known {
    fn may_load(&self, module: &str) -> bool {
        let loaded = self.loaded.lines().filter_map(|l| l.split(' ').next());
        if loaded.into_iter().any(|name| name == module) {
            return false;
        }
        match &self.installed {
            Some((builtin, installed)) => {
                // A kernel that does not have it cannot load it.
                !lists(builtin, module) && lists(installed, module)
            }
            None => true,
        }
    }
}

/// Whether a list of files (`kernel/net/bridge/bridge.ko.xz: ...`) has this module.
/// Files may be written with `-` (kmod's underscores()).
fn lists(files: &str, module: &str) -> bool {
    let names = files.lines().filter_map(|line| {
        let path = line.split(':').next()?;
        let file = path.rsplit('/').next()?;
        file.split(".ko").next()
    });
    names
        .into_iter()
        .any(|name| name.replace('-', "_") == module)
}

/// The modules that the kernel has to have for these cases, with this run's own sysctls.
pub fn needed(cases: &[Case], sysctls: &BTreeMap<String, BTreeMap<String, String>>) -> Vec<String> {
    let mut needed: Vec<&str> = EVERY_RUN.to_vec();
    let controls = cases.iter().map(|case| &case.sysctls).chain([sysctls]);
    let controls = controls.flat_map(|hosts| hosts.values());
    let controls = controls.filter_map(|keys| keys.get(CONGESTION_CONTROL));
    let available = machine::congestion_controls();
    let absent = controls.filter(|name| !available.contains(name));
    let absent: Vec<String> = absent.map(|name| format!("tcp_{name}")).collect();
    for case in cases {
        let is_switch = |kind: &NodeKind| *kind == NodeKind::Switch;
        if case.network.nodes.iter().any(|node| is_switch(&node.kind)) {
            needed.extend(SWITCHES);
        }
        if !case.network.nats.is_empty() {
            needed.extend(NAT);
        }
        for event in &case.events {
            match event.action {
                EventAction::Reject { .. } => needed.extend(REJECTS),
                EventAction::Drop(_) | EventAction::Impair(_) => needed.extend(LOSSES),
                _ => {}
            }
        }
    }
    let mut needed: Vec<String> = needed.into_iter().map(str::to_owned).collect();
    needed.extend(absent);
    needed.sort_unstable();
    needed.dedup();
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loading(installed: bool) -> Loading {
        let installed = installed.then(|| {
            (
                "kernel/net/ipv4/tcp_diag.ko\nkernel/net/netfilter/nf-tables.ko\n".to_owned(),
                "kernel/net/bridge/bridge.ko.xz: kernel/net/llc/llc.ko.xz\n".to_owned(),
            )
        });
        Loading::May(Known {
            loaded: "veth 45056 0 - Live 0x0000000000000000\n".into(),
            installed,
        })
    }

    #[test]
    fn what_is_loaded_built_in_or_not_there_is_not_loaded() {
        let asked = ["veth", "tcp_diag", "nf_tables", "bridge", "sch_netem"];
        let would = |loading: Loading| loading.would_load(asked.into_iter());
        assert_eq!(would(loading(true)), ["bridge"]);
        assert_eq!(would(loading(false)), asked[1..]);
        assert!(would(Loading::Never).is_empty());
    }

    #[test]
    fn cases_need_what_their_network_and_events_need() {
        let file = "
version: 1
scenarios:
  a:
    matrix: { network: [link] }
    server: [listen, accept]
    client: [connect]
    give_up: 1s
  b:
    sysctls: { client: { net.ipv4.tcp_congestion_control: nosuchcc } }
    network: lan
    server: [listen, accept]
    client: [connect]
    faults: [{ at: 1s, reject: { to: server, with: tcp-reset } }]
    give_up: 2s
";
        let cases = halfopen_scenario::parse("x.yaml", file);
        let cases = cases.unwrap_or_else(|e| panic!("{e}")).cases;
        let none = BTreeMap::new();
        assert_eq!(needed(&cases[..1], &none).len(), EVERY_RUN.len());
        let more = needed(&cases, &none);
        for name in ["bridge", "nft_reject_inet", "tcp_nosuchcc", "veth"] {
            assert!(more.iter().any(|n| n == name), "{name}: {more:?}");
        }
        assert!(!more.iter().any(|n| n == "nf_nat"), "{more:?}");
    }
}
