//! Actions: what each verb of a step takes.

use std::net::IpAddr;
use std::time::Duration;

use super::case::{Action, DEFAULT_PORT, Family, NodeKind, OnEof, Payload};
use super::decode::Decoder;
use super::error::{Problem, Span};
use super::fields::Verb;
use super::lane::Scene;
use super::mark::Waiter;
use super::scalar::{self, Refusal};
use super::step::{Progress, steps};
use super::tree::{Node, Value};

/// What a payload can be, for messages.
const PAYLOAD: &str = "text, or `{ bytes: 100000 }`";
/// Bytes one step may send or ask for.
const MAX_BYTES: u64 = 1 << 30;

/// The action of a verb; `order` is the step's position among those of the case.
pub fn action<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    so_far: &mut Progress,
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
            so_far,
            needed("a list of steps, or `{ fork: true, each: [...] }`")?,
            verb,
        )?,
        "multiplex" => multiplex(dec, so_far, verb)?,
        "echo" => bare(Action::Echo)?,
        "connect" => connect(dec, scene, so_far, verb)?,
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
            let lane = Some(so_far.lane.clone());
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
            let fields = dec.fields(
                needed("`{ times: 3, steps: [...] }`")?,
                "`repeat`",
                &["times", "steps"],
            )?;
            let times = dec.required(&fields, "`repeat`", "times", "3");
            let times = times.and_then(|node| {
                dec.scalar(node, "how often, from 1 to 1000000", |text| {
                    scalar::whole(text, 1, 1_000_000)
                })
            });
            let list = dec.required(&fields, "`repeat`", "steps", "[...]")?;
            let list = steps(dec, scene, so_far, list);
            Action::Repeat {
                times: times?,
                steps: list?,
            }
        }
        other => unreachable_verb(dec, verb.span, other)?,
    })
}

/// The buffer of a bare `read`.
pub const DEFAULT_READ: u32 = 4096;

/// A verb of [`VERBS`] that nothing reads: a bug, said as one.
fn unreachable_verb(dec: &Decoder<'_, '_>, span: Span, verb: &str) -> Option<Action> {
    dec.problem(Problem::new(span, format!("`{verb}` is not understood")));
    None
}

fn port<'a>(dec: &Decoder<'a, '_>, node: Option<&'a Node>) -> Option<u16> {
    node.map_or(Some(DEFAULT_PORT), |node| {
        dec.scalar(node, "a port from 1 to 65535", |text| {
            scalar::whole(text, 1, u16::MAX)
        })
    })
}

fn listen<'a>(dec: &Decoder<'a, '_>, value: Option<&'a Node>) -> Option<Action> {
    let (mut number, mut backlog) = (Some(DEFAULT_PORT), Some(128));
    if let Some(node) = value {
        let fields = dec.fields(node, "`listen`", &["port", "backlog"])?;
        number = port(dec, fields.get("port"));
        if let Some(node) = fields.get("backlog") {
            backlog = dec.scalar(node, "a backlog from 0 to 65535", |text| {
                scalar::whole(text, 0, 65_535)
            });
        }
    }
    Some(Action::Listen {
        port: number?,
        backlog: backlog?,
    })
}

fn serve<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    so_far: &mut Progress,
    node: &'a Node,
    verb: &Verb<'a>,
) -> Option<Action> {
    if !so_far.listens {
        dec.problem(
            Problem::new(verb.span, "this lane does not listen yet").expected("`listen` before it"),
        );
    }
    let (fork, each) = if let Value::List(_) = &node.value {
        (Some(false), node)
    } else {
        let fields = dec.fields(node, "`serve`", &["fork", "each"])?;
        let fork = fields.get("fork").map_or(Some(false), |node| {
            dec.scalar(node, "`true` or `false`", scalar::truth)
        });
        (fork, dec.required(&fields, "`serve`", "each", "[echo]")?)
    };
    let mut inside = Progress {
        connected: true,
        ..so_far.clone()
    };
    let each = steps(dec, scene, &mut inside, each);
    so_far.bare_connects = inside.bare_connects;
    Some(Action::Serve {
        fork: fork?,
        each: each?,
    })
}

fn multiplex<'a>(dec: &Decoder<'a, '_>, so_far: &mut Progress, verb: &Verb<'a>) -> Option<Action> {
    if !so_far.listens {
        dec.problem(
            Problem::new(verb.span, "this lane does not listen yet").expected("`listen` before it"),
        );
    }
    so_far.connected = true;
    let mut plain = Action::Multiplex {
        slots: None,
        echo: true,
        on_eof: OnEof::Close,
    };
    let (
        Some(node),
        Action::Multiplex {
            slots,
            echo,
            on_eof,
        },
    ) = (verb.value, &mut plain)
    else {
        return Some(plain);
    };
    let fields = dec.fields(node, "`multiplex`", &["slots", "echo", "on_eof"])?;
    if let Some(node) = fields.get("slots") {
        let number = dec.scalar(node, "connections at a time, from 1 to 10000", |text| {
            scalar::whole(text, 1, 10_000)
        })?;
        *slots = Some(number);
    }
    if let Some(node) = fields.get("echo") {
        *echo = dec.scalar(node, "`true` or `false`", scalar::truth)?;
    }
    if let Some(node) = fields.get("on_eof") {
        let words = [("close", OnEof::Close), ("ignore", OnEof::Ignore)];
        *on_eof = dec.choose(node, "answer to end of file", &words)?;
    }
    Some(plain)
}

