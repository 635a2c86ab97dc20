//! `impair`: a cable goes bad.

use std::time::Duration;

use super::case::{CableRef, Direction, Event, EventAction, Network, When};
use super::case::{Impair, ImpairBy, Impairment, Loss, Mtu};
use super::decode::Decoder;
use super::error::{Problem, Span};
use super::event_action;
use super::fields::Fields;
use super::lane::Scene;
use super::scalar::{self, Refusal};
use super::tree::{Node, Value};

const KEYS: [&str; 13] = [
    "cable",
    "direction",
    "by",
    "loss",
    "delay",
    "jitter",
    "reorder",
    "duplicate",
    "corrupt",
    "rate",
    "queue",
    "mtu",
    "seed",
];
const SHARE: &str = "a share of the packets such as `5%`, more than 0% and at most 100%";
const RATE: &str = "bits a second such as `64kbit`, `10mbit` or `1gbit`";
/// No IPv4 link may have less (RFC 791, 3.2), and none here can have more.
const SIZES: (u32, u32) = (68, 1500);

/// `impair: { cable: client, direction: to, delay: 80ms }`
pub fn impair<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    node: &'a Node,
    verb: Span,
) -> Option<EventAction> {
    let fields = dec.fields(node, "`impair`", &KEYS)?;
    let cable = dec
        .required(&fields, "`impair`", "cable", "client")
        .and_then(|place| event_action::cable(dec, scene, place));
    let directions = [
        ("both", Direction::Both),
        ("from", Direction::From),
        ("to", Direction::To),
    ];
    let direction = fields
        .get("direction")
        .map_or(Some(Direction::Both), |node| {
            dec.choose(node, "direction", &directions)
        });
    let mechanisms = [
        ("auto", ImpairBy::Auto),
        ("netem", ImpairBy::Netem),
        ("relay", ImpairBy::Relay),
        ("nft", ImpairBy::Nft),
        ("tc", ImpairBy::Tc),
    ];
    let by = fields.get("by").map_or(Some(ImpairBy::Auto), |node| {
        dec.choose(node, "mechanism", &mechanisms)
    });
    let line = line(dec, &fields);
    let (cable, direction, by, line) = (cable?, direction?, by?, line?);
    let understood = fields
        .entries
        .iter()
        .all(|(key, _)| KEYS.contains(&key.name.as_str()));
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
        let word = mechanisms.iter().find(|(_, m)| *m == by);
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

fn line<'a>(dec: &Decoder<'a, '_>, fields: &Fields<'a>) -> Option<Impairment> {
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
    let fields = dec.fields(node, "`loss`", &["rate", "burst"])?;
    let rate = dec
        .required(&fields, "`loss`", "rate", "5%")
        .and_then(|node| dec.scalar(node, SHARE, share));
    let burst = dec
        .required(&fields, "`loss`", "burst", "3")
        .and_then(|node| {
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
    let fields = dec.fields(node, "`mtu`", &["size", "icmp"])?;
    let bytes = dec
        .required(&fields, "`mtu`", "size", "1400")
        .and_then(size);
    let icmp = fields.get("icmp").map_or(Some(false), |node| {
        dec.scalar(node, "`true` or `false`", scalar::truth)
    });
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

/// Refuses events that would make one direction of a cable bad twice at a time.
pub fn check_overlaps(dec: &Decoder<'_, '_>, network: &Network, events: &[Event], spans: &[Span]) {
    let mut active: Vec<(&str, &Impair)> = Vec::new();
    let at = |event: &Event| match event.when {
        When::At(at) => Some(at),
        When::After { .. } => None,
    };
    let mut events: Vec<_> = events.iter().zip(spans).collect();
    // Those after a mark stay where the file has them.
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

/// The directions it is about: from which node to which.
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
