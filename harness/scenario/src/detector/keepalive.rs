//! Decodes `keepalive:` of a detector.

use super::table::{KEEPALIVE, KEEPALIVE_PLACES};
use std::time::Duration;

use crate::case::{Keepalive, KeepaliveBy};
use crate::yaml::{Decoder, Node, Problem, Refusal, scalar};

pub(super) fn keepalive<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Keepalive> {
    let fields = dec.mapping(node, &KEEPALIVE)?;
    let given = fields.optional("by", |node| {
        dec.choose(node, "place for keepalive values", &KEEPALIVE_PLACES)
    });
    let by = given.flatten().unwrap_or(KeepaliveBy::Socket);
    let seconds = |key: &str| -> Option<Option<Duration>> {
        let Some(node) = fields.get(key) else {
            return Some(None);
        };
        dec.scalar(node, "whole seconds from `1s` to `32767s`", whole_seconds)
            .map(Some)
    };
    // A socket's limit is MAX_TCP_KEEPCNT; net.ipv4.tcp_keepalive_probes is a byte.
    let most = if by == KeepaliveBy::Socket { 127 } else { 255 };
    let count = fields.get("count").map(|node| {
        let expected = format!("a number of probes from 1 to {most}");
        dec.scalar(node, &expected, |text| scalar::whole(text, 1u32, most))
    });
    let (idle, interval) = (seconds("idle"), seconds("interval"));
    given?;
    let keepalive = Keepalive {
        idle: idle?,
        interval: interval?,
        count: match count {
            None => None,
            Some(count) => Some(count?),
        },
        by,
    };
    if by == KeepaliveBy::Sysctl
        && keepalive.idle.or(keepalive.interval).is_none()
        && keepalive.count.is_none()
    {
        dec.problem(
            Problem::new(
                fields.key("by").unwrap_or(fields.span),
                "`by: sysctl` sets no value",
            )
            .expected("`idle`, `interval` or `count` beside it"),
        );
        return None;
    }
    Some(keepalive)
}

/// A value of TCP_KEEPIDLE or TCP_KEEPINTVL, at most MAX_TCP_KEEPIDLE and
/// MAX_TCP_KEEPINTVL.
pub(super) fn whole_seconds(text: &str) -> Result<Duration, Refusal> {
    let time = scalar::duration(text)?;
    if time.subsec_nanos() != 0 {
        return Err(Refusal::new(format!(
            "{text} is not a whole number of seconds, the kernel's unit here"
        )));
    }
    if !(1..=32_767).contains(&time.as_secs()) {
        return Err(Refusal::new(format!(
            "{text} is out of range: it must be from 1s to 32767s"
        )));
    }
    Ok(time)
}
