//! Decodes what an impairment does to packets: loss, delay, rate and the like.

use std::time::Duration;

use super::loss::{LOSS, SHARE, SHARE_OF_PACKETS, loss, share};
use super::mtu::{MTU, mtu};
use crate::case::Impairment;
use crate::yaml::{Decoder, Fields, KeySpec, Problem, Refusal, ValueSpec, scalar};

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

const RATE: &str = "bits a second such as `64kbit`, `10mbit` or `1gbit`";

pub(super) fn line<'a>(dec: &Decoder<'a, '_>, fields: &Fields<'a>) -> Option<Impairment> {
    let share = |key: &str| fields.optional(key, |node| dec.scalar(node, SHARE, share));
    let time = |key: &str| {
        fields.optional(key, |node| {
            dec.scalar(node, "a delay of at most 1m such as `80ms`", delay)
        })
    };
    let loss = fields.optional("loss", |node| loss(dec, node));
    let (delay, jitter) = (time("delay"), time("jitter"));
    let shares = (share("reorder"), share("duplicate"), share("corrupt"));
    let rate = fields.optional("rate", |node| dec.scalar(node, RATE, rate));
    let queue = fields.optional("queue", |node| {
        dec.scalar(node, "packets, from 1 to 100000", |text| {
            scalar::whole(text, 1, 100_000)
        })
    });
    let mtu = fields.optional("mtu", |node| mtu(dec, node));
    let seed = fields.optional("seed", |node| {
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

fn delay(text: &str) -> Result<Duration, Refusal> {
    let delay = scalar::positive(text)?;
    if delay > Duration::from_secs(60) {
        return Err(Refusal::new(format!("a delay of {text} is too long")));
    }
    Ok(delay)
}

/// Bits a second with the units of tc(8), without those that mean bytes.
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
    // At less, a full packet takes more than a minute; at more, no lab is slowed.
    if !(200.0..=100e9).contains(&bits) {
        return Err(Refusal::new(format!(
            "the rate {text} is out of range: from 200bit to 100gbit"
        )));
    }
    Ok(bits as u64)
}
