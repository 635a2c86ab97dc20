//! Decodes which packets a `drop` or a `reject` catches, where and by what.

use serde_json::json;

use super::place::{PLACE, place};
use crate::case::{Mechanism, NodeKind, PacketRule};
use crate::scene::Scene;
use crate::yaml::{
    Decoder, Fields, KeySpec, Node, Problem, Refusal, Span, Value, ValueSpec, scalar,
};

/// The keys that `drop` and `reject` share.
pub(super) static RULE: [KeySpec; 10] = [
    KeySpec::new("from", ValueSpec::Text, "Sent by this host."),
    KeySpec::new("to", ValueSpec::Text, "Sent to this host."),
    KeySpec::new(
        "at",
        ValueSpec::AnyOf(&[ValueSpec::Text, ValueSpec::Mapping(&PLACE)]),
        "Where the packet is caught: wire, sender, receiver, or a router. Default: wire.",
    ),
    KeySpec::new(
        "by",
        ValueSpec::Word(&MECHANISMS),
        "What catches it. Default: nft.",
    ),
    KeySpec::new("flags", FLAG_LIST, "TCP flags that must be set."),
    KeySpec::new("without", FLAG_LIST, "TCP flags that must not be set."),
    KeySpec::new("sport", ValueSpec::WHOLE, "TCP source port."),
    KeySpec::new("dport", ValueSpec::WHOLE, "TCP destination port."),
    KeySpec::new("count", ValueSpec::WHOLE, "Only the first so many packets."),
    KeySpec::new(
        "probability",
        ValueSpec::AnyOf(&[
            ValueSpec::Schema(|| json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 })),
            ValueSpec::Definition("axis"),
        ]),
        "Only this share of the packets.",
    ),
];

const FLAG_LIST: ValueSpec = ValueSpec::List {
    items: &ValueSpec::WordWithoutAxis(&FLAGS),
    least: 0,
    most: None,
    unique: true,
};

const MECHANISMS: [(&str, Mechanism); 2] = [("nft", Mechanism::Nft), ("tc", Mechanism::Tc)];

const FLAGS: [&str; 6] = ["SYN", "ACK", "FIN", "RST", "PSH", "URG"];

/// The rule of a `drop` or a `reject`; `verb` is the place of its verb.
pub(super) fn rule<'a>(
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
        Some(node) => dec.choose(node, "mechanism", &MECHANISMS),
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
    // Who sends, or receives, may be misspelt and is there all the same.
    let end = |end: &Option<Option<String>>| match end {
        Some(end) => end.clone(),
        None => Some(String::new()),
    };
    let place = place(
        dec,
        scene,
        fields,
        end(&from).as_deref(),
        end(&to).as_deref(),
        verb,
    );
    let (from, to, by, count) = (from?, to?, by?, count?);
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
    Err(Refusal {
        message: format!("the probability {text} is not within 0 and 1"),
        help: (share > 1.0 && share <= 100.0)
            .then(|| format!("write `{}` for {text} %", share / 100.0)),
    })
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
