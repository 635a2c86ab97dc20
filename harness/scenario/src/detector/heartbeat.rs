//! Decodes `heartbeat:` of a detector.

use super::table::{ANSWERS_TO_SILENCE, BEAT_TIMES, HEARTBEAT, RECONNECT, SENDERS, SIGNS_OF_LIFE};
use super::whole_milliseconds;
use crate::case::{BeatWhen, Heartbeat, HeartbeatSender, OnSilence, Reconnect, SignOfLife};
use crate::yaml::{Decoder, Fields, Node, Problem, Refusal, Value, scalar};

const TIME: &str = "a duration of at least 1ms, such as `1s`";

/// `heartbeat: { every: 1s, timeout: 3s, answered: true }`
pub fn heartbeat<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Heartbeat> {
    let fields = dec.mapping(node, &HEARTBEAT)?;
    let time = |key: &str| {
        let node = dec.needed(&fields, key)?;
        dec.scalar(node, TIME, whole_milliseconds)
    };
    let (every, timeout) = (time("every"), time("timeout"));
    let check_every = fields.optional("check_every", |node| {
        dec.scalar(node, TIME, whole_milliseconds)
    });
    let misses = fields.get("misses").map_or(Some(1), |node| {
        dec.scalar(node, "looks in a row, from 1 to 1000", |text| {
            scalar::whole(text, 1, 1000)
        })
    });
    let from = fields
        .get("from")
        .map_or(Some(HeartbeatSender::Client), |node| {
            dec.choose(node, "sender of beats", &SENDERS)
        });
    let answered = fields
        .get("answered")
        .map_or(Some(false), |node| dec.truth(node));
    let when = fields.get("when").map_or(Some(BeatWhen::Always), |node| {
        dec.choose(node, "time for beats", &BEAT_TIMES)
    });
    let counts = fields.optional("counts", |node| {
        dec.choose(node, "sign of life", &SIGNS_OF_LIFE)
    });
    let on_silence = fields
        .get("on_silence")
        .map_or(Some(OnSilence::Close), |node| {
            dec.choose(node, "answer to silence", &ANSWERS_TO_SILENCE)
        });
    let reconnect = fields.optional("reconnect", |node| reconnect(dec, node));
    let heartbeat = Heartbeat {
        every: every?,
        timeout: timeout?,
        check_every: check_every?,
        misses: misses?,
        from: from?,
        answered: answered?,
        when: when?,
        counts: counts?,
        on_silence: on_silence?,
        reconnect: reconnect?,
    };
    check_timeout(dec, &fields, &heartbeat)?;
    check_counts(dec, &fields, &heartbeat)?;
    Some(heartbeat)
}

/// Notes a timeout at which a healthy peer would count as dead.
fn check_timeout(dec: &Decoder<'_, '_>, fields: &Fields<'_>, heartbeat: &Heartbeat) -> Option<()> {
    // The wait for an answer starts at its beat, so any timeout is possible.
    if heartbeat.answered || heartbeat.timeout > heartbeat.every {
        return Some(());
    }
    let span = fields.get("timeout").map_or(fields.span, |node| node.span);
    let (every, timeout) = (
        scalar::words(heartbeat.every),
        scalar::words(heartbeat.timeout),
    );
    dec.problem(
        Problem::new(
            span,
            format!("a beat every {every}, and dead after {timeout} without one: a good peer is dead between two beats"),
        )
        .expected(format!("a `timeout` of more than {every}, or `answered: true`"))
        .help(format!(
            "`{}` lets one beat be late or lost",
            scalar::words(heartbeat.every.saturating_mul(5) / 2)
        )),
    );
    None
}

/// Notes an answer that is waited for and that nobody gives.
fn check_counts(dec: &Decoder<'_, '_>, fields: &Fields<'_>, heartbeat: &Heartbeat) -> Option<()> {
    if heartbeat.counts != Some(SignOfLife::Answer) || heartbeat.answered {
        return Some(());
    }
    let span = fields.get("counts").map_or(fields.span, |node| node.span);
    dec.problem(
        Problem::new(span, "only an answer counts, and beats are not answered")
            .expected("`answered: true` beside it"),
    );
    None
}

fn reconnect<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Reconnect> {
    // The short form, `reconnect: 500ms`.
    if let Value::Scalar(_) = &node.value {
        return Some(Reconnect {
            delay: dec.scalar(node, scalar::DURATION, scalar::duration)?,
            backoff: 1.0,
            limit: None,
        });
    }
    let fields = dec.mapping(node, &RECONNECT)?;
    let delay = dec.needed(&fields, "delay");
    let delay = delay.and_then(|node| dec.scalar(node, scalar::DURATION, scalar::duration));
    let backoff = fields.get("backoff").map_or(Some(1.0), |node| {
        dec.scalar(node, "a factor from 1 to 100, such as `2`", factor)
    });
    let limit = fields.optional("limit", |node| {
        dec.scalar(node, "tries in a row, from 1 to 10000", |text| {
            scalar::whole(text, 1, 10_000)
        })
    });
    Some(Reconnect {
        delay: delay?,
        backoff: backoff?,
        limit: limit?,
    })
}

fn factor(text: &str) -> Result<f64, Refusal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match text.parse::<f64>() {
        Ok(factor) if plain && (1.0..=100.0).contains(&factor) => Ok(factor),
        Ok(_) if plain => Err(Refusal::with(
            format!("{text} is out of range: it must be from 1 to 100"),
            "each wait is so many times the one before; `1` keeps it",
        )),
        _ => Err(Refusal::new(format!("`{text}` is not a number"))),
    }
}
