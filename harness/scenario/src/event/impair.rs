//! Decodes `impair`: which cable, which way, by which mechanism.

use super::line::{LINE, line};
use crate::case::{
    CableRef, Direction, Event, EventAction, Impair, ImpairBy, Impairment, Network, When,
};
use crate::network::{CABLE, DIRECTION, DIRECTIONS, cable};
use crate::scene::Scene;
use crate::yaml::{Decoder, KeySpec, MappingSpec, Node, Problem, Span, ValueSpec};

pub static IMPAIR: MappingSpec = MappingSpec::new(
    "`impair`",
    "A cable goes bad. At 0s: from before anybody connects, and time does not count from it.",
    &[
        &[
            CABLE,
            DIRECTION,
            KeySpec::new(
                "by",
                ValueSpec::Word(&MECHANISMS),
                "What does it. Default: auto, netem where the kernel has it.",
            ),
        ],
        &LINE,
    ],
);

const MECHANISMS: [(&str, ImpairBy); 5] = [
    ("auto", ImpairBy::Auto),
    ("netem", ImpairBy::Netem),
    ("relay", ImpairBy::Relay),
    ("nft", ImpairBy::Nft),
    ("tc", ImpairBy::Tc),
];

/// `impair: { cable: client, direction: to, delay: 80ms }`
pub fn impair<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    node: &'a Node,
    verb: Span,
) -> Option<EventAction> {
    let fields = dec.mapping(node, &IMPAIR)?;
    let cable = dec
        .needed(&fields, "cable")
        .and_then(|place| cable(dec, &scene.network, place));
    let direction = fields
        .get("direction")
        .map_or(Some(Direction::Both), |node| {
            dec.choose(node, "direction", &DIRECTIONS)
        });
    let by = fields.get("by").map_or(Some(ImpairBy::Auto), |node| {
        dec.choose(node, "mechanism", &MECHANISMS)
    });
    let line = line(dec, &fields);
    let (cable, direction, by, line) = (cable?, direction?, by?, line?);
    let understood = fields
        .entries
        .iter()
        .all(|(key, _)| IMPAIR.key(&key.name).is_some());
    if understood
        && line
            == (Impairment {
                seed: line.seed,
                ..Impairment::default()
            })
    {
        dec.problem(
            Problem::new(verb, "this `impair` does nothing to the line").expected(
                "one or more of: loss, delay, jitter, reorder, duplicate, corrupt, rate, mtu",
            ),
        );
        return None;
    }
    if let Some((key, why)) = line.beyond(by) {
        let span = fields.key(key).unwrap_or(verb);
        let word = MECHANISMS.iter().find(|(_, m)| *m == by);
        let word = word.map_or("", |(word, _)| *word);
        dec.problem(
            Problem::new(span, format!("`{key}` cannot be done by {word}: {why}"))
                .expected("`by: relay`, or no `by`: then it is done by what can do it"),
        );
        return None;
    }
    Some(EventAction::Impair(Box::new(Impair {
        cable,
        direction,
        line,
        by,
    })))
}

/// Notes events that impair one direction of a cable while it is impaired already.
pub fn check_overlaps(dec: &Decoder<'_, '_>, network: &Network, events: &[Event], spans: &[Span]) {
    let mut active: Vec<(&str, &Impair)> = Vec::new();
    let at = |event: &Event| match event.when {
        When::At(at) => Some(at),
        When::After { .. } => None,
    };
    let mut events: Vec<_> = events.iter().zip(spans).collect();
    // The time of an event after a mark is not known, so the order of the file counts.
    if events.iter().all(|(event, _)| at(event).is_some()) {
        events.sort_by_key(|(event, _)| at(event));
    }
    for (event, span) in events {
        match &event.action {
            EventAction::Heal { what } => {
                active.retain(|(name, _)| what.as_ref().is_some_and(|what| what != name));
            }
            EventAction::Impair(impair) => {
                let ways = ways(network, impair);
                let other = active
                    .iter()
                    .find(|(_, other)| self::ways(network, other).iter().any(|w| ways.contains(w)));
                if let Some((first, _)) = other {
                    dec.problem(
                        Problem::new(
                            *span,
                            format!("`{first}` impairs this cable already, the same way"),
                        )
                        .expected(format!(
                            "`heal: {first}` before it, or all of it in one `impair`"
                        )),
                    );
                }
                active.push((&event.name, impair));
            }
            _ => {}
        }
    }
}

/// The impaired directions, each from one node to another.
fn ways<'n>(network: &'n Network, impair: &'n Impair) -> Vec<(&'n str, &'n str)> {
    let CableRef { near, far } = &impair.cable;
    let only = || network.neighbours(near).into_iter().next();
    let far = far.as_deref().or_else(only).unwrap_or_default();
    let (from, to) = ((near.as_str(), far), (far, near.as_str()));
    match impair.direction {
        Direction::Both => vec![from, to],
        Direction::From => vec![from],
        Direction::To => vec![to],
    }
}
