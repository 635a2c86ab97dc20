//! Decodes events of middleboxes: a router loses or keeps its state, an address moves.

use super::table::{MOVE, STATE_IS_KEPT};
use crate::case::{EventAction, NodeKind};
use crate::scene::Scene;
use crate::yaml::{Decoder, Node, Problem};

/// `forget: router`
pub fn forget<'a>(dec: &Decoder<'a, '_>, scene: &Scene, node: &'a Node) -> Option<EventAction> {
    let nats = &scene.network.nats;
    if nats.is_empty() {
        dec.problem(
            Problem::new(node.span, "no router here keeps state that it could forget")
                .expected("a scenario with `nat:`")
                .help("add `nat: { inside: client }` to the scenario"),
        );
        return None;
    }
    let routers = nats.iter().map(|nat| nat.router.as_str());
    let router = dec.known(node, "router with NAT", routers)?;
    Some(EventAction::Forget { router })
}

/// `move: { from: server, to: standby, announced: true }`
pub fn move_address<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    node: &'a Node,
) -> Option<EventAction> {
    let fields = dec.mapping(node, &MOVE)?;
    let hosts = || scene.network.names(&[NodeKind::Host]);
    let from = dec
        .needed(&fields, "from")
        .and_then(|node| dec.known(node, "host", hosts()));
    let place = dec.needed(&fields, "to");
    let to = place.and_then(|node| dec.known(node, "host", hosts()));
    let announced = dec
        .needed(&fields, "announced")
        .and_then(|node| dec.truth(node));
    let (from, to, announced) = (from?, to?, announced?);
    let span = place.map_or(node.span, |node| node.span);
    if from == to {
        dec.problem(
            Problem::new(
                span,
                format!("the address of `{from}` moves to where it is"),
            )
            .expected("another host of the same LAN"),
        );
        return None;
    }
    if !scene.network.on_one_lan(&from, &to) {
        dec.problem(
            Problem::new(
                span,
                format!("`{from}` and `{to}` are not on one LAN: nobody would send there"),
            )
            .expected("two hosts at one switch"),
        );
        return None;
    }
    Some(EventAction::Move {
        from,
        to,
        announced,
    })
}

/// `state:` of a `reboot`: whether the router keeps its connection tracking entries.
pub fn state<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    host: &str,
    node: Option<&'a Node>,
) -> Option<bool> {
    let Some(node) = node else { return Some(false) };
    if !scene.network.nats.iter().any(|nat| nat.router == host) {
        dec.problem(
            Problem::new(node.span, format!("`{host}` keeps no state"))
                .expected("`state:` at the reboot of a router with NAT")
                .help("add `nat: { inside: client }` to the scenario"),
        );
        return None;
    }
    dec.choose(node, "state", &STATE_IS_KEPT)
}
