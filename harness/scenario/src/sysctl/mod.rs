//! Decodes `sysctls:` of a scenario, checks names and values of sysctls, and reads
//! sysctl.conf(5). The catalogue uses it, and the command for its options.

use std::collections::BTreeMap;

use crate::case::{Network, NodeKind};
use crate::yaml::{Decoder, Node, Problem, Span, name};

pub mod conf;
mod known;

pub use known::acceptable;

use known::KNOWN;

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
            dec.problem(
                Problem::new(host.span, format!("unknown host `{}`", host.name))
                    .expected(name::one_of(known.clone()))
                    .maybe_help(name::did_you_mean(&host.name, known)),
            );
            valid = false;
            continue;
        }
        let Some(values) = dec.map(values, "a mapping from sysctl to value") else {
            valid = false;
            continue;
        };
        for (key, value) in values {
            let spelt = check_spelling(dec, &key.name, key.span);
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

/// Notes a key that is not a sysctl of a network namespace, or that is almost spelt
/// like a known one.
fn check_spelling(dec: &Decoder<'_, '_>, key: &str, span: Span) -> Option<()> {
    let segment = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if KNOWN.contains(&key) {
        return Some(());
    }
    if !key.starts_with("net.") {
        let bare = KNOWN
            .iter()
            .find(|known| known.rsplit('.').next() == Some(key));
        let help = bare.map(|known| format!("write `{known}`"));
        dec.problem(
            Problem::new(
                span,
                format!("`{key}` is not a sysctl of a network namespace"),
            )
            .expected("a name that starts with `net.`")
            .maybe_help(help.or_else(|| name::did_you_mean(key, KNOWN.iter().copied()))),
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
    // An interface can have any name (net.ipv4.conf.veth0.…): keys with another number
    // of parts are not compared.
    let guess = KNOWN
        .iter()
        .map(|known| (strsim::damerau_levenshtein(key, known), *known))
        .filter(|(distance, known)| {
            *distance <= 2 && known.split('.').count() == key.split('.').count()
        })
        .min();
    if let Some((_, known)) = guess {
        dec.problem(
            Problem::new(span, format!("unknown sysctl `{key}`"))
                .expected("the name of a sysctl")
                .help(format!("did you mean `{known}`?")),
        );
        return None;
    }
    Some(())
}
