//! Decodes the verb of a step and its value.

use super::table;
use std::time::Duration;

use super::connect::{connect, listen, pool};
use super::serve::{multiplex, serve};
use super::step::{Progress, steps};
use crate::case::{Action, Payload};
use crate::detector::{linger_time, set};
use crate::scene::{Scene, Waiter};
use crate::yaml::{Decoder, Node, Problem, Refusal, Span, Value, Verb, scalar};

/// What a payload can be, for messages.
const PAYLOAD: &str = "text, or `{ bytes: 100000 }`";

/// The most bytes that one step sends.
const MAX_BYTES: u64 = 1 << 30;

/// The action of a verb. `order` is the step's position among those of the case.
pub fn action<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    progress: &mut Progress,
    verb: &Verb<'a>,
    order: usize,
) -> Option<Action> {
    let needed = |expected: &str| -> Option<&'a Node> {
        if verb.value.is_none() {
            dec.problem(
                Problem::new(verb.span, format!("`{}` needs a value", verb.verb))
                    .expected(expected),
            );
        }
        verb.value
    };
    let bare = |action: Action| -> Option<Action> {
        let Some(value) = verb.value else {
            return Some(action);
        };
        dec.problem(
            Problem::new(value.span, format!("`{}` takes no value", verb.verb))
                .expected(format!("`{}` alone", verb.verb)),
        );
        None
    };
    Some(match verb.verb.as_str() {
        "listen" => listen(dec, verb.value)?,
        "accept" => {
            let count = |node| {
                dec.scalar(node, "how many connections to take", |text| {
                    scalar::whole(text, 1, 10_000)
                })
            };
            Action::Accept {
                count: verb.value.map_or(Some(1), count)?,
            }
        }
        "serve" => serve(
            dec,
            scene,
            progress,
            needed("a list of steps, or `{ fork: true, each: [...] }`")?,
            verb,
        )?,
        "multiplex" => multiplex(dec, progress, verb)?,
        "echo" => bare(Action::Echo)?,
        "connect" => connect(dec, scene, progress, verb)?,
        "pool" => pool(
            dec,
            scene,
            progress,
            needed("`{ connections: 3, max_idle: 50s, retry: true }`")?,
            verb,
        )?,
        "request" => Action::Request {
            data: payload(dec, needed(PAYLOAD)?)?,
        },
        "exchange" => Action::Exchange {
            data: payload(dec, needed(PAYLOAD)?)?,
        },
        "write" => Action::Write {
            data: payload(dec, needed(PAYLOAD)?)?,
        },
        "read" => {
            let size = |node| {
                dec.scalar(node, "the buffer's size in bytes", |text| {
                    scalar::whole(text, 1, 16 << 20)
                })
            };
            Action::Read {
                bytes: verb.value.map_or(Some(DEFAULT_READ), size)?,
            }
        }
        "drain" => bare(Action::Drain)?,
        "poll" => poll(dec, verb.value)?,
        "keyboard" => bare(Action::Keyboard)?,
        "half_close" => bare(Action::HalfClose)?,
        "close" => close(dec, verb.value)?,
        "set" => Action::Set {
            options: set(dec, needed("`{ user_timeout: 5s }`")?)?,
        },
        "beside" => {
            let mut inside = progress.clone();
            let list = steps(dec, scene, &mut inside, needed("a list of steps")?);
            progress.bare_connects = inside.bare_connects;
            Action::Beside { steps: list? }
        }
        "relay" => relay(dec, progress, verb)?,
        "sleep" => Action::Sleep {
            time: dec.scalar(
                needed(scalar::DURATION)?,
                scalar::DURATION,
                scalar::positive,
            )?,
        },
        "wait_for" => {
            let node = dec.resolve(needed("the name of a mark")?)?;
            let mark = dec.text(node, "the name of a mark")?;
            let lane = Some(progress.lane.clone());
            scene.marks.wait(Waiter {
                name: mark.clone(),
                span: node.span,
                lane,
                order,
            });
            Action::WaitFor { mark }
        }
        "exit" => bare(Action::Exit)?,
        "repeat" => {
            let fields = dec.mapping(needed("`{ times: 3, steps: [...] }`")?, &table::REPEAT)?;
            let times = dec.needed(&fields, "times");
            let times = times.and_then(|node| {
                dec.scalar(node, "how often, from 1 to 1000000", |text| {
                    scalar::whole(text, 1, 1_000_000)
                })
            });
            let list = dec.needed(&fields, "steps")?;
            let list = steps(dec, scene, progress, list);
            Action::Repeat {
                times: times?,
                steps: list?,
            }
        }
        other => unknown_verb(dec, verb.span, other)?,
    })
}

