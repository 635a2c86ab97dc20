//! Decodes `route`, `interface` and `neighbour`: changes of a host's network
//! configuration.

use super::table::{
    INTERFACE, INTERFACE_CHANGES, NEIGHBOUR, NEIGHBOUR_CHANGES, ROUTE, ROUTE_CHANGES,
};
use crate::case::EventAction;
use crate::network::{HOSTS, MACHINES, machine};
use crate::scene::Scene;
use crate::yaml::{Decoder, Fields, Node};

/// `route: { host: client, change: removed, to: server }`
pub fn route<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let fields = dec.mapping(value, &ROUTE)?;
    let host = dec
        .needed(&fields, "host")
        .and_then(|node| machine(dec, &scene.network, node, &MACHINES));
    let change = change(dec, &fields, &ROUTE_CHANGES);
    let to = fields.optional("to", |node| machine(dec, &scene.network, node, &HOSTS));
    Some(EventAction::Route {
        host: host?,
        change: change?,
        to: to?,
    })
}

/// `interface: { host: client, change: down }`
pub fn interface<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let fields = dec.mapping(value, &INTERFACE)?;
    let host = dec
        .needed(&fields, "host")
        .and_then(|node| machine(dec, &scene.network, node, &MACHINES));
    let change = change(dec, &fields, &INTERFACE_CHANGES);
    Some(EventAction::Interface {
        host: host?,
        change: change?,
    })
}

/// `neighbour: { host: client, change: flushed }`
pub fn neighbour<'a>(dec: &Decoder<'a, '_>, scene: &Scene, value: &'a Node) -> Option<EventAction> {
    let fields = dec.mapping(value, &NEIGHBOUR)?;
    let host = dec
        .needed(&fields, "host")
        .and_then(|node| machine(dec, &scene.network, node, &MACHINES));
    let change = change(dec, &fields, &NEIGHBOUR_CHANGES);
    Some(EventAction::Neighbour {
        host: host?,
        change: change?,
    })
}

fn change<'a, T: Clone>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    words: &[(&str, T)],
) -> Option<T> {
    dec.choose(dec.needed(fields, "change")?, "change", words)
}
