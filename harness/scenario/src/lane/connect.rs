//! Decodes `listen`, `connect` and `pool`.

use super::table::{CONNECT, LISTEN, POOL};
use std::net::IpAddr;

use super::step::Progress;
use crate::case::{Action, DEFAULT_PORT, Family, NodeKind};
use crate::scene::Scene;
use crate::yaml::{Decoder, Node, Problem, Refusal, Value, Verb, name, scalar};

pub(super) fn listen<'a>(dec: &Decoder<'a, '_>, value: Option<&'a Node>) -> Option<Action> {
    let (mut number, mut backlog) = (Some(DEFAULT_PORT), Some(128));
    if let Some(node) = value {
        let fields = dec.mapping(node, &LISTEN)?;
        number = port(dec, fields.get("port"));
        if let Some(node) = fields.get("backlog") {
            backlog = dec.scalar(node, "a backlog from 0 to 65535", |text| {
                scalar::whole(text, 0, 65_535)
            });
        }
    }
    Some(Action::Listen {
        port: number?,
        backlog: backlog?,
    })
}

pub(super) fn connect<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    progress: &mut Progress,
    verb: &Verb<'a>,
) -> Option<Action> {
    let reachable = reachable(scene);
    let hosts = || reachable.iter().copied();
    let mut plain = Action::Connect {
        to: None,
        address: None,
        port: DEFAULT_PORT,
        count: 1,
        nonblocking: false,
    };
    let Some(node) = verb.value else {
        progress.bare_connects.push(verb.span);
        return Some(plain);
    };
    if let Value::Scalar(text) = &node.value {
        let port = text
            .parse::<u16>()
            .ok()
            .map(|port| format!("write `{{ port: {port} }}`"));
        if let Some(help) = port.or_else(|| meant(scene, &reachable, text)) {
            dec.problem(
                Problem::new(node.span, format!("unknown host `{text}`"))
                    .expected(name::one_of(hosts()))
                    .help(help),
            );
            return None;
        }
        let host = dec.known(node, "host", hosts())?;
        if let Action::Connect { to, .. } = &mut plain {
            *to = Some(host);
        }
        return Some(plain);
    }
    let fields = dec.mapping(node, &CONNECT)?;
    if let (Some(_), Some(span)) = (fields.key("to"), fields.key("address")) {
        dec.problem(Problem::new(span, "both `to` and `address`").expected("a host or an address"));
        return None;
    }
    let to = fields
        .get("to")
        .map(|node| dec.known(node, "host", hosts()));
    let address = fields.get("address").map(|node| {
        dec.scalar(
            node,
            &format!(
                "an address of the case's family, {}",
                family_name(scene.family)
            ),
            |text| address(text, scene.family),
        )
    });
    if to.is_none() && address.is_none() {
        progress.bare_connects.push(verb.span);
    }
    let number = port(dec, fields.get("port"));
    let count = fields.get("count").map_or(Some(1), |node| {
        dec.scalar(node, "how many connections, from 1 to 10000", |text| {
            scalar::whole(text, 1, 10_000)
        })
    });
    let nonblocking = fields
        .get("nonblocking")
        .map_or(Some(false), |node| dec.truth(node));
    let to = match to {
        None => None,
        Some(to) => Some(to?),
    };
    let address = match address {
        None => None,
        Some(address) => Some(address?),
    };
    Some(Action::Connect {
        to,
        address,
        port: number?,
        count: count?,
        nonblocking: nonblocking?,
    })
}

/// `pool: { connections: 3, max_idle: 50s, retry: true }`
pub(super) fn pool<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    progress: &mut Progress,
    node: &'a Node,
    verb: &Verb<'a>,
) -> Option<Action> {
    let fields = dec.mapping(node, &POOL)?;
    let hosts = reachable(scene);
    let connections = dec.needed(&fields, "connections").and_then(|node| {
        dec.scalar(node, "how many connections, from 1 to 1000", |text| {
            scalar::whole(text, 1, 1_000)
        })
    });
    let max_idle = fields.optional("max_idle", |node| {
        dec.scalar(node, scalar::DURATION, scalar::positive)
    });
    let retry = fields.optional("retry", |node| dec.truth(node));
    let to = fields.optional("to", |node| dec.known(node, "host", hosts.iter().copied()));
    let number = port(dec, fields.get("port"));
    if fields.get("to").is_none() {
        progress.bare_connects.push(verb.span);
    }
    Some(Action::Pool {
        to: to?,
        port: number?,
        connections: connections?,
        max_idle: max_idle?,
        retry: retry?.unwrap_or(false),
    })
}

/// What to write instead of a host with its port, or of a router that has no service.
fn meant(scene: &Scene, hosts: &[&str], text: &str) -> Option<String> {
    if let Some((host, number)) = text.rsplit_once(':')
        && hosts.contains(&host)
    {
        return Some(format!("write `connect: {{ to: {host}, port: {number} }}`"));
    }
    let mut routers = scene.network.names(&[NodeKind::Router]);
    let is_router = routers.any(|router| router == text) && !hosts.contains(&text);
    is_router.then(|| {
        "a router is reached where its `nat:` has `service:` with a host inside".to_owned()
    })
}

/// The hosts, and routers with `service:`, by which a host inside is reached.
fn reachable(scene: &Scene) -> Vec<&str> {
    let network = &scene.network;
    let hosts = network.names(&[NodeKind::Host]);
    if scene.nat_is_wrong {
        return hosts.chain(network.names(&[NodeKind::Router])).collect();
    }
    let services = network.nats.iter().filter(|nat| nat.service.is_some());
    hosts
        .chain(services.map(|nat| nat.router.as_str()))
        .collect()
}

fn port<'a>(dec: &Decoder<'a, '_>, node: Option<&'a Node>) -> Option<u16> {
    node.map_or(Some(DEFAULT_PORT), |node| {
        dec.scalar(node, "a port from 1 to 65535", |text| {
            scalar::whole(text, 1, u16::MAX)
        })
    })
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

fn address(text: &str, family: Family) -> Result<IpAddr, Refusal> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| Refusal::new(format!("`{text}` is not an IP address")))?;
    if address.is_ipv4() != (family == Family::Ipv4) {
        let other = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        return Err(Refusal::new(format!(
            "`{text}` is an {other} address in an {} case",
            family_name(family)
        )));
    }
    Ok(address)
}
