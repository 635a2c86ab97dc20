//! Decodes `cut`: nothing passes a cable.

use super::table::{CARRIERS, CUT};
use crate::case::{Carrier, Direction, EventAction};
use crate::network::{DIRECTIONS, cable};
use crate::scene::Scene;
use crate::yaml::{Decoder, Node, Problem, Value};

pub(super) fn cut<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    value: &'a Node,
) -> Option<EventAction> {
    let Value::Map(_) = &value.value else {
        let cable = cable(dec, &scene.network, value)?;
        return Some(EventAction::Cut {
            cable,
            direction: Direction::Both,
            carrier: Carrier::Kept,
        });
    };
    let fields = dec.mapping(value, &CUT)?;
    let place = dec.needed(&fields, "cable")?;
    let cable = cable(dec, &scene.network, place);
    let direction = fields
        .get("direction")
        .map_or(Some(Direction::Both), |node| {
            dec.choose(node, "direction", &DIRECTIONS)
        });
    let carrier = fields.get("carrier").map_or(Some(Carrier::Kept), |node| {
        dec.choose(node, "carrier", &CARRIERS)
    });
    let (cable, direction, carrier) = (cable?, direction?, carrier?);
    if carrier == Carrier::Lost && direction != Direction::Both {
        let span = fields.key("direction").unwrap_or(value.span);
        dec.problem(
            Problem::new(span, "without carrier nothing passes either way")
                .expected("`direction: both` with `carrier: lost`"),
        );
        return None;
    }
    Some(EventAction::Cut {
        cable,
        direction,
        carrier,
    })
}
