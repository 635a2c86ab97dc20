//! Decodes `detectors:` and references to them. The catalogue and the lanes use it.

use std::time::Duration;

use indexmap::IndexMap;

use crate::case::Detector;
use crate::yaml::{Decoder, Node, Problem, Refusal, Value, name, scalar};

mod heartbeat;
mod keepalive;
mod option;
mod table;

pub use option::{linger_time, set};
pub use table::{DETECTOR, SET};

use heartbeat::heartbeat;
use keepalive::keepalive;

/// The detectors that a file declares, and `none`.
pub fn declared<'a>(dec: &Decoder<'a, '_>, node: Option<&'a Node>) -> IndexMap<String, Detector> {
    let mut detectors = IndexMap::new();
    detectors.insert("none".to_owned(), Detector::default());
    let Some(node) = node else { return detectors };
    let Some(entries) = dec.map(node, "a mapping from names to detectors") else {
        return detectors;
    };
    for (key, value) in entries {
        if let Err(refusal) = name::kebab(&key.name) {
            dec.problem(name::not_kebab(key.span, refusal));
        }
        let detector = decode_detector(dec, value);
        if key.name == "none" && detector.as_ref().is_some_and(|d| *d != Detector::default()) {
            dec.problem(
                Problem::new(
                    key.span,
                    "`none` detects nothing and cannot be anything else",
                )
                .expected("`none: {}`")
                .help("give this detector another name"),
            );
            continue;
        }
        // A detector with a mistake stays known, so that its users get no message.
        detectors.insert(key.name.clone(), detector.unwrap_or_default());
    }
    detectors
}

fn decode_detector<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Detector> {
    let fields = dec.mapping(node, &DETECTOR)?;
    let milliseconds = |key: &str| -> Option<Option<Duration>> {
        let Some(node) = fields.get(key) else {
            return Some(None);
        };
        dec.scalar(
            node,
            "a duration of at least 1ms, such as `3s`",
            whole_milliseconds,
        )
        .map(Some)
    };
    let keepalive = fields.optional("keepalive", |node| keepalive(dec, node));
    let user_timeout = milliseconds("user_timeout");
    let read_timeout = milliseconds("read_timeout");
    let poll = milliseconds("poll");
    let heartbeat = fields.optional("heartbeat", |node| heartbeat(dec, node));
    let options = option::options(dec, &fields);
    let detector = Detector {
        keepalive: keepalive?,
        user_timeout: user_timeout?,
        read_timeout: read_timeout?,
        poll: poll?,
        heartbeat: heartbeat?,
        options: options?,
    };
    if detector.heartbeat.is_some()
        && let Some((key, span)) = ["read_timeout", "poll"]
            .into_iter()
            .find_map(|key| Some((key, fields.key(key)?)))
    {
        dec.problem(
            Problem::new(span, format!("`{key}` beside `heartbeat`"))
                .expected("one of the two: a heartbeat waits by poll(), with limits of its own"),
        );
        return None;
    }
    Some(detector)
}

/// A time for TCP_USER_TIMEOUT or poll(), which take an int of milliseconds (tcp(7),
/// poll(2)).
///
/// # Errors
///
/// 0, fractions of a millisecond, and more milliseconds than an int holds.
pub fn whole_milliseconds(text: &str) -> Result<Duration, Refusal> {
    let time = scalar::positive(text)?;
    if time.subsec_nanos() % 1_000_000 != 0 {
        return Err(Refusal::new(format!(
            "{text} is finer than a millisecond, the kernel's unit here"
        )));
    }
    if time.as_millis() > i32::MAX as u128 {
        return Err(Refusal::new(format!(
            "{text} is more than an int of milliseconds, about 24 days"
        )));
    }
    Ok(time)
}

/// The detector of this name, with the name.
pub fn named<'a>(
    dec: &Decoder<'a, '_>,
    detectors: &IndexMap<String, Detector>,
    node: &'a Node,
) -> Option<(String, Detector)> {
    if let Value::Map(_) = &node.value {
        dec.problem(
            Problem::new(node.span, "a detector is used by its name")
                .expected(name::one_of(detectors.keys().map(String::as_str)))
                .help("give it a name under `detectors:` at the top of the file"),
        );
        return None;
    }
    let names = || detectors.keys().map(String::as_str);
    let chosen = dec.scalar(node, &name::one_of(names()), |text| {
        if names().any(|name| name == text) {
            return Ok(text.to_owned());
        }
        Err(Refusal {
            message: format!("unknown detector `{text}`"),
            help: name::did_you_mean(text, names())
                .or_else(|| Some("declare it under `detectors:` at the top of the file".into())),
        })
    })?;
    let detector = detectors.get(&chosen)?.clone();
    Some((chosen, detector))
}
