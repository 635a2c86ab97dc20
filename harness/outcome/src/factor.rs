//! What can make two environments differ, one thing at a time.

use std::collections::BTreeSet;

use super::baseline::Setting;
use super::compare::{of_host, overrides};
use halfopen_scenario::case::{Case, KeepaliveBy, NodeKind};

/// One thing that is not the same in two environments.
pub(super) enum Factor {
    Kernel,
    Hz,
    Pinned(String),
    Override(String, String),
}

impl Factor {
    /// All of them.
    pub(super) fn all(then: &Setting, now: &Setting) -> Vec<Factor> {
        let mut factors = Vec::new();
        if then.kernel != now.kernel {
            factors.push(Factor::Kernel);
        }
        if then.hz != now.hz {
            factors.push(Factor::Hz);
        }
        let keys = then.sysctls.keys().chain(now.sysctls.keys());
        let keys: BTreeSet<&String> = keys.collect();
        let differ = keys
            .into_iter()
            .filter(|key| then.sysctls.get(*key) != now.sysctls.get(*key));
        factors.extend(differ.map(|key| Factor::Pinned(key.clone())));
        let value = |setting: &Setting, host: &str, key: &str| {
            setting
                .overrides
                .get(host)
                .and_then(|set| set.get(key))
                .cloned()
        };
        let set = overrides(then, now)
            .into_iter()
            .filter(|(host, key)| value(then, host, key) != value(now, host, key));
        factors.extend(set.map(|(host, key)| Factor::Override(host, key)));
        factors
    }

    /// An environment with this one thing as it is in another.
    pub(super) fn put(&self, into: &Setting, from: &Setting) -> Setting {
        let mut mixed = into.clone();
        match self {
            Factor::Kernel => mixed.kernel = from.kernel.clone(),
            Factor::Hz => mixed.hz = from.hz,
            Factor::Pinned(key) => {
                match from.sysctls.get(key) {
                    Some(value) => mixed.sysctls.insert(key.clone(), value.clone()),
                    None => mixed.sysctls.remove(key),
                };
            }
            Factor::Override(host, key) => {
                let set = mixed.overrides.entry(host.clone()).or_default();
                match from.overrides.get(host).and_then(|set| set.get(key)) {
                    Some(value) => set.insert(key.clone(), value.clone()),
                    None => set.remove(key),
                };
            }
        }
        mixed
    }

    /// `net.ipv4.tcp_retries2 on client, 3 -> 8`. Of a sysctl that every host
    /// gets, the values of the host of `lane`, which noticed, are told.
    pub(super) fn in_words(
        &self,
        case: &Case,
        lane: Option<&str>,
        then: &Setting,
        now: &Setting,
    ) -> String {
        let changed = |what: &str, old: Option<String>, new: Option<String>| match (old, new) {
            (Some(old), Some(new)) => format!("{what}, {old} -> {new}"),
            (None, Some(new)) => format!("{what} = {new}"),
            (Some(old), None) => format!("{what} is no longer {old}"),
            (None, None) => what.to_owned(),
        };
        match self {
            Factor::Kernel => changed(
                "the kernel",
                Some(then.kernel.clone()),
                Some(now.kernel.clone()),
            ),
            Factor::Hz => changed(
                "HZ",
                then.hz.map(|hz| hz.to_string()),
                now.hz.map(|hz| hz.to_string()),
            ),
            Factor::Pinned(key) => changed(
                key,
                then.sysctls.get(key).cloned(),
                now.sysctls.get(key).cloned(),
            ),
            Factor::Override(host, key) => changed(
                &of_host(host, key),
                in_force(case, lane, then, host, key),
                in_force(case, lane, now, host, key),
            ),
        }
    }
}

/// What a host, or all of them, have of a sysctl: what was set for the run,
/// else what the case sets, else what is pinned.
fn in_force(
    case: &Case,
    lane: Option<&str>,
    setting: &Setting,
    host: &str,
    key: &str,
) -> Option<String> {
    let set = setting.overrides.get(host).and_then(|set| set.get(key));
    if let Some(value) = set {
        return Some(value.clone());
    }
    // `client.2` is a copy of the lane `client`.
    let is = |name: &str| lane.is_some_and(|lane| lane.split('.').next() == Some(name));
    let noticed = case.lanes.iter().find(|l| is(&l.name));
    let meant = |name: &str| match noticed {
        _ if host != "all" => name == host,
        Some(lane) => name == lane.host,
        None => true,
    };
    let nodes = case.network.nodes.iter();
    let hosts = nodes.filter(|n| n.kind == NodeKind::Host && meant(&n.name));
    let values: BTreeSet<String> = hosts
        .filter_map(|n| own(case, &n.name, key).or_else(|| setting.sysctls.get(key).cloned()))
        .collect();
    let values: Vec<String> = values.into_iter().collect();
    (!values.is_empty()).then(|| values.join(" and "))
}

/// What a case sets itself: by its sysctls, or by a detector that is one.
fn own(case: &Case, host: &str, key: &str) -> Option<String> {
    let set = case.sysctls.get(host).and_then(|set| set.get(key));
    set.cloned().or_else(|| {
        let lanes = case.lanes.iter().filter(|lane| lane.host == host);
        let mut keepalive = lanes.filter_map(|lane| lane.detector.keepalive.as_ref());
        let by_sysctl = keepalive.rfind(|k| k.by == KeepaliveBy::Sysctl)?;
        match key.strip_prefix("net.ipv4.tcp_keepalive_")? {
            "time" => by_sysctl.idle.map(|d| d.as_secs().to_string()),
            "intvl" => by_sysctl.interval.map(|d| d.as_secs().to_string()),
            "probes" => by_sysctl.count.map(|n| n.to_string()),
            _ => None,
        }
    })
}
