//! Decodes references to hosts and routers.

use crate::case::{Network, NodeKind};
use crate::yaml::{Decoder, Node, Refusal, name};

/// Nodes that run lanes.
pub const HOSTS: [NodeKind; 1] = [NodeKind::Host];

/// Nodes with a network stack of their own.
pub const MACHINES: [NodeKind; 2] = [NodeKind::Host, NodeKind::Router];

/// The name of a node of one of these kinds.
pub fn machine<'a>(
    dec: &Decoder<'a, '_>,
    network: &Network,
    place: &'a Node,
    kinds: &[NodeKind],
) -> Option<String> {
    let words: Vec<&str> = kinds.iter().map(|kind| kind_name(*kind)).collect();
    let known = || {
        network
            .nodes
            .iter()
            .filter(|node| kinds.contains(&node.kind))
            .map(|node| node.name.as_str())
    };
    dec.scalar(place, &name::one_of(known()), |text| {
        if known().any(|name| name == text) {
            return Ok(text.to_owned());
        }
        match network.nodes.iter().find(|node| node.name == text) {
            Some(node) => Err(Refusal::new(format!(
                "`{text}` is a {}, not a {}",
                kind_name(node.kind),
                words.join(" or a ")
            ))),
            None => Err(Refusal {
                message: format!("unknown host `{text}`"),
                help: name::did_you_mean(text, known()).or_else(|| {
                    Some(format!(
                        "the network is `{}`; give the scenario another `network:`",
                        network.name
                    ))
                }),
            }),
        }
    })
}

/// A kind of node, for messages.
pub fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Host => "host",
        NodeKind::Router => "router",
        NodeKind::Switch => "switch",
    }
}
