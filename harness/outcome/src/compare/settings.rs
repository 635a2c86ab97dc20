//! Compares the environments of two runs.

use std::collections::BTreeSet;

use super::Difference;
use crate::baseline::Setting;

/// The differences between two environments.
pub fn settings(old: &Setting, new: &Setting) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut text = |what: &str, old: &str, new: &str| {
        if old != new {
            found.push(Difference::of(what, old, new));
        }
    };
    text("kernel", &old.kernel, &new.kernel);
    let hz = |hz: Option<u32>| hz.map_or("unknown".to_owned(), |hz| hz.to_string());
    text("HZ", &hz(old.hz), &hz(new.hz));
    text("clock", &old.clock, &new.clock);
    text("halfopen", &old.halfopen, &new.halfopen);
    let keys: BTreeSet<&String> = old.sysctls.keys().chain(new.sysctls.keys()).collect();
    for key in keys {
        let value = |setting: &Setting| setting.sysctls.get(key).cloned().unwrap_or_default();
        text(key, &value(old), &value(new));
    }
    for (host, key) in overrides(old, new) {
        let value = |setting: &Setting| {
            let set = setting.overrides.get(&host);
            // Without an override the host has the pinned value, unless the case
            // sets its own.
            let value = set.and_then(|set| set.get(&key));
            let value = value.or_else(|| setting.sysctls.get(&key));
            value.map_or("not set".to_owned(), Clone::clone)
        };
        text(&key_on_host(&host, &key), &value(old), &value(new));
    }
    found
}

/// Host and key of every sysctl that either run set.
pub fn overrides(old: &Setting, new: &Setting) -> BTreeSet<(String, String)> {
    [old, new]
        .into_iter()
        .flat_map(|setting| &setting.overrides)
        .flat_map(|(host, set)| set.keys().map(|key| (host.clone(), key.clone())))
        .collect()
}

/// `net.ipv4.tcp_retries2 on client`.
pub fn key_on_host(host: &str, key: &str) -> String {
    if host == "all" {
        format!("{key} on every host")
    } else {
        format!("{key} on {host}")
    }
}
