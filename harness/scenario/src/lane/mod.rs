//! Decodes lanes: on which host each runs, its detector, and its steps. It needs the
//! detectors and the scene; the catalogue uses it.

use crate::case::{Detector, Disposition, Lane, NodeKind};
use crate::detector;
use crate::scene::Scene;
use crate::yaml::{Decoder, Fields, Node, Problem, Span, Value, name, scalar};

mod action;
mod connect;
mod peers;
mod program;
mod program_table;
mod serve;
mod step;
mod table;
mod words;

pub use peers::{check_senders, find_peers};
pub use program::{find_servers, open_inputs};
pub use program_table::PROGRAM;
pub use table::{LANE, PAYLOAD, STEP};

use step::Progress;
use table::DISPOSITIONS;

/// A lane before it is decoded: its name, the name's place, and its node.
pub type Declared<'a> = (&'a str, Span, &'a Node);

/// The lanes that a scenario declares: `client:`, `server:` and those of `lanes:`.
pub fn declared<'a>(dec: &Decoder<'a, '_>, scenario: &Fields<'a>) -> Option<Vec<Declared<'a>>> {
    let mut lanes: Vec<Declared<'a>> = Vec::new();
    for (key, node) in scenario.entries {
        match key.name.as_str() {
            "client" | "server" => lanes.push((&key.name, key.span, node)),
            "lanes" => {
                for (key, node) in dec.map(node, "a mapping from names to lanes")? {
                    if let Err(refusal) = name::kebab(&key.name) {
                        dec.problem(name::not_kebab(key.span, refusal));
                    }
                    lanes.push((&key.name, key.span, node));
                }
            }
            _ => {}
        }
    }
    for (index, (name, span, _)) in lanes.iter().enumerate() {
        if let Some((_, first, _)) = lanes[..index].iter().find(|(earlier, ..)| earlier == name) {
            dec.problem(
                Problem::new(*span, format!("a second lane `{name}`"))
                    .expected("each lane once")
                    .note(format!("it is first on line {}", first.line)),
            );
            return None;
        }
        if matches!(*name, "both" | "all") {
            dec.problem(
                Problem::new(*span, format!("a lane cannot be called `{name}`"))
                    .expected("another name"),
            );
            return None;
        }
    }
    if lanes.is_empty() {
        dec.problem(
            Problem::new(scenario.span, "this scenario has no lanes")
                .expected("`client: [...]`, `server: [...]` or `lanes:`"),
        );
        return None;
    }
    Some(lanes)
}

/// A decoded lane whose peers may be missing.
pub struct Decoded {
    /// The lane.
    pub lane: Lane,
    /// Places of `connect` without a host.
    pub bare_connects: Vec<Span>,
}

/// Decodes a lane. `given` is the scenario's detector if this lane gets it.
pub fn lane<'a>(
    dec: &Decoder<'a, '_>,
    scene: &mut Scene,
    detectors: &indexmap::IndexMap<String, Detector>,
    given: Option<(String, Detector)>,
    (name, span, node): Declared<'a>,
) -> Option<Decoded> {
    if let Value::Scalar(word) = &node.value {
        dec.problem(
            Problem::new(node.span, "a single value where a lane belongs")
                .expected("a list of steps, or a mapping with `steps:`")
                .help(format!("write `[{word}]`")),
        );
        scene.marks.set_incomplete();
        return None;
    }
    if let Value::Map(entries) = &node.value
        && entries.iter().any(|(key, _)| key.name == "run")
    {
        return program::program(dec, scene, given, (name, span, node));
    }
    let short = Fields::none(node.span, &LANE);
    let fields = match &node.value {
        Value::List(_) => short,
        _ => match dec.mapping(node, &LANE) {
            Some(fields) => fields,
            None => {
                scene.marks.set_incomplete();
                return None;
            }
        },
    };
    let host = host(dec, scene, &fields, name, span);
    let count = fields.get("count").map_or(Some(1), |node| {
        dec.scalar(node, "how many processes, from 1 to 1000", |text| {
            scalar::whole(text, 1, 1000)
        })
    });
    let own = fields
        .get("detector")
        .map(|node| detector::named(dec, detectors, node));
    let disposition = |key: &str| {
        fields.get(key).map_or(Some(Disposition::Default), |node| {
            dec.choose(node, "disposition", &DISPOSITIONS)
        })
    };
    let (sigpipe, sigterm) = (disposition("sigpipe"), disposition("sigterm"));
    let list = match &node.value {
        Value::List(_) => Some(node),
        _ => dec.needed(&fields, "steps"),
    };
    let mut progress = Progress {
        lane: name.to_owned(),
        ..Progress::default()
    };
    let Some(list) = list else {
        scene.marks.set_incomplete();
        return None;
    };
    let steps = step::steps(dec, scene, &mut progress, list)?;
    if steps.is_empty() {
        dec.problem(
            Problem::new(span, format!("the lane `{name}` has no steps in this case"))
                .expected("at least one step whose `when` holds"),
        );
        return None;
    }
    let (detector_name, detector) = match own {
        Some(own) => own?,
        None => given.unwrap_or_else(|| ("none".to_owned(), Detector::default())),
    };
    let lane = Lane {
        name: name.to_owned(),
        host: host?,
        count: count?,
        detector,
        detector_name,
        sigpipe: sigpipe?,
        sigterm: sigterm?,
        steps,
        program: None,
    };
    Some(Decoded {
        lane,
        bare_connects: progress.bare_connects,
    })
}

/// The host a lane runs on: `on:`, else the one of the lane's own name.
fn host<'a>(
    dec: &Decoder<'a, '_>,
    scene: &Scene,
    fields: &Fields<'a>,
    name: &str,
    span: Span,
) -> Option<String> {
    let hosts = scene.network.names(&[NodeKind::Host]);
    if let Some(node) = fields.get("on") {
        return dec.known(node, "host", hosts);
    }
    if hosts.clone().any(|host| host == name) {
        return Some(name.to_owned());
    }
    dec.problem(
        Problem::new(
            span,
            format!("no host is called `{name}`, and the lane does not say where it runs"),
        )
        .expected(format!(
            "`on: HOST`, the host being {}",
            name::one_of(hosts)
        )),
    );
    None
}
