//! The single differences between two environments: kernel, HZ, one sysctl.

use std::collections::BTreeSet;

use crate::baseline::Setting;
use crate::compare::{key_on_host, overrides};
use halfopen_scenario::case::{Case, KeepaliveBy, NodeKind};

/// One difference between two environments.
pub(super) enum Factor {
    Kernel,
    Hz,
    Pinned(String),
    Override(String, String),
}

impl Factor {
    /// All differences.
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

    /// The environment `into` with this one part taken from `from`.
    pub(super) fn apply(&self, into: &Setting, from: &Setting) -> Setting {
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

    /// `net.ipv4.tcp_retries2 on client, 3 -> 8`. Of a sysctl that is set on every
    /// host, the values are those on the host of `lane`, the one that noticed.
    pub(super) fn text(
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
                &key_on_host(host, key),
                effective_value(case, lane, then, host, key),
                effective_value(case, lane, now, host, key),
            ),
        }
    }
}

/// The value of a sysctl on a host or on all hosts: what was set for the run, else
/// what the case sets, else the pinned value.
fn effective_value(
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
    let is_lane = |name: &str| lane.is_some_and(|lane| lane.split('.').next() == Some(name));
    let noticed = case.lanes.iter().find(|l| is_lane(&l.name));
    let applies_to = |name: &str| match noticed {
        _ if host != "all" => name == host,
        Some(lane) => name == lane.host,
        None => true,
    };
    let nodes = case.network.nodes.iter();
    let hosts = nodes.filter(|n| n.kind == NodeKind::Host && applies_to(&n.name));
    let values: BTreeSet<String> = hosts
        .filter_map(|n| {
            set_by_case(case, &n.name, key).or_else(|| setting.sysctls.get(key).cloned())
        })
        .collect();
    let values: Vec<String> = values.into_iter().collect();
    (!values.is_empty()).then(|| values.join(" and "))
}

/// What a case sets itself: by its sysctls, or by a detector that sets them.
fn set_by_case(case: &Case, host: &str, key: &str) -> Option<String> {
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
