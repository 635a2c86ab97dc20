//! Decodes `serve` and `multiplex`, the servers of many connections.

use super::step::{Progress, steps};
use super::table::{ANSWERS_TO_EOF, MULTIPLEX, SERVE};
use crate::case::{Action, OnEof};
use crate::scene::Scene;
use crate::yaml::{Decoder, Node, Problem, Value, Verb, scalar};

pub(super) fn serve<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    progress: &mut Progress,
    node: &'a Node,
    verb: &Verb<'a>,
) -> Option<Action> {
    if !progress.listens {
        dec.problem(
            Problem::new(verb.span, "this lane does not listen yet").expected("`listen` before it"),
        );
    }
    let (fork, each) = if let Value::List(_) = &node.value {
        (Some(false), node)
    } else {
        let fields = dec.mapping(node, &SERVE)?;
        let fork = fields
            .get("fork")
            .map_or(Some(false), |node| dec.truth(node));
        (fork, dec.needed(&fields, "each")?)
    };
    let mut inside = Progress {
        connected: true,
        ..progress.clone()
    };
    let each = steps(dec, scene, &mut inside, each);
    progress.bare_connects = inside.bare_connects;
    Some(Action::Serve {
        fork: fork?,
        each: each?,
    })
}

pub(super) fn multiplex<'a>(
    dec: &Decoder<'a, '_>,
    progress: &mut Progress,
    verb: &Verb<'a>,
) -> Option<Action> {
    if !progress.listens {
        dec.problem(
            Problem::new(verb.span, "this lane does not listen yet").expected("`listen` before it"),
        );
    }
    progress.connected = true;
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
    let fields = dec.mapping(node, &MULTIPLEX)?;
    let number = fields.optional("slots", |node| {
        dec.scalar(node, "connections at a time, from 1 to 10000", |text| {
            scalar::whole(text, 1, 10_000)
        })
    });
    let writes_back = fields.optional("echo", |node| dec.truth(node));
    let answer = fields.optional("on_eof", |node| {
        dec.choose(node, "answer to end of file", &ANSWERS_TO_EOF)
    });
    *slots = number?;
    *echo = writes_back?.unwrap_or(true);
    *on_eof = answer?.unwrap_or(OnEof::Close);
    Some(plain)
}
