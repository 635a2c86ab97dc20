//! Decodes shares of packets, and loss in bursts.

use serde_json::json;

use crate::case::Loss;
use crate::yaml::{Decoder, KeySpec, MappingSpec, Node, Problem, Refusal, Value, ValueSpec};

pub(super) static LOSS: MappingSpec = MappingSpec::new(
    "`loss`",
    "Lost in bursts.",
    &[&[
        KeySpec::new("rate", SHARE_OF_PACKETS, "This share of all packets.").required("5%"),
        KeySpec::new("burst", ValueSpec::WHOLE, "So many in a row on average.").required("3"),
    ]],
);

/// A share of the packets, with its unit.
pub(super) const SHARE_OF_PACKETS: ValueSpec = ValueSpec::AnyOf(&[
    ValueSpec::Schema(|| json!({ "type": "string", "pattern": "^[0-9.]+ *%$" })),
    ValueSpec::Definition("axis"),
]);

pub(super) const SHARE: &str = "a share of the packets such as `5%`, more than 0% and at most 100%";

/// `loss: 5%`, or `loss: { rate: 5%, burst: 3 }`
pub(super) fn loss<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Loss> {
    let node = dec.resolve(node)?;
    let Value::Map(_) = &node.value else {
        let rate = dec.scalar(node, SHARE, share)?;
        return Some(Loss { rate, burst: None });
    };
    let fields = dec.mapping(node, &LOSS)?;
    let rate = dec
        .needed(&fields, "rate")
        .and_then(|node| dec.scalar(node, SHARE, share));
    let burst = dec.needed(&fields, "burst").and_then(|node| {
        dec.scalar(
            node,
            "packets lost in a row on average, from 1 to 1000",
            |text| match text.parse::<f64>() {
                Ok(burst) if (1.0..=1000.0).contains(&burst) => Ok(burst),
                Ok(_) => Err(Refusal::new(format!(
                    "a burst of {text} packets is out of range"
                ))),
                Err(_) => Err(Refusal::new(format!("`{text}` is not a number"))),
            },
        )
    });
    let (rate, burst) = (rate?, burst?);
    // Between two bursts at least one packet passes: with bursts of b the
    // share lost is at most b / (b + 1).
    if rate > burst / (burst + 1.0) {
        let span = fields.key("burst").unwrap_or(fields.span);
        let least = (rate / (1.0 - rate)).ceil();
        let expected = if rate < 1.0 {
            format!("a burst of at least {least}, or a lower rate")
        } else {
            "`loss: 100%` without `burst`".to_owned()
        };
        dec.problem(
            Problem::new(
                span,
                format!(
                    "bursts of {burst} cannot lose {} % of all packets: one passes between two bursts",
                    rate * 100.0
                ),
            )
            .expected(expected),
        );
        return None;
    }
    Some(Loss {
        rate,
        burst: Some(burst),
    })
}

/// A share in percent. Without `%` it could be a fraction of 1 as well.
pub(super) fn share(text: &str) -> Result<f64, Refusal> {
    let Some(number) = text.strip_suffix('%') else {
        let help = text.parse::<f64>().ok().map(|number| {
            if number <= 1.0 {
                format!("write `{}%`", number * 100.0)
            } else {
                format!("write `{text}%`")
            }
        });
        return Err(Refusal {
            message: format!("`{text}` is no percentage"),
            help,
        });
    };
    let Ok(percent) = number.trim().parse::<f64>() else {
        return Err(Refusal::new(format!("`{number}` is not a number")));
    };
    if percent > 0.0 && percent <= 100.0 {
        return Ok(percent / 100.0);
    }
    Err(Refusal::new(format!(
        "{text} of the packets: there are at most 100%, and 0% would do nothing"
    )))
}
