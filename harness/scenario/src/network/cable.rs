//! Decodes references to cables.

use crate::case::{CableRef, Network, NodeKind};
use crate::yaml::{Decoder, Node, Problem, Value};

/// The two nodes at the ends of a cable.
pub fn ends<'a, 'k>(
    dec: &Decoder<'a, '_>,
    node: &'a Node,
    names: impl IntoIterator<Item = &'k str> + Clone,
) -> Option<(String, String)> {
    let list = dec.list(node, "a cable such as `[client, server]`")?;
    let [a, b] = list else {
        dec.problem(
            Problem::new(node.span, format!("a cable with {} ends", list.len()))
                .expected("two ends: `[client, server]`"),
        );
        return None;
    };
    let (a, b_name) = (
        dec.known(a, "node", names.clone()),
        dec.known(b, "node", names),
    );
    let (a, b_name) = (a?, b_name?);
    if a == b_name {
        dec.problem(
            Problem::new(b.span, format!("a cable from `{a}` to itself")).expected("another node"),
        );
        return None;
    }
    Some((a, b_name))
}

/// A cable, named by the node at one end if that has no other, or by both nodes.
pub fn cable<'a>(dec: &Decoder<'a, '_>, network: &Network, place: &'a Node) -> Option<CableRef> {
    let every = [NodeKind::Host, NodeKind::Router, NodeKind::Switch];
    let names = || network.names(&every);
    let place = dec.resolve(place)?;
    if let Value::List(_) = &place.value {
        let (near, far) = ends(dec, place, names())?;
        if !network.neighbours(&near).contains(&far.as_str()) {
            let all: Vec<String> = network
                .cables
                .iter()
                .map(|(a, b)| format!("[{a}, {b}]"))
                .collect();
            dec.problem(
                Problem::new(place.span, format!("no cable joins `{near}` and `{far}`"))
                    .expected(format!("a cable of `{}`: {}", network.name, all.join(", "))),
            );
            return None;
        }
        return Some(CableRef {
            near,
            far: Some(far),
        });
    }
    let near = dec.known(place, "host", names())?;
    match network.neighbours(&near).as_slice() {
        [_] => Some(CableRef { near, far: None }),
        several => {
            let all: Vec<String> = several
                .iter()
                .map(|far| format!("[{near}, {far}]"))
                .collect();
            dec.problem(
                Problem::new(place.span, format!("`{near}` has {} cables", several.len()))
                    .expected(format!("both ends of one: {}", all.join(" or "))),
            );
            None
        }
    }
}
