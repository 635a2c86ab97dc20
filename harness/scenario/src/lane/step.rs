//! Decodes lists of steps, and checks their order within the lane.

use super::action::action;
use super::table::STEP;
use crate::case::Step;
use crate::scene::{Scene, Setter};
use crate::yaml::{Decoder, Node, Problem, Span, Verb, name};

/// What the steps so far have done.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The lane's name.
    pub lane: String,
    /// It listens.
    pub listens: bool,
    /// It has a connection.
    pub connected: bool,
    /// It has a pool of connections.
    pub pooled: bool,
    /// Names of its connections.
    pub named: Vec<String>,
    /// Places of `connect` without a host.
    pub bare_connects: Vec<Span>,
}

/// Decodes a list of steps without those whose `when` does not hold.
pub fn steps<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    progress: &mut Progress,
    node: &'a Node,
) -> Option<Vec<Step>> {
    let Some(list) = dec.list(node, "a list of steps such as `[connect, read]`") else {
        scene.marks.set_incomplete();
        return None;
    };
    if list.is_empty() {
        dec.problem(Problem::new(node.span, "no steps").expected("at least one step"));
        return None;
    }
    let mut steps = Vec::new();
    let mut valid = true;
    for node in list {
        match step(dec, scene, progress, node) {
            None => valid = false,
            Some(None) => {}
            Some(Some(step)) => steps.push(step),
        }
    }
    valid.then_some(steps)
}

#[allow(clippy::option_option)]
fn step<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    progress: &mut Progress,
    node: &'a Node,
) -> Option<Option<Step>> {
    let Some(verb) = dec.verb(node, &STEP) else {
        // The step may be the one that listens, connects or sets a mark.
        (progress.listens, progress.connected, progress.pooled) = (true, true, true);
        scene.marks.set_incomplete();
        return None;
    };
    if !dec.when(&verb.fields) {
        return Some(None);
    }
    let order = scene.marks.next_step();
    let conn = connection(dec, progress, &verb);
    let mark = match verb.fields.get("mark") {
        None => Some(None),
        Some(node) => dec
            .scalar(node, "the name of a mark", name::kebab)
            .map(|name| {
                let setter = Setter {
                    name: name.clone(),
                    span: node.span,
                    lane: Some(progress.lane.clone()),
                    order,
                    by_default: false,
                };
                scene.marks.set(setter);
                Some(name)
            }),
    };
    let action = action(dec, scene, progress, &verb, order)?;
    Some(Some(Step {
        action,
        conn: conn?,
        mark: mark?,
        number: u32::try_from(order).unwrap_or(u32::MAX),
        line: node.span.line,
    }))
}

/// The name of the connection that a step uses (`on`) or makes (`as`).
#[allow(clippy::option_option)]
fn connection<'a>(
    dec: &Decoder<'a, '_>,
    progress: &mut Progress,
    verb: &Verb<'a>,
) -> Option<Option<String>> {
    let word = verb.verb.as_str();
    let makes = matches!(word, "connect" | "accept");
    let uses = matches!(
        word,
        "echo" | "exchange" | "write" | "read" | "drain" | "poll" | "half_close" | "close" | "set"
    );
    if word == "accept" && !progress.listens {
        dec.problem(
            Problem::new(verb.span, "this lane does not listen yet").expected("`listen` before it"),
        );
    }
    if uses && !progress.connected {
        dec.problem(
            Problem::new(verb.span, format!("`{word}` before there is a connection"))
                .expected("`connect` or `accept` before it"),
        );
    }
    if word == "request" && !progress.pooled {
        dec.problem(
            Problem::new(verb.span, "`request` before there is a pool")
                .expected("`pool: { connections: 3 }` before it"),
        );
    }
    if makes {
        progress.connected = true;
    }
    progress.pooled |= word == "pool";
    if word == "listen" {
        progress.listens = true;
    }
    if let Some(span) = verb.fields.key("as").filter(|_| !makes) {
        dec.problem(
            Problem::new(span, format!("`{word}` makes no connection"))
                .expected("`as` beside `connect` or `accept`"),
        );
        return None;
    }
    if let Some(span) = verb.fields.key("on").filter(|_| !uses) {
        let problem = Problem::new(span, format!("`{word}` is not done on a connection"));
        dec.problem(if makes {
            problem.expected("`as: NAME`, which names the connection it makes")
        } else {
            problem.expected("`on` beside a step that uses a connection")
        });
        return None;
    }
    if let Some(node) = verb.fields.get("as") {
        let name = dec.scalar(node, "a name for the connection", name::kebab)?;
        if progress.named.contains(&name) {
            dec.problem(
                Problem::new(
                    node.span,
                    format!("this lane has a connection `{name}` already"),
                )
                .expected("another name"),
            );
            return None;
        }
        progress.named.push(name.clone());
        return Some(Some(name));
    }
    match verb.fields.get("on") {
        None => Some(None),
        Some(node) => dec
            .known(
                node,
                "connection",
                progress.named.iter().map(String::as_str),
            )
            .map(Some),
    }
}
