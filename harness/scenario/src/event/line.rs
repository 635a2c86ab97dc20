//! What an impairment does to packets: loss, delay, rate and the like.

use serde_json::json;
use std::time::Duration;

use crate::case::{Impairment, Loss, Mtu};
use crate::yaml::{
    Decoder, Fields, KeySpec, MappingSpec, Node, Problem, Refusal, Value, ValueSpec, scalar,
};

/// A share of the packets, with its unit.
const SHARE_OF_PACKETS: ValueSpec = ValueSpec::AnyOf(&[
    ValueSpec::Schema(|| json!({ "type": "string", "pattern": "^[0-9.]+ *%$" })),
    ValueSpec::Definition("axis"),
]);

/// The keys of an `impair` that say what happens to packets.
pub static LINE: [KeySpec; 10] = [
    KeySpec::new(
        "loss",
        ValueSpec::AnyOf(&[
            ValueSpec::Described("Each by its own throw.", &SHARE_OF_PACKETS),
            ValueSpec::Mapping(&LOSS),
        ]),
        "This share of the packets vanishes.",
    ),
    KeySpec::new(
        "delay",
        ValueSpec::DURATION,
        "Every packet is under way for so much longer.",
    ),
    KeySpec::new(
        "jitter",
        ValueSpec::DURATION,
        "The delay is anything from delay - jitter to delay + jitter.",
    ),
    KeySpec::new(
        "reorder",
        SHARE_OF_PACKETS,
        "This share of the packets is not delayed, and overtakes those that are.",
    ),
    KeySpec::new(
        "duplicate",
        SHARE_OF_PACKETS,
        "This share of the packets comes twice.",
    ),
    KeySpec::new(
        "corrupt",
        SHARE_OF_PACKETS,
        "In this share of the packets one bit is flipped.",
    ),
    KeySpec::new(
        "rate",
        ValueSpec::Text,
        "Bits a second: 64kbit, 10mbit, 1gbit.",
    ),
    KeySpec::new(
        "queue",
        ValueSpec::WHOLE,
        "With a rate: packets that may wait. Default: 1000.",
    ),
    KeySpec::new(
        "mtu",
        ValueSpec::AnyOf(&[ValueSpec::WHOLE, ValueSpec::Mapping(&MTU)]),
        "Larger IP packets vanish.",
    ),
    KeySpec::new("seed", ValueSpec::WHOLE, "Where the random numbers begin."),
];

static LOSS: MappingSpec = MappingSpec::new(
    "`loss`",
    "Lost in bursts.",
    &[&[
        KeySpec::new("rate", SHARE_OF_PACKETS, "This share of all packets.").required("5%"),
        KeySpec::new("burst", ValueSpec::WHOLE, "So many in a row on average.").required("3"),
    ]],
);

static MTU: MappingSpec = MappingSpec::new(
    "`mtu`",
    "What passes, and whether the sender is told.",
    &[&[
        KeySpec::new(
            "size",
            ValueSpec::WHOLE,
            "Bytes of the largest IP packet that passes.",
        )
        .required("1400"),
        KeySpec::new(
            "icmp",
            ValueSpec::TRUTH,
            "ICMP fragmentation needed, ICMPv6 packet too big. Default: false.",
        ),
    ]],
);

const SHARE: &str = "a share of the packets such as `5%`, more than 0% and at most 100%";

const RATE: &str = "bits a second such as `64kbit`, `10mbit` or `1gbit`";

/// No IPv4 link may have less (RFC 791, 3.2), and none here can have more.
const SIZES: (u32, u32) = (68, 1500);

