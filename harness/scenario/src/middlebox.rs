//! Middleboxes: a router that keeps state of the connections it lets through,
//! and what happens to that state; an address that moves.

use std::time::Duration;

use super::case::{Case, EventAction, Nat, Network, NodeKind, OnForgotten};
use super::decode::Decoder;
use super::error::Problem;
use super::fields::Fields;
use super::lane::Scene;
use super::name;
use super::scalar::{self, Refusal};
use super::tree::{Node, Value};

/// Idle time before Linux forgets an established connection unless it is told
/// otherwise: nf_conntrack_tcp_timeout_established, five days.
const LINUX_IDLE: Duration = Duration::from_secs(5 * 24 * 3600);
/// More does not fit the kernel's 32-bit clock at 1000 ticks a second
/// (nfct_time_stamp, a signed difference).
const LONGEST_IDLE: Duration = Duration::from_secs(20 * 24 * 3600);

/// A scenario's `nat:`.
pub fn nat<'a>(dec: &Decoder<'a, '_>, network: &Network, node: &'a Node) -> Option<Nat> {
    let keys = ["router", "inside", "idle", "on_forgotten"];
    let fields = dec.fields(node, "`nat`", &keys)?;
    let router = router(dec, network, node, &fields);
    let inside = inside(dec, network, &fields);
    let idle = fields.get("idle").map_or(Some(LINUX_IDLE), |node| {
        dec.scalar(node, "whole seconds from `1s` to `20d`", |text| {
            let idle = scalar::positive(text)?;
            if idle.subsec_nanos() != 0 {
                return Err(Refusal::with(
                    format!("`{text}` is not a whole number of seconds"),
                    "the kernel keeps it in seconds (nf_conntrack_tcp_timeout_established)",
                ));
            }
            if idle > LONGEST_IDLE {
                return Err(Refusal::new(format!("{text} is longer than 20 days")));
            }
            Ok(idle)
        })
    });
    let on_forgotten = fields
        .get("on_forgotten")
        .map_or(Some(OnForgotten::Silence), |node| {
            let words = [
                ("silence", OnForgotten::Silence),
                ("reset", OnForgotten::Reset),
                ("resume", OnForgotten::Resume),
            ];
            dec.choose(node, "answer to forgotten connections", &words)
        });
    let nat = Nat {
        router: router?,
        inside: inside?,
        idle: idle?,
        on_forgotten: on_forgotten?,
    };
    let inside = nat.inside_neighbours(network);
    let all = network.neighbours(&nat.router);
    let span = fields.get("inside").map_or(node.span, |node| node.span);
    if inside.len() == all.len() {
        dec.problem(
            Problem::new(
                span,
                format!(
                    "nothing is outside of `{}`: every cable of it leads inside",
                    nat.router
                ),
            )
            .expected("hosts behind some of its cables, not behind all"),
        );
        return None;
    }
    Some(nat)
}

fn router<'a>(
    dec: &Decoder<'a, '_>,
    network: &Network,
    node: &'a Node,
    fields: &Fields<'a>,
) -> Option<String> {
    let routers: Vec<&str> = network.names(&[NodeKind::Router]).collect();
    match (fields.get("router"), routers.as_slice()) {
        (_, []) => {
            dec.problem(
                Problem::new(
                    node.span,
                    format!(
                        "the network `{}` has no router that could keep state",
                        network.name
                    ),
                )
                .expected("`network: routed`, or a network with `routers:`"),
            );
            None
        }
        (Some(node), routers) => dec.known(node, "router", routers.iter().copied()),
        (None, [one]) => Some((*one).to_owned()),
        (None, several) => {
            dec.problem(
                Problem::new(
                    node.span,
                    format!(
                        "the network `{}` has {} routers",
                        network.name,
                        several.len()
                    ),
                )
                .expected(format!(
                    "`router:` with {}",
                    name::one_of(several.iter().copied())
                )),
            );
            None
        }
    }
}

fn inside<'a>(
    dec: &Decoder<'a, '_>,
    network: &Network,
    fields: &Fields<'a>,
) -> Option<Vec<String>> {
    let hosts = || network.names(&[NodeKind::Host]);
    let place = dec.required(fields, "`nat`", "inside", "client")?;
    let place = dec.resolve(place)?;
    let Value::List(list) = &place.value else {
        return dec.known(place, "host", hosts()).map(|host| vec![host]);
    };
    if list.is_empty() {
        dec.problem(Problem::new(place.span, "nobody is inside").expected(name::one_of(hosts())));
        return None;
    }
    list.iter()
        .map(|node| dec.known(node, "host", hosts()))
        .collect()
}

/// `forget: router`.
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

/// `move: { from: server, to: standby, announced: true }`.
pub fn moved<'a>(dec: &Decoder<'a, '_>, scene: &Scene, node: &'a Node) -> Option<EventAction> {
    let what = "`move`";
    let fields = dec.fields(node, what, &["from", "to", "announced"])?;
    let hosts = || scene.network.names(&[NodeKind::Host]);
    let from = dec
        .required(&fields, what, "from", "server")
        .and_then(|node| dec.known(node, "host", hosts()));
    let place = dec.required(&fields, what, "to", "standby");
    let to = place.and_then(|node| dec.known(node, "host", hosts()));
    let announced = dec
        .required(&fields, what, "announced", "true")
        .and_then(|node| dec.scalar(node, "`true` or `false`", scalar::truth));
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

/// `state:` of a `reboot`: true when what the router knew comes back with it.
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
    dec.choose(node, "state", &[("lost", false), ("kept", true)])
}

/// A time from a heal on needs one.
pub fn check_heal<'a>(dec: &Decoder<'a, '_>, case: &Case, place: Option<&'a Node>) -> Option<()> {
    let signs = [&case.book, &case.expect];
    let said = signs.into_iter().flatten().any(|s| s.first_byte.is_some());
    let heals = |action: &EventAction| matches!(action, EventAction::Heal { .. });
    if !said || case.events.iter().any(|e| heals(&e.action)) {
        return Some(());
    }
    if let Some(place) = place {
        dec.problem(
            Problem::new(
                place.span,
                "`first_byte` counts from a heal, and nothing is healed",
            )
            .expected("an event such as `{ after: cut, by: 2s, heal: cut }`"),
        );
    }
    None
}
