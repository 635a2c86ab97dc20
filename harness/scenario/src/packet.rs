//! `drop` and `reject`: which packets, where, by what.

use super::case::{EventAction, Family, Mechanism, NodeKind, PacketRule, Place, RejectWith};
use super::decode::Decoder;
use super::error::{Problem, Span};
use super::fields::Fields;
use super::lane::Scene;
use super::name;
use super::scalar::{self, Refusal};
use super::tree::{Node, Value};

const KEYS: [&str; 10] = [
    "from",
    "to",
    "at",
    "by",
    "flags",
    "without",
    "sport",
    "dport",
    "count",
    "probability",
];
const FLAGS: [&str; 6] = ["SYN", "ACK", "FIN", "RST", "PSH", "URG"];
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
        None => Fields {
            entries: &[],
            span: verb,
        },
        Some(node) => dec.fields(node, "`drop`", &KEYS)?,
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
    let keys: Vec<&str> = KEYS.into_iter().chain(["with"]).collect();
    let fields = dec.fields(node, "`reject`", &keys)?;
    let rule = rule(dec, scene, &fields, verb);
    let node = dec.required(&fields, "`reject`", "with", "host-unreachable")?;
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

fn rule<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    fields: &Fields<'a>,
    verb: Span,
) -> Option<PacketRule> {
    let machine = |key: &str| -> Option<Option<String>> {
        let Some(node) = fields.get(key) else {
            return Some(None);
        };
        let machines = scene.network.names(&[NodeKind::Host, NodeKind::Router]);
        dec.known(node, "host", machines).map(Some)
    };
    let (from, to) = (machine("from"), machine("to"));
    let by = match fields.get("by") {
        None => Some(Mechanism::Nft),
        Some(node) => dec.choose(
            node,
            "mechanism",
            &[("nft", Mechanism::Nft), ("tc", Mechanism::Tc)],
        ),
    };
    let port = |key: &str| -> Option<Option<u16>> {
        let Some(node) = fields.get(key) else {
            return Some(None);
        };
        dec.scalar(node, "a port from 1 to 65535", |text| {
            scalar::whole(text, 1, u16::MAX)
        })
        .map(Some)
    };
    let (sport, dport) = (port("sport"), port("dport"));
    let count = match fields.get("count") {
        None => Some(None),
        Some(node) => dec
            .scalar(node, "how many packets, 1 or more", |text| {
                scalar::whole(text, 1, u32::MAX)
            })
            .map(Some),
    };
    let probability = match fields.get("probability") {
        None => Some(None),
        Some(node) => dec
            .scalar(
                node,
                "a share of the packets, more than 0 and at most 1",
                probability,
            )
            .map(Some),
    };
    let (flags, without) = (
        flags(dec, fields.get("flags")),
        flags(dec, fields.get("without")),
    );
    let (from, to, by, count) = (from?, to?, by?, count?);
    let place = place(dec, scene, fields, from.as_deref(), to.as_deref(), verb);
    let (flags, without) = (flags?, without?);
    if from.is_some() && from == to {
        let span = fields.key("to").unwrap_or(verb);
        dec.problem(
            Problem::new(span, "`from` and `to` are the same host").expected("another host"),
        );
        return None;
    }
    if let Some(flag) = flags.iter().find(|flag| without.contains(flag)) {
        let span = fields.key("without").unwrap_or(verb);
        dec.problem(
            Problem::new(
                span,
                format!("`{flag}` is in `flags` and in `without`: no packet is like that"),
            )
            .expected("each flag in one of them"),
        );
        return None;
    }
    if by == Mechanism::Tc && count.is_some() {
        let span = fields.key("count").unwrap_or(verb);
        dec.problem(
            Problem::new(span, "tc cannot count packets").expected("`count` with `by: nft`"),
        );
        return None;
    }
    Some(PacketRule {
        place: place?,
        by,
        from,
        to,
        flags,
        without,
        sport: sport?,
        dport: dport?,
        count,
        probability: probability?,
    })
}

