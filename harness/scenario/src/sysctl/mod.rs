//! Decodes `sysctls:` of a scenario, checks names and values of sysctls, and reads
//! sysctl.conf(5). The catalogue uses it, and the command for its options.

use std::collections::BTreeMap;

use crate::case::{Network, NodeKind};
use crate::yaml::{Decoder, Node, Problem, Span, name};

pub mod conf;
mod known;

pub use known::{acceptable, existing, gone_since, is_global};

use known::meant;

/// Sysctls by host. `all` stands for every host and router; a host's own value
/// overrides it.
pub fn by_host<'a>(
    dec: &Decoder<'a, '_>,
    network: &Network,
    node: Option<&'a Node>,
) -> Option<BTreeMap<String, BTreeMap<String, String>>> {
    let mut sysctls: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let Some(node) = node else {
        return Some(sysctls);
    };
    let machines = || network.names(&[NodeKind::Host, NodeKind::Router]);
    let mut own = Vec::new();
    let mut valid = true;
    for (host, values) in dec.map(node, "a mapping from host to sysctls")? {
        if host.name != "all" && !machines().any(|name| name == host.name) {
            let known = machines().chain(["all"]);
            // A sysctl where its host belongs.
            let key = [host.name.clone(), format!("net.ipv4.{}", host.name)];
            let key = key.into_iter().find(|key| existing(key).is_ok());
            let help = key.map(|key| format!("write the host first: `all: {{ {key}: ... }}`"));
            dec.problem(
                Problem::new(host.span, format!("unknown host `{}`", host.name))
                    .expected(name::one_of(known.clone()))
                    .maybe_help(help.or_else(|| name::did_you_mean(&host.name, known))),
            );
            valid = false;
            continue;
        }
        let Some(values) = dec.map(values, "a mapping from sysctl to value") else {
            valid = false;
            continue;
        };
        let is_tracking = |machine: &str| network.nats.iter().any(|nat| nat.router == machine);
        let tracks = is_tracking(&host.name);
        for (key, value) in values {
            let spelt = check_name(dec, &key.name, key.span, tracks);
            let value = dec.scalar(value, "a value such as `3`", |text| {
                acceptable(&key.name, text)
            });
            let (Some(()), Some(value)) = (spelt, value) else {
                valid = false;
                continue;
            };
            if host.name == "all" {
                for machine in machines() {
                    sysctls
                        .entry(machine.to_owned())
                        .or_default()
                        .insert(key.name.clone(), value.clone());
                }
            } else {
                own.push((host.name.clone(), key.name.clone(), value));
            }
        }
    }
    for (host, key, value) in own {
        sysctls.entry(host).or_default().insert(key, value);
    }
    valid.then_some(sysctls)
}

/// Notes a key that is not a sysctl of a network namespace, or of none any more.
/// `tracks`: the host tracks connections.
fn check_name(dec: &Decoder<'_, '_>, key: &str, span: Span, tracks: bool) -> Option<()> {
    let segment = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if !key.starts_with("net.") {
        let help = meant(key).map(|known| format!("write `{known}`"));
        dec.problem(
            Problem::new(
                span,
                format!("`{key}` is not a sysctl of a network namespace"),
            )
            .expected("a name that starts with `net.`")
            .maybe_help(help),
        );
        return None;
    }
    if key.split('.').count() < 3 || !key.split('.').all(segment) {
        dec.problem(
            Problem::new(span, format!("`{key}` is not the name of a sysctl"))
                .expected("words joined by dots, such as `net.ipv4.tcp_retries2`"),
        );
        return None;
    }
    if let Err(refusal) = existing(key) {
        dec.problem(
            Problem::new(span, refusal.message)
                .expected("the name of a sysctl")
                .maybe_help(refusal.help),
        );
        return None;
    }
    // Connection tracking, and so its sysctls, exist where it is used.
    if key.starts_with("net.netfilter.nf_conntrack_") && !tracks {
        dec.problem(
            Problem::new(
                span,
                format!("nothing tracks connections there, so there is no `{key}`"),
            )
            .expected("a router with `nat:`")
            .help("add `nat: { inside: client }` to the scenario"),
        );
        return None;
    }
    Some(())
}
