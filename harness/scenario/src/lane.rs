//! Lanes: who runs which steps where.

use super::case::{
    Action, Case, Detector, Disposition, EventAction, Family, Lane, Network, NodeKind, Step,
};
use super::decode::Decoder;
use super::detector;
use super::error::{Problem, Span};
use super::fields::Fields;
use super::mark::Marks;
use super::name;
use super::scalar;
use super::step::{self, Progress};
use super::tree::{Node, Value};

/// What the steps and events of one case refer to.
#[derive(Debug)]
pub struct Scene {
    /// Where it happens.
    pub network: Network,
    /// The address family.
    pub family: Family,
    /// Names of all lanes.
    pub lanes: Vec<String>,
    /// Marks, and who waits for them.
    pub marks: Marks,
}

const KEYS: [&str; 6] = ["on", "count", "detector", "sigpipe", "sigterm", "steps"];
const DISPOSITIONS: [(&str, Disposition); 2] = [
    ("default", Disposition::Default),
    ("ignore", Disposition::Ignore),
];

/// A lane as the file has it: name, place of the name, its node.
pub type Declared<'a> = (&'a str, Span, &'a Node);

/// The lanes a scenario declares: `client:`, `server:` and those of `lanes:`.
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

/// A lane of a case, with the places of its `connect`s without a host.
pub struct Decoded {
    /// The lane.
    pub lane: Lane,
    /// Places of `connect` without a host.
    pub bare_connects: Vec<Span>,
}

/// One lane. `given` is the scenario's detector if this lane gets it.
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
        scene.marks.lose();
        return None;
    }
    let short = Fields {
        entries: &[],
        span: node.span,
    };
    let fields = match &node.value {
        Value::List(_) => short,
        _ => match dec.fields(node, "a lane", &KEYS) {
            Some(fields) => fields,
            None => {
                scene.marks.lose();
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
        _ => dec.required(&fields, "a lane", "steps", "[connect, read]"),
    };
    let mut progress = Progress {
        lane: name.to_owned(),
        ..Progress::default()
    };
    let Some(list) = list else {
        scene.marks.lose();
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

/// Gives each `connect` without a host the only other host that listens.
pub fn find_peers(dec: &Decoder<'_, '_>, lanes: &mut [Decoded]) {
    let listening: Vec<String> = lanes
        .iter()
        .filter(|decoded| listens(&decoded.lane.steps))
        .map(|decoded| decoded.lane.host.clone())
        .collect();
    for decoded in lanes {
        let mut others: Vec<&String> = listening
            .iter()
            .filter(|host| **host != decoded.lane.host)
            .collect();
        others.sort();
        others.dedup();
        if let [only] = others.as_slice() {
            point_at(&mut decoded.lane.steps, only);
            continue;
        }
        for span in &decoded.bare_connects {
            let problem = match others.len() {
                0 => Problem::new(*span, "no other host listens")
                    .help("`connect: HOST` also connects to a host where nobody listens"),
                _ => Problem::new(*span, format!("{} other hosts listen", others.len())),
            };
            dec.problem(problem.expected("`connect: HOST`"));
        }
    }
}

fn listens(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.action {
        Action::Listen { .. } => true,
        Action::Repeat { steps, .. } | Action::Serve { each: steps, .. } => listens(steps),
        _ => false,
    })
}

fn point_at(steps: &mut [Step], host: &str) {
    for step in steps {
        match &mut step.action {
            Action::Connect {
                to: to @ None,
                address: None,
                ..
            } => *to = Some(host.to_owned()),
            Action::Repeat { steps, .. } | Action::Serve { each: steps, .. } => {
                point_at(steps, host)
            }
            _ => {}
        }
    }
}

/// Who watches unless the scenario says so: the client, if the first fault
/// leaves it alone; else every lane the first fault leaves alone; else all.
pub fn watch_by_default(case: &Case) -> Vec<String> {
    let first = case.events.iter().find(|event| event.is_fault());
    let victim = |lane: &Lane| match first.map(|event| &event.action) {
        Some(
            EventAction::Kill { lane: name, .. }
            | EventAction::Freeze { lane: name }
            | EventAction::Restart { lane: name, .. },
        ) => *name == lane.name,
        Some(
            EventAction::Shutdown { host, .. }
            | EventAction::Crash { host }
            | EventAction::Reboot { host, .. }
            | EventAction::Move { from: host, .. },
        ) => *host == lane.host,
        _ => false,
    };
    if let Some(client) = case
        .lanes
        .iter()
        .find(|lane| lane.name == "client" && !victim(lane))
    {
        return vec![client.name.clone()];
    }
    let spared: Vec<String> = case
        .lanes
        .iter()
        .filter(|lane| !victim(lane))
        .map(|lane| lane.name.clone())
        .collect();
    if spared.is_empty() {
        case.lanes.iter().map(|lane| lane.name.clone()).collect()
    } else {
        spared
    }
}