pub(super) fn line<'a>(dec: &Decoder<'a, '_>, fields: &Fields<'a>) -> Option<Impairment> {
    let share = |key: &str| optional(fields, key, |node| dec.scalar(node, SHARE, share));
    let time = |key: &str| {
        optional(fields, key, |node| {
            dec.scalar(node, "a delay of at most 1m such as `80ms`", delay)
        })
    };
    let loss = optional(fields, "loss", |node| loss(dec, node));
    let (delay, jitter) = (time("delay"), time("jitter"));
    let shares = (share("reorder"), share("duplicate"), share("corrupt"));
    let rate = optional(fields, "rate", |node| dec.scalar(node, RATE, rate));
    let queue = optional(fields, "queue", |node| {
        dec.scalar(node, "packets, from 1 to 100000", |text| {
            scalar::whole(text, 1, 100_000)
        })
    });
    let mtu = optional(fields, "mtu", |node| mtu(dec, node));
    let seed = optional(fields, "seed", |node| {
        dec.scalar(node, "a whole number", |text| {
            scalar::whole(text, 0, u64::MAX)
        })
    });
    let line = Impairment {
        loss: loss?,
        delay: delay?,
        jitter: jitter?,
        reorder: shares.0?,
        duplicate: shares.1?,
        corrupt: shares.2?,
        rate: rate?,
        queue: queue?,
        mtu: mtu?,
        seed: seed?,
    };
    let needs = [
        (
            "jitter",
            line.jitter.is_some(),
            "delay",
            line.delay.is_some(),
            "without a delay there is nothing to vary",
        ),
        (
            "reorder",
            line.reorder.is_some(),
            "delay",
            line.delay.is_some(),
            "without a delay there is nothing to overtake",
        ),
        (
            "queue",
            line.queue.is_some(),
            "rate",
            line.rate.is_some(),
            "without a rate nothing waits",
        ),
    ];
    for (key, is, other, there, why) in needs {
        if is && !there {
            let span = fields.key(key).unwrap_or(fields.span);
            dec.problem(
                Problem::new(span, format!("`{key}` needs `{other}`: {why}"))
                    .expected(format!("`{other}` beside it")),
            );
            return None;
        }
    }
    if let (Some(delay), Some(jitter)) = (line.delay, line.jitter)
        && jitter > delay
    {
        let span = fields.key("jitter").unwrap_or(fields.span);
        let (delay, jitter) = (scalar::words(delay), scalar::words(jitter));
        dec.problem(
            Problem::new(
                span,
                format!(
                    "a jitter of {jitter} around a delay of {delay} would deliver before it is sent"
                ),
            )
            .expected(format!("a jitter of at most {delay}")),
        );
        return None;
    }
    Some(line)
}

fn optional<'a, T>(
    fields: &Fields<'a>,
    key: &str,
    read: impl FnOnce(&'a Node) -> Option<T>,
) -> Option<Option<T>> {
    match fields.get(key) {
        None => Some(None),
        Some(node) => read(node).map(Some),
    }
}

/// `5%`, or `{ rate: 5%, burst: 3 }`.
fn loss<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Loss> {
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

/// `1400`, or `{ size: 1400, icmp: true }`.
fn mtu<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Mtu> {
    let size = |node: &'a Node| {
        let (least, most) = SIZES;
        dec.scalar(
            node,
            &format!("bytes of an IP packet, from {least} to {most}"),
            |text| scalar::whole(text, least, most),
        )
    };
    let node = dec.resolve(node)?;
    let Value::Map(_) = &node.value else {
        let size = size(node)?;
        return Some(Mtu { size, icmp: false });
    };
    let fields = dec.mapping(node, &MTU)?;
    let bytes = dec.needed(&fields, "size").and_then(size);
    let icmp = fields
        .get("icmp")
        .map_or(Some(false), |node| dec.truth(node));
    Some(Mtu {
        size: bytes?,
        icmp: icmp?,
    })
}

/// A share with its unit: a bare number might mean either.
fn share(text: &str) -> Result<f64, Refusal> {
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

fn delay(text: &str) -> Result<Duration, Refusal> {
    let delay = scalar::positive(text)?;
    if delay > Duration::from_secs(60) {
        return Err(Refusal::new(format!("a delay of {text} is too long")));
    }
    Ok(delay)
}

/// Bits a second with their unit, as tc(8) writes them but for its bytes.
fn rate(text: &str) -> Result<u64, Refusal> {
    const UNITS: [(&str, u64); 4] = [
        ("gbit", 1_000_000_000),
        ("mbit", 1_000_000),
        ("kbit", 1_000),
        ("bit", 1),
    ];
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let Ok(number) = number.parse::<f64>() else {
        return Err(Refusal::new(format!("`{text}` is no rate")));
    };
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let help = match unit {
            "" => format!("write `{text}kbit` for thousands of bits a second"),
            "bps" | "kbps" | "mbps" | "gbps" => format!(
                "tc(8) takes `{unit}` for bytes, others for bits: write `bit`, `kbit`, `mbit` or `gbit`"
            ),
            _ => "the units are bit, kbit, mbit, gbit".to_owned(),
        };
        return Err(Refusal::with(
            format!("the rate `{text}` has no unit that is clear"),
            help,
        ));
    };
    let bits = number * *size as f64;
    // Below, a full packet takes more than a minute; above, nothing here is slow.
    if !(200.0..=100e9).contains(&bits) {
        return Err(Refusal::new(format!(
            "the rate {text} is out of range: from 200bit to 100gbit"
        )));
    }
    Ok(bits as u64)
}
