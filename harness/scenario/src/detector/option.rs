//! Decodes socket options: those of a detector, and those of a `set` step.

use std::time::Duration;

use super::keepalive::whole_seconds;
use super::table::{SET, SET_KEEPALIVE};
use super::whole_milliseconds;
use crate::case::SocketOption;
use crate::yaml::{Decoder, Fields, Node, Problem, Refusal, Value, scalar};

/// `set: { user_timeout: 5s, linger: 0s }`: the options, in the order of the file.
pub fn set<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Vec<SocketOption>> {
    let fields = dec.mapping(node, &SET)?;
    if fields.entries.is_empty() {
        dec.problem(
            Problem::new(node.span, "this sets nothing").expected("`{ user_timeout: 5s }`"),
        );
        return None;
    }
    let mut options = Vec::new();
    let mut valid = true;
    for (key, node) in fields.entries {
        // It is noted already.
        if SET.key(&key.name).is_none() {
            valid = false;
            continue;
        }
        let given = match key.name.as_str() {
            "keepalive" => keepalive(dec, node),
            "user_timeout" => off_or(dec, node, whole_milliseconds)
                .map(|time| vec![SocketOption::UserTimeout(time.unwrap_or_default())]),
            "read_timeout" => off_or(dec, node, whole_milliseconds)
                .map(|time| vec![SocketOption::ReadTimeout(time.unwrap_or_default())]),
            _ => plain(dec, &fields, &key.name).map(|option| option.into_iter().collect()),
        };
        match given {
            Some(given) => options.extend(given),
            None => valid = false,
        }
    }
    valid.then_some(options)
}

/// The options that a detector and a `set` step have in common.
pub fn options<'a>(dec: &Decoder<'a, '_>, fields: &Fields<'a>) -> Option<Vec<SocketOption>> {
    let keys = ["syncnt", "rto_max", "linger", "receive_buffer"];
    // All are read, so that every mistake is noted.
    let given: Vec<_> = keys.iter().map(|key| plain(dec, fields, key)).collect();
    let given: Option<Vec<_>> = given.into_iter().collect();
    Some(given?.into_iter().flatten().collect())
}

#[allow(clippy::option_option)]
fn plain<'a>(
    dec: &Decoder<'a, '_>,
    fields: &Fields<'a>,
    key: &str,
) -> Option<Option<SocketOption>> {
    fields.optional(key, |node| match key {
        // tcp(7): at most 255, MAX_TCP_SYNCNT is 127.
        "syncnt" => dec
            .scalar(
                node,
                "how often a SYN is sent again, from 1 to 127",
                |text| scalar::whole(text, 1, 127),
            )
            .map(SocketOption::Syncnt),
        "rto_max" => dec
            .scalar(node, "a duration from `1s` to `120s`", |text| {
                let time = whole_milliseconds(text)?;
                // TCP_RTO_MAX_SEC and tcp_rto_max_max in do_tcp_setsockopt().
                let limits = Duration::from_secs(1)..=Duration::from_secs(120);
                match limits.contains(&time) {
                    true => Ok(time),
                    false => Err(Refusal::new(format!("{text} is not from 1s to 120s"))),
                }
            })
            .map(SocketOption::RtoMax),
        "linger" => off_or(dec, node, linger_time).map(SocketOption::Linger),
        _ => dec
            .scalar(node, "bytes, from 1 to 1073741823", |text| {
                scalar::whole(text, 1, (1 << 30) - 1)
            })
            .map(SocketOption::ReceiveBuffer),
    })
}

/// `off`, or a time.
#[allow(clippy::option_option)]
fn off_or<'a>(
    dec: &Decoder<'a, '_>,
    node: &'a Node,
    read: impl Fn(&str) -> Result<Duration, Refusal>,
) -> Option<Option<Duration>> {
    dec.scalar(
        node,
        "a duration such as `3s`, or `off`",
        |text| match text {
            "off" => Ok(None),
            _ => read(text).map(Some),
        },
    )
}

/// A time for struct linger, which counts whole seconds in an int (socket(7)).
///
/// # Errors
/// Fractions of a second, and what is too long.
pub fn linger_time(text: &str) -> Result<Duration, Refusal> {
    let time = scalar::duration(text)?;
    match time.subsec_nanos() {
        0 if time.as_secs() <= 32_767 => Ok(time),
        0 => Err(Refusal::new(format!("{text} is more than 32767s"))),
        _ => Err(Refusal::new(format!(
            "{text} is not a whole number of seconds, SO_LINGER's unit"
        ))),
    }
}

/// `keepalive: off`, or values with which it is on.
fn keepalive<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Vec<SocketOption>> {
    if let Value::Scalar(_) = &node.value {
        let on = dec.scalar(node, "`on`, `off`, or `{ idle: 2s }`", |text| match text {
            "on" | "true" => Ok(true),
            "off" | "false" => Ok(false),
            _ => Err(Refusal::new(format!("`{text}` is neither on nor off"))),
        })?;
        return Some(vec![SocketOption::Keepalive(on)]);
    }
    let fields = dec.mapping(node, &SET_KEEPALIVE)?;
    let seconds = |key: &str| {
        fields.optional(key, |node| {
            dec.scalar(node, "whole seconds from `1s` to `32767s`", whole_seconds)
        })
    };
    let (idle, interval) = (seconds("idle"), seconds("interval"));
    let count = fields.optional("count", |node| {
        dec.scalar(node, "a number of probes from 1 to 127", |text| {
            scalar::whole(text, 1u32, 127)
        })
    });
    let mut options = vec![SocketOption::Keepalive(true)];
    options.extend(idle?.map(SocketOption::KeepaliveIdle));
    options.extend(interval?.map(SocketOption::KeepaliveInterval));
    options.extend(count?.map(SocketOption::KeepaliveCount));
    Some(options)
}
