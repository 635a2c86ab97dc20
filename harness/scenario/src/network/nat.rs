//! Decodes a scenario's `nat:`, the router that tracks connections.

use super::table::{ANSWERS, NAT, TIMEOUTS};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::case::{FlowState, Nat, Network, NodeKind, OnForgotten};
use crate::yaml::{Decoder, Fields, Node, Problem, Refusal, Value, name, scalar};

/// Linux's default of nf_conntrack_tcp_timeout_established: five days without a
/// packet until an established connection is removed from the table.
const LINUX_IDLE: Duration = Duration::from_secs(5 * 24 * 3600);

/// The longest timeout whose end fits nfct_time_stamp, a signed difference of 32 bits,
/// at 1000 ticks a second.
const LONGEST_IDLE: Duration = Duration::from_secs(20 * 24 * 3600);

/// `nat: { router: router, inside: client, idle: 5d }`
pub fn nat<'a>(dec: &Decoder<'a, '_>, network: &Network, node: &'a Node) -> Option<Nat> {
    let fields = dec.mapping(node, &NAT)?;
    let router = router(dec, network, node, &fields);
    let inside = inside(dec, network, &fields);
    let idle = fields.get("idle").map_or(Some(LINUX_IDLE), |node| {
        let sysctl = "nf_conntrack_tcp_timeout_established";
        timeout(dec, node, sysctl)
    });
    let timeouts = match fields.get("timeouts") {
        None => Some(BTreeMap::new()),
        Some(node) => timeouts(dec, node),
    };
    let on_forgotten = fields
        .get("on_forgotten")
        .map_or(Some(OnForgotten::Silence), |node| {
            dec.choose(node, "answer to forgotten connections", &ANSWERS)
        });
    let service = match fields.get("service") {
        None => Some(None),
        Some(node) => {
            let hosts = network.names(&[NodeKind::Host]);
            dec.known(node, "host", hosts).map(Some)
        }
    };
    let nat = Nat {
        router: router?,
        inside: inside?,
        idle: idle?,
        on_forgotten: on_forgotten?,
        timeouts: timeouts?,
        service: service?,
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
    if let (Some(host), Some(node)) = (&nat.service, fields.get("service"))
        && !nat.is_inside(network, host)
    {
        dec.problem(
            Problem::new(
                node.span,
                format!("`{host}` is not inside of `{}`", nat.router),
            )
            .expected("a host on its inside")
            .help(format!("write `inside: {host}`")),
        );
        return None;
    }
    Some(nat)
}

/// Whole seconds, which a sysctl keeps.
fn timeout<'a>(dec: &Decoder<'a, '_>, node: &'a Node, sysctl: &str) -> Option<Duration> {
    dec.scalar(node, "whole seconds from `1s` to `20d`", |text| {
        let time = scalar::positive(text)?;
        if time.subsec_nanos() != 0 {
            return Err(Refusal::with(
                format!("`{text}` is not a whole number of seconds"),
                format!("the kernel keeps it in seconds ({sysctl})"),
            ));
        }
        if time > LONGEST_IDLE {
            return Err(Refusal::new(format!("{text} is longer than 20 days")));
        }
        Ok(time)
    })
}

/// `timeouts: { close_wait: 1h }`
fn timeouts<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<BTreeMap<FlowState, Duration>> {
    let fields = dec.mapping(node, &TIMEOUTS)?;
    let given = FlowState::ALL.into_iter().filter_map(|(name, state)| {
        let node = fields.get(name)?;
        let time = timeout(dec, node, &state.sysctl().replace("net.netfilter.", ""));
        Some(time.map(|time| (state, time)))
    });
    // All are read, so that every mistake is noted.
    let given: Vec<_> = given.collect();
    given.into_iter().collect()
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
    let place = dec.needed(fields, "inside")?;
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