fn probability(text: &str) -> Result<f64, Refusal> {
    let Ok(share) = text.parse::<f64>() else {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok());
        let help = percent.map(|percent| format!("write `{}`", percent / 100.0));
        return Err(Refusal {
            message: format!("`{text}` is not a number"),
            help,
        });
    };
    if share > 0.0 && share <= 1.0 {
        return Ok(share);
    }
    Err(Refusal::new(format!(
        "the probability {text} is not within 0 and 1"
    )))
}

fn flags<'a>(dec: &Decoder<'a, '_>, node: Option<&'a Node>) -> Option<Vec<String>> {
    let Some(node) = node else {
        return Some(Vec::new());
    };
    let node = dec.resolve(node)?;
    let list = match &node.value {
        Value::Scalar(_) => std::slice::from_ref(node),
        _ => dec.list(node, "a list of TCP flags such as `[SYN]`")?,
    };
    let mut flags = Vec::new();
    for node in list {
        let flag = dec.known(node, "TCP flag", FLAGS)?;
        if flags.contains(&flag) {
            dec.problem(
                Problem::new(node.span, format!("`{flag}` is here twice"))
                    .expected("each flag once"),
            );
            return None;
        }
        flags.push(flag);
    }
    Some(flags)
}

fn place<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    fields: &Fields<'a>,
    from: Option<&str>,
    to: Option<&str>,
    verb: Span,
) -> Option<Place> {
    let network = &scene.network;
    let routers = || network.names(&[NodeKind::Router]);
    let node = match fields.get("at") {
        None => None,
        Some(node) => Some(dec.resolve(node)?),
    };
    if let Some(node) = node
        && let Value::Map(_) = &node.value
    {
        let fields = dec.fields(node, "a place", &["wire"])?;
        let host = dec.required(&fields, "a place", "wire", "client")?;
        let every = [NodeKind::Host, NodeKind::Router, NodeKind::Switch];
        return dec
            .known(host, "node", network.names(&every))
            .map(|host| Place::Wire(Some(host)));
    }
    let word = match node {
        None => "wire".to_owned(),
        Some(node) => {
            let places = ["wire", "sender", "receiver"].into_iter().chain(routers());
            let expected = name::one_of(places.clone());
            dec.scalar(node, &expected, |text| {
                if places.clone().any(|place| place == text) {
                    return Ok(text.to_owned());
                }
                match network.nodes.iter().find(|node| node.name == text) {
                    Some(node) => Err(Refusal::with(
                        format!("`{text}` is a {}, not a router", kind_word(node.kind)),
                        "`at: sender` or `at: receiver` catches packets on a host, `at: { wire: HOST }` on its cable",
                    )),
                    None => Err(Refusal {
                        message: format!("unknown place `{text}`"),
                        help: name::did_you_mean(text, places),
                    }),
                }
            })?
        }
    };
    let span = node.map_or(verb, |node| node.span);
    match word.as_str() {
        "sender" if from.is_none() => {
            dec.problem(
                Problem::new(span, "`at: sender` does not say who sends")
                    .expected("`from: HOST` beside it"),
            );
            None
        }
        "receiver" if to.is_none() => {
            dec.problem(
                Problem::new(span, "`at: receiver` does not say who receives")
                    .expected("`to: HOST` beside it"),
            );
            None
        }
        "sender" => Some(Place::Sender),
        "receiver" => Some(Place::Receiver),
        "wire" if from.is_some() || to.is_some() => Some(Place::Wire(None)),
        "wire" => match network.cables.as_slice() {
            [(end, _)] => Some(Place::Wire(Some(end.clone()))),
            cables => {
                dec.problem(
                    Problem::new(
                        span,
                        format!("the network `{}` has {} cables", network.name, cables.len()),
                    )
                    .expected("`from`, `to` or `at: { wire: HOST }` to say which"),
                );
                None
            }
        },
        router => Some(Place::Router(router.to_owned())),
    }
}

/// A kind of node, in words.
pub fn kind_word(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Host => "host",
        NodeKind::Router => "router",
        NodeKind::Switch => "switch",
    }
}
