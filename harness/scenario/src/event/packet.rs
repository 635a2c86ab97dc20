//! Decodes `drop` and `reject`.

use super::rule::{RULE, rule};
use crate::case::{EventAction, Family, Mechanism, RejectWith};
use crate::scene::Scene;
use crate::yaml::{Decoder, Fields, KeySpec, MappingSpec, Node, Problem, Span, ValueSpec};
pub static DROP: MappingSpec = MappingSpec::new("`drop`", "Packets that match vanish.", &[&RULE]);

pub static REJECT: MappingSpec = MappingSpec::new(
    "`reject`",
    "Packets that match are answered with an error.",
    &[
        &RULE,
        &[
            KeySpec::new("with", ValueSpec::Word(&REJECTS), "With what.")
                .required("host-unreachable"),
        ],
    ],
);

const REJECTS: [(&str, RejectWith); 6] = [
    ("net-unreachable", RejectWith::NetUnreachable),
    ("host-unreachable", RejectWith::HostUnreachable),
    ("port-unreachable", RejectWith::PortUnreachable),
    ("protocol-unreachable", RejectWith::ProtocolUnreachable),
    ("admin-prohibited", RejectWith::AdminProhibited),
    ("tcp-reset", RejectWith::TcpReset),
];

/// `drop: { ... }`
pub fn drop<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    node: Option<&'a Node>,
    verb: Span,
) -> Option<EventAction> {
    let fields = match node {
        None => Fields::none(verb, &DROP),
        Some(node) => dec.mapping(node, &DROP)?,
    };
    rule(dec, scene, &fields, verb).map(EventAction::Drop)
}

/// `reject: { ..., with: host-unreachable }`
pub fn reject<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    node: &'a Node,
    verb: Span,
) -> Option<EventAction> {
    let fields = dec.mapping(node, &REJECT)?;
    let rule = rule(dec, scene, &fields, verb);
    let node = dec.needed(&fields, "with")?;
    let with = dec.choose(node, "answer", &REJECTS)?;
    if with == RejectWith::ProtocolUnreachable && scene.family == Family::Ipv6 {
        let place = dec.resolve(node)?.span;
        dec.problem(
            Problem::new(place, "ICMPv6 has no protocol-unreachable")
                .expected("net-unreachable, host-unreachable, port-unreachable, admin-prohibited or tcp-reset with ipv6"),
        );
        return None;
    }
    let rule = rule?;
    if rule.by == Mechanism::Tc {
        let place = fields.key("by").unwrap_or(verb);
        dec.problem(
            Problem::new(place, "tc cannot answer a packet")
                .expected("`by: nft`, or no `by`, with `reject`"),
        );
        return None;
    }
    Some(EventAction::Reject { rule, with })
}