/// The buffer of a bare `read`.
pub const DEFAULT_READ: u32 = 4096;

/// A verb of the table [`table::STEP`] that [`action`] does not handle: a bug.
fn unknown_verb(dec: &Decoder<'_, '_>, span: Span, verb: &str) -> Option<Action> {
    dec.problem(Problem::new(span, format!("`{verb}` is not understood")));
    None
}

fn payload<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Payload> {
    if let Value::Map(_) = &node.value {
        let fields = dec.mapping(node, &table::PAYLOAD)?;
        let node = dec.needed(&fields, "bytes")?;
        return dec
            .scalar(node, "a number of bytes", |text| {
                scalar::whole(text, 1, MAX_BYTES)
            })
            .map(Payload::Bytes);
    }
    dec.scalar(node, PAYLOAD, |text| {
        if text.is_empty() {
            Err(Refusal::new("there is nothing to send"))
        } else if text.contains(['\u{5}', '\u{6}', '\u{16}']) {
            Err(Refusal::new(
                "ENQ, ACK and SYN (bytes 5, 6 and 22) are how heartbeats beat and answer",
            ))
        } else {
            Ok(Payload::Text(text.to_owned()))
        }
    })
}

fn poll<'a>(dec: &Decoder<'a, '_>, value: Option<&'a Node>) -> Option<Action> {
    let limit = |node| dec.scalar(node, scalar::DURATION, scalar::duration);
    let Some(node) = value else {
        return Some(Action::Poll {
            timeout: None,
            keyboard: false,
        });
    };
    let Value::Map(_) = &node.value else {
        return Some(Action::Poll {
            timeout: Some(limit(node)?),
            keyboard: false,
        });
    };
    let fields = dec.mapping(node, &table::POLL)?;
    let timeout: Option<Duration> = match fields.get("timeout") {
        None => None,
        Some(node) => Some(limit(node)?),
    };
    let keyboard = fields
        .get("keyboard")
        .map_or(Some(false), |node| dec.truth(node))?;
    Some(Action::Poll { timeout, keyboard })
}

fn close<'a>(dec: &Decoder<'a, '_>, value: Option<&'a Node>) -> Option<Action> {
    let Some(node) = value else {
        return Some(Action::Close { linger: None });
    };
    let fields = dec.mapping(node, &table::CLOSE)?;
    let node = dec.needed(&fields, "linger")?;
    let linger = dec.scalar(node, "whole seconds such as `0s`", linger_time)?;
    Some(Action::Close {
        linger: Some(linger),
    })
}

/// `relay`, or `relay: [one, other]`.
fn relay<'a>(dec: &Decoder<'a, '_>, progress: &Progress, verb: &Verb<'a>) -> Option<Action> {
    let Some(node) = verb.value else {
        return Some(Action::Relay { between: None });
    };
    let list = dec.list(node, "two connections such as `[inside, outside]`")?;
    let [a, b] = list else {
        dec.problem(
            Problem::new(
                node.span,
                format!("a relay between {} connections", list.len()),
            )
            .expected("two connections: `[inside, outside]`"),
        );
        return None;
    };
    let known = || progress.named.iter().map(String::as_str);
    let (one, other) = (
        dec.known(a, "connection", known()),
        dec.known(b, "connection", known()),
    );
    let (one, other) = (one?, other?);
    if one == other {
        dec.problem(
            Problem::new(b.span, format!("a relay from `{one}` to itself"))
                .expected("another connection"),
        );
        return None;
    }
    Some(Action::Relay {
        between: Some((one, other)),
    })
}
