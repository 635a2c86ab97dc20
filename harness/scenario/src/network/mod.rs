//! Decodes `networks:`, a scenario's `nat:`, and references to nodes and cables. It
//! needs the built-in networks of `halfopen-net`; the decoders of lanes, events and
//! sysctls use its lookups.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::case::Node as NetworkNode;
use crate::case::{Network, NodeKind};
use crate::yaml::{Decoder, Node, Problem, Value, name};

mod cable;
mod machine;
mod nat;
mod table;

pub use cable::cable;
pub use machine::{HOSTS, MACHINES, kind_name, machine};
pub use nat::nat;
pub use table::{CABLE, DIRECTION, DIRECTIONS, NAT, NETWORK};

use cable::ends;

/// The built-in networks and those that a file declares. None: the declaration has a
/// mistake, and scenarios that use the network get no message of their own.
pub fn declared<'a>(
    dec: &Decoder<'a, '_>,
    node: Option<&'a Node>,
) -> IndexMap<String, Option<Network>> {
    let mut networks: IndexMap<String, Option<Network>> = Network::built_in()
        .into_iter()
        .map(|network| (network.name.clone(), Some(network)))
        .collect();
    let Some(node) = node else { return networks };
    let Some(entries) = dec.map(node, "a mapping from names to networks") else {
        return networks;
    };
    for (key, value) in entries {
        if let Err(refusal) = name::kebab(&key.name) {
            dec.problem(name::not_kebab(key.span, refusal));
        }
        if networks.contains_key(&key.name) {
            dec.problem(
                Problem::new(key.span, format!("the network `{}` is built in", key.name))
                    .expected("a name other than link, lan, routed"),
            );
            continue;
        }
        let network = decode_network(dec, &key.name, value);
        networks.insert(key.name.clone(), network);
    }
    networks
}

fn decode_network<'a>(dec: &Decoder<'a, '_>, name: &str, node: &'a Node) -> Option<Network> {
    let fields = dec.mapping(node, &NETWORK)?;
    let mut nodes: Vec<(NetworkNode, &'a Node)> = Vec::new();
    let kinds = [
        ("hosts", NodeKind::Host),
        ("routers", NodeKind::Router),
        ("switches", NodeKind::Switch),
    ];
    let mut valid = true;
    for (key, kind) in kinds {
        let Some(list) = fields.get(key) else {
            continue;
        };
        let Some(items) = dec.list(list, "a list of names") else {
            valid = false;
            continue;
        };
        for item in items {
            let Some(name) = dec.scalar(item, "a name", name::kebab) else {
                valid = false;
                // A cable that names it is right.
                if let Value::Scalar(text) = &item.value {
                    let name = text.clone();
                    nodes.push((NetworkNode { name, kind }, item));
                }
                continue;
            };
            if name == "all" || nodes.iter().any(|(node, _)| node.name == name) {
                dec.problem(
                    Problem::new(item.span, format!("the name `{name}` is taken"))
                        .expected("each name once, and not `all`"),
                );
                valid = false;
                continue;
            }
            nodes.push((NetworkNode { name, kind }, item));
        }
    }
    let (hosts, cables_node) = (dec.needed(&fields, "hosts"), dec.needed(&fields, "cables"));
    hosts?;
    let mut cables: Vec<(String, String)> = Vec::new();
    for cable in dec.list(cables_node?, "a list of cables such as `[client, server]`")? {
        let Some((a, b)) = ends(dec, cable, nodes.iter().map(|(node, _)| node.name.as_str()))
        else {
            valid = false;
            continue;
        };
        if cables
            .iter()
            .any(|(c, d)| (c, d) == (&a, &b) || (d, c) == (&a, &b))
        {
            dec.problem(
                Problem::new(
                    cable.span,
                    format!("a second cable between `{a}` and `{b}`"),
                )
                .expected("each cable once"),
            );
            valid = false;
            continue;
        }
        cables.push((a, b));
    }
    if !valid {
        return None;
    }
    // All nodes that the first one reaches.
    let mut reached: BTreeSet<&str> = nodes
        .first()
        .map(|(node, _)| node.name.as_str())
        .into_iter()
        .collect();
    loop {
        let before = reached.len();
        for (a, b) in &cables {
            if reached.contains(a.as_str()) || reached.contains(b.as_str()) {
                reached.extend([a.as_str(), b.as_str()]);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    if let Some((alone, place)) = nodes
        .iter()
        .find(|(node, _)| !reached.contains(node.name.as_str()))
    {
        dec.problem(
            Problem::new(
                place.span,
                format!(
                    "no cable leads from `{}` to `{}`",
                    nodes[0].0.name, alone.name
                ),
            )
            .expected("a network in one piece")
            .help(format!(
                "add a cable with `{}` at one end to `cables:`",
                alone.name
            )),
        );
        return None;
    }
    let nodes = nodes.into_iter().map(|(node, _)| node).collect();
    Some(Network {
        name: name.to_owned(),
        nodes,
        cables,
        nats: Vec::new(),
    })
}
