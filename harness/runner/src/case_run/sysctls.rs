//! The sysctls that the hosts of a case get, as host, key, value.

use std::collections::BTreeMap;

use super::orphan_retries;
use halfopen_scenario::case::{Case, KeepaliveBy, NodeKind};

/// The sysctls of a case, in the order in which they are set: those whose effect no
/// case can show, the detectors', the scenario's, the caller's.
pub(super) fn of(
    case: &Case,
    callers: &BTreeMap<String, BTreeMap<String, String>>,
) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let hosts: Vec<&String> = case
        .network
        .nodes
        .iter()
        .filter(|n| n.kind == NodeKind::Host)
        .map(|n| &n.name)
        .collect();
    if let Some(retries) = orphan_retries::retries(case.give_up) {
        for host in &hosts {
            all.push((
                (*host).clone(),
                orphan_retries::KEY.to_owned(),
                retries.to_string(),
            ));
        }
    }
    for lane in &case.lanes {
        let Some(k) = lane
            .detector
            .keepalive
            .as_ref()
            .filter(|k| k.by == KeepaliveBy::Sysctl)
        else {
            continue;
        };
        let values = [
            ("time", k.idle.map(|d| d.as_secs())),
            ("intvl", k.interval.map(|d| d.as_secs())),
            ("probes", k.count.map(u64::from)),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                let key = format!("net.ipv4.tcp_keepalive_{name}");
                all.push((lane.host.clone(), key, value.to_string()));
            }
        }
    }
    // Routers have a network stack of their own, too.
    let machines = case.network.names(&[NodeKind::Host, NodeKind::Router]);
    for sets in [&case.sysctls, callers] {
        for (host, values) in sets {
            for host in machines.clone().filter(|h| host == "all" || h == host) {
                for (key, value) in values {
                    all.push((host.to_owned(), key.clone(), value.clone()));
                }
            }
        }
    }
    all
}
