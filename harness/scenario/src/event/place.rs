//! Decodes where a packet is caught.

use crate::case::{NodeKind, Place};
use crate::network::kind_name;
use crate::scene::Scene;
use crate::yaml::{
    Decoder, Fields, KeySpec, MappingSpec, Problem, Refusal, Span, Value, ValueSpec, name,
};

pub static PLACE: MappingSpec = MappingSpec::new(
    "a place",
    "On the cable at this node.",
    &[&[KeySpec::new("wire", ValueSpec::Text, "The node.").required("client")]],
);

pub(super) fn place<'a>(
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
        let fields = dec.mapping(node, &PLACE)?;
        let host = dec.needed(&fields, "wire")?;
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
                        format!("`{text}` is a {}, not a router", kind_name(node.kind)),
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