fn connect<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    so_far: &mut Progress,
    verb: &Verb<'a>,
) -> Option<Action> {
    let hosts = scene.network.names(&[NodeKind::Host]);
    let mut plain = Action::Connect {
        to: None,
        address: None,
        port: DEFAULT_PORT,
        count: 1,
        nonblocking: false,
    };
    let Some(node) = verb.value else {
        so_far.bare_connects.push(verb.span);
        return Some(plain);
    };
    if let Value::Scalar(_) = &node.value {
        let host = dec.known(node, "host", hosts)?;
        if let Action::Connect { to, .. } = &mut plain {
            *to = Some(host);
        }
        return Some(plain);
    }
    let fields = dec.fields(
        node,
        "`connect`",
        &["to", "address", "port", "count", "nonblocking"],
    )?;
    if let (Some(_), Some(span)) = (fields.key("to"), fields.key("address")) {
        dec.problem(Problem::new(span, "both `to` and `address`").expected("a host or an address"));
        return None;
    }
    let to = fields.get("to").map(|node| dec.known(node, "host", hosts));
    let address = fields.get("address").map(|node| {
        dec.scalar(
            node,
            &format!(
                "an address of the case's family, {}",
                family_word(scene.family)
            ),
            |text| address(text, scene.family),
        )
    });
    if to.is_none() && address.is_none() {
        so_far.bare_connects.push(verb.span);
    }
    let number = port(dec, fields.get("port"));
    let count = fields.get("count").map_or(Some(1), |node| {
        dec.scalar(node, "how many connections, from 1 to 10000", |text| {
            scalar::whole(text, 1, 10_000)
        })
    });
    let nonblocking = fields.get("nonblocking").map_or(Some(false), |node| {
        dec.scalar(node, "`true` or `false`", scalar::truth)
    });
    let to = match to {
        None => None,
        Some(to) => Some(to?),
    };
    let address = match address {
        None => None,
        Some(address) => Some(address?),
    };
    Some(Action::Connect {
        to,
        address,
        port: number?,
        count: count?,
        nonblocking: nonblocking?,
    })
}

fn family_word(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

fn address(text: &str, family: Family) -> Result<IpAddr, Refusal> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| Refusal::new(format!("`{text}` is not an IP address")))?;
    if address.is_ipv4() != (family == Family::Ipv4) {
        let other = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        return Err(Refusal::new(format!(
            "`{text}` is an {other} address in an {} case",
            family_word(family)
        )));
    }
    Ok(address)
}

fn payload<'a>(dec: &Decoder<'a, '_>, node: &'a Node) -> Option<Payload> {
    if let Value::Map(_) = &node.value {
        let fields = dec.fields(node, "a payload", &["bytes"])?;
        let node = dec.required(&fields, "a payload", "bytes", "100000")?;
        return dec
            .scalar(node, "a number of bytes", |text| {
                scalar::whole(text, 1, MAX_BYTES)
            })
            .map(Payload::Bytes);
    }
    dec.scalar(node, PAYLOAD, |text| {
        if text.is_empty() {
            Err(Refusal::new("there is nothing to send"))
        } else if text.contains(['\u{5}', '\u{6}']) {
            Err(Refusal::new(
                "ENQ and ACK (bytes 5 and 6) are how heartbeats beat and answer",
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
    let fields = dec.fields(node, "`poll`", &["timeout", "keyboard"])?;
    let timeout: Option<Duration> = match fields.get("timeout") {
        None => None,
        Some(node) => Some(limit(node)?),
    };
    let keyboard = fields.get("keyboard").map_or(Some(false), |node| {
        dec.scalar(node, "`true` or `false`", scalar::truth)
    })?;
    Some(Action::Poll { timeout, keyboard })
}

fn close<'a>(dec: &Decoder<'a, '_>, value: Option<&'a Node>) -> Option<Action> {
    let Some(node) = value else {
        return Some(Action::Close { linger: None });
    };
    let fields = dec.fields(node, "`close`", &["linger"])?;
    let node = dec.required(&fields, "`close` with a value", "linger", "0s")?;
    // struct linger counts in int seconds: socket(7).
    let linger = dec.scalar(node, "whole seconds such as `0s`", |text| {
        let time = scalar::duration(text)?;
        match time.subsec_nanos() {
            0 if time.as_secs() <= 32_767 => Ok(time),
            0 => Err(Refusal::new(format!("{text} is more than 32767s"))),
            _ => Err(Refusal::new(format!(
                "{text} is not a whole number of seconds, SO_LINGER's unit"
            ))),
        }
    })?;
    Some(Action::Close {
        linger: Some(linger),
    })
}
